"""From nodes to pixels: what keeps its flow, what is followed, who is outvoted."""

import numpy as np
import pytest
from completion_scenes import random_nodes, random_scene

from flow.completion.motions import no_motions
from flow.completion.nodes import Nodes, node_axis
from flow.completion.readout import read_out

SHAPE = (24, 40)
REACH = 0.2


def grid(shape=SHAPE):
    """The nodes of an image, which of them are open not being asked."""
    xs, ys = node_axis(shape[1]), node_axis(shape[0])
    size = len(ys), len(xs)
    none = np.zeros((0, 1), np.int32)
    return Nodes(
        xs, ys, np.ones(size, np.bool_), no_motions(), none, none, none, np.zeros((*size, 10), np.float32)
    )


def shifts(nodes, u, v=0.0):
    """Models that shift by u (a map of the nodes, or a number) and v px."""
    models = np.zeros((*nodes.open.shape, 10), np.float32)
    models[..., 0], models[..., 1] = np.meshgrid(nodes.xs, nodes.ys)
    models[..., 6], models[..., 7] = u, v
    return models


def read(nodes, models, image, flow=None, settled=None, right=0.8, hidden=0.3, reach=REACH):
    shape = image.shape[:2]
    flow = np.zeros((*shape, 2), np.float32) if flow is None else flow
    settled = np.zeros(shape, np.bool_) if settled is None else settled
    maps = [np.broadcast_to(np.float32(each), nodes.open.shape).copy() for each in (right, hidden)]
    return read_out(nodes, models, *maps, image, flow, settled, reach)


def slow(nodes, models, right, hidden, image, flow, settled, reach):
    """The words of `read_out`, pixel by pixel."""
    height, width = settled.shape
    out = np.zeros((height, width, 4))
    image = image.astype(np.float64)
    for y in range(height):
        for x in range(width):
            row = int(np.floor((y - nodes.ys[0]) / 4 + 0.5))
            column = int(np.floor((x - nodes.xs[0]) / 4 + 0.5))
            said = []
            for r in (row - 1, row, row + 1):
                for c in (column - 1, column, column + 1):
                    if not (0 <= r < len(nodes.ys) and 0 <= c < len(nodes.xs)):
                        continue
                    cx, cy, a, b, d, e, u, v, g, h = models[r, c].astype(np.float64)
                    dx, dy = x - cx, y - cy
                    depth = max(1 + g * dx + h * dy, 0.2)
                    move = ((1 + a) * dx + b * dy + u) / depth - dx, (d * dx + (1 + e) * dy + v) / depth - dy
                    nx, ny = nodes.xs[c], nodes.ys[r]
                    far = ((nx - x) ** 2 + (ny - y) ** 2) / 16
                    colour = np.abs(image[y, x] - image[ny, nx]).sum()
                    weight = np.exp(-0.7 * far - colour / reach) * (0.1 + right[r, c])
                    said.append((*move, weight, right[r, c], hidden[r, c]))
            moves, weights = np.array(said)[:, :2], np.array(said)[:, 2]
            apart = ((moves[:, None] - moves) ** 2).sum(-1)
            middle = flow[y, x] if settled[y, x] else moves[(weights / (1 + apart)).sum(1).argmax()]
            weights = weights / (1 + ((moves - middle) ** 2).sum(1)) ** 2
            told = (weights[:, None] * np.array(said)).sum(0) / weights.sum()
            out[y, x] = (*(flow[y, x] if settled[y, x] else told[:2]), *told[3:])
    return out


@pytest.mark.parametrize("shape", [(19, 26), (7, 5), (1, 9)])
def test_against_a_slow_readout(shape):
    """Sizes that are no multiple of the step, and one node wide."""
    nodes, rng = grid(shape), np.random.default_rng(0)
    size = nodes.open.shape
    models = shifts(nodes, rng.integers(0, 3, size) * 4.0, rng.normal(0, 1, size))
    models[..., :2] += rng.normal(0, 5, (*size, 2))
    models[..., 2:6], models[..., 8:] = rng.normal(0, 0.02, (*size, 4)), rng.normal(0, 1e-3, (*size, 2))
    maps = rng.random((2, *size), dtype=np.float32)
    image = rng.random((*shape, 3), dtype=np.float32) / 3
    flow = rng.normal(0, 3, (*shape, 2)).astype(np.float32)
    settled = rng.random(shape) < 0.3
    told = read_out(nodes, models, *maps, image, flow, settled, REACH)
    assert all(each.dtype == np.float32 for each in told)
    expected = slow(nodes, models, *maps, image, flow, settled, REACH)
    np.testing.assert_allclose(np.dstack(told), expected, atol=2e-4)


def test_settled_pixels_keep_their_flow_and_nothing_is_written_into_it():
    nodes, rng = grid(), np.random.default_rng(1)
    flow, settled = rng.normal(0, 5, (*SHAPE, 2)).astype(np.float32), rng.random(SHAPE) < 0.5
    before = flow.copy()
    told, sure, unseen = read(nodes, shifts(nodes, 3), np.zeros((*SHAPE, 3), np.float32), flow, settled)
    np.testing.assert_array_equal(told[settled], before[settled])
    np.testing.assert_allclose(told[~settled], np.broadcast_to([3, 0], told[~settled].shape), atol=1e-5)
    np.testing.assert_array_equal(flow, before)
    for values in (sure, unseen):
        assert values.min() >= 0 and values.max() <= 1


def test_a_step_of_motion_and_colour_is_followed():
    """The colours part at column 21, between two nodes, not half way."""
    nodes = grid()
    image = np.full((*SHAPE, 3), 0.2, np.float32)
    image[:, 21:] = 0.8
    models = shifts(nodes, np.where(nodes.xs >= 21, 9.0, -5.0))
    told = read(nodes, models, image)[0]
    np.testing.assert_allclose(told[:, :21, 0], -5, atol=0.05)
    np.testing.assert_allclose(told[:, 21:, 0], 9, atol=0.05)
    # Where colour reaches everywhere, nearness alone decides.
    told = read(nodes, models, image, reach=1e6)[0]
    np.testing.assert_allclose(told[:, 21, 0], 9 if nodes.xs[nodes.xs >= 21][0] - 21 < 2 else -5, atol=0.5)


def test_one_odd_node_is_outvoted():
    nodes = grid()
    u = np.full(nodes.open.shape, 2.0)
    u[3, 4] = 30
    told = read(nodes, shifts(nodes, u), np.zeros((*SHAPE, 3), np.float32))[0]
    np.testing.assert_allclose(told[..., 0], 2, atol=0.05)


def test_an_unsure_node_counts_less_and_alone_still_counts():
    nodes = grid()
    u, right = np.full(nodes.open.shape, 2.0), np.full(nodes.open.shape, 0.9)
    u[:, 5:] = 8
    right[:, 5:] = 0
    image = np.zeros((*SHAPE, 3), np.float32)
    told, sure, _ = read(nodes, shifts(nodes, u), image, right=right)
    beside = nodes.xs[5]
    assert abs(told[12, beside, 0] - 2) < 0.2  # the unsure node itself is overruled
    np.testing.assert_allclose(told[:, beside + 7 :, 0], 8, atol=1e-3)
    np.testing.assert_allclose(sure[:, beside + 7 :], 0, atol=1e-5)
    np.testing.assert_allclose(sure[:, : beside - 8], 0.9, atol=1e-5)


def test_motions_that_agree_are_averaged():
    nodes = grid()
    u = np.where(np.arange(nodes.open.shape[1]) % 2, 4.1, 3.9)
    told = read(nodes, shifts(nodes, u), np.zeros((*SHAPE, 3), np.float32))[0]
    inner = told[4:-4, 8:-8, 0]
    assert inner.min() > 3.9 and inner.max() < 4.1


@pytest.mark.parametrize("reach", [0.2, 0.02, 0.001])
def test_a_pixel_unlike_all_around_still_moves_with_them(reach):
    """However small a weight is, weights are a matter of shares."""
    nodes = grid()
    image = np.zeros((*SHAPE, 3), np.float32)
    image[13, 15] = 1
    assert 13 not in nodes.ys
    told, sure, unseen = read(nodes, shifts(nodes, 50, -20), image, reach=reach)
    np.testing.assert_allclose(told[13, 15], [50, -20], rtol=1e-5)
    assert sure[13, 15] == pytest.approx(0.8, rel=1e-4) and unseen[13, 15] == pytest.approx(0.3, rel=1e-4)


def test_probabilities_of_random_nodes_stay_probabilities():
    scene = random_scene(6)
    nodes = random_nodes(scene, 6)
    rng = np.random.default_rng(2)
    maps = rng.random((2, *nodes.open.shape), dtype=np.float32)
    settled = scene.cells.confidence >= 0.7
    told = read_out(nodes, nodes.models, *maps, scene.image1, scene.cells.flow, settled, REACH)
    assert np.isfinite(told[0]).all()
    for values in told[1:]:
        assert 0 <= values.min() < values.max() <= 1
