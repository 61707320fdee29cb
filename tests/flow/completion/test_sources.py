"""Sources of motions: planes among outliers, and models of seeds that nothing has checked."""

from dataclasses import replace

import numpy as np
import pytest
from completion_scenes import scene_from_matches

from flow.completion.motions import CELL, PLANE, SEED
from flow.completion.sources import _windows, cell_motions, plane_motions, seed_motions

SHAPE, GRID = (96, 150), (32, 50)


def field_of(homography, shape=SHAPE):
    """The flow of a homography at every pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    moved = np.stack([x, y, np.ones(shape)], -1) @ homography.T
    return (moved[..., :2] / moved[..., 2:] - np.stack([x, y], -1)).astype(np.float32)


NEAR = np.array([[1.02, 0.01, 12], [-0.01, 1.03, -3], [1e-4, 4e-4, 1]])
FAR = np.array([[0.99, -0.02, -6], [0.02, 1.0, 2], [-2e-4, 1e-4, 1]])


def two_planes(outliers=0.3, seed=0):
    """Two halves of an image, of which a part of the pixels moves anyhow."""
    flow, rng = field_of(NEAR), np.random.default_rng(seed)
    flow[:, :70] = field_of(FAR)[:, :70]
    wrong = rng.random(SHAPE) < outliers
    flow[wrong] = rng.normal(0, 15, (int(wrong.sum()), 2))
    return flow


def errors_of(motions, homography, points):
    """Largest difference in px of each motion to a homography's flow at points (K, 2)."""
    wanted = field_of(homography)[points[:, 1], points[:, 0]]
    told = [motions.flow_at(np.full(len(points), m), points.astype(np.float32)) for m in range(len(motions))]
    return np.array([np.abs(flow - wanted).max() for flow in told])


PLACES = np.array([[5, 5], [40, 20], [60, 90], [75, 50], [100, 10], [140, 90], [145, 4]])


def put_matches(scene, flow):
    """Let the cells of a scene move as their matches do, as if nothing had been pruned or fitted."""
    forward, keep = scene.judged.dense.forward, scene.judged.keep
    models = np.zeros((int(keep.sum()), 2, 3))
    models[:, :, 2] = forward.vectors[keep]
    matches = scene.judged.matches
    return replace(scene, cells=replace(scene.cells, matches=matches, models=models))


def test_planes_are_found_among_believed_matches_with_outliers():
    flow = two_planes()
    scene = put_matches(scene_from_matches(flow, np.ones(GRID, np.bool_)), flow)
    planes = plane_motions(scene, 6)
    assert (planes.kind == PLANE).all() and (planes.confidence == 1).all()
    assert len(planes) == 2  # nothing is found in what is left, which moves anyhow
    assert errors_of(planes, NEAR, PLACES).min() < 1
    assert errors_of(planes, FAR, PLACES).min() < 1
    share = 0.7 * np.array([80, 70]) / 150
    np.testing.assert_allclose(planes.support, share, atol=0.06)  # the largest first
    near, far = planes.centres
    assert near[0] == pytest.approx(110, abs=6) and far[0] == pytest.approx(35, abs=6)


def test_planes_are_found_among_matches_that_were_dropped():
    flow = two_planes()
    keep = np.ones(GRID, np.bool_)
    keep[:, 24:] = False
    scene = scene_from_matches(flow, keep)
    assert errors_of(plane_motions(scene, 6), NEAR, PLACES).min() < 1
    # A third of those looked for; of two there is none.
    assert errors_of(plane_motions(scene, 2), NEAR, PLACES).min() > 3


def test_matches_without_a_cost_make_no_plane():
    flow = two_planes()
    keep = np.ones(GRID, np.bool_)
    keep[:, 24:] = False
    scene = scene_from_matches(flow, keep)
    scene.judged.dense.forward.cost[~keep] = np.inf
    assert errors_of(plane_motions(scene, 6), NEAR, PLACES).min() > 3


def test_no_more_planes_than_asked_for_and_none_of_a_few_matches():
    flow = two_planes(0)
    scene = scene_from_matches(flow, np.ones(GRID, np.bool_))
    assert len(plane_motions(scene, 1)) == 1
    assert len(plane_motions(scene, 0)) == 0
    few = np.zeros(GRID, np.bool_)
    few[10:13, 10:23] = True  # 39
    scene = scene_from_matches(flow, few)
    scene.judged.dense.forward.cost[~few] = np.inf
    assert len(plane_motions(scene, 9)) == 0


def test_matches_on_a_line_do_no_harm():
    flow = two_planes(0)
    line = np.zeros(GRID, np.bool_)
    line[15] = True
    planes = plane_motions(scene_from_matches(flow, line), 6)
    assert np.isfinite(planes.models).all()


def test_planes_are_the_same_again():
    flow = two_planes()
    scene = scene_from_matches(flow, np.ones(GRID, np.bool_))
    first, second = plane_motions(scene, 6), plane_motions(scene, 6)
    np.testing.assert_array_equal(first.models, second.models)


def test_models_of_seeds_are_affine_in_spite_of_outliers():
    slopes = np.array([[0.03, -0.02], [0.01, 0.05]])
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    true = (np.stack([x, y], -1) @ slopes.T + [4, -2]).astype(np.float32)
    flow, rng = true.copy(), np.random.default_rng(1)
    wrong = rng.random(SHAPE) < 0.3
    flow[wrong] = rng.normal(0, 12, (int(wrong.sum()), 2))
    scene = scene_from_matches(flow, np.zeros(GRID, np.bool_) | (rng.random(GRID) < 0.2))
    motions = seed_motions(scene)
    assert (motions.kind == SEED).all() and len(motions) == GRID[0] * GRID[1]
    points = scene.judged.dense.forward.points
    np.testing.assert_array_equal(motions.centres, points.reshape(-1, 2))
    column, row = motions.centres.astype(int).T
    off = np.abs(motions.models[:, 4:6] - true[row, column]).max(1)
    assert (off < 0.1).mean() > 0.95
    inner = (np.abs(row - 48) < 30) & (np.abs(column - 75) < 57)
    assert np.quantile(np.abs(motions.models[inner, :4] - slopes.ravel()), 0.95) < 0.01
    # Of 49 seeds around 70 % agree; a wrong centre is still a seed with the motion of those around.
    assert motions.support[inner].mean() == pytest.approx(0.7, abs=0.05)


def test_seeds_count_by_what_is_known_of_them():
    """A kept seed 0.3 at least, one that was dropped 0.1 and 0.3 of its confidence."""
    keep = np.zeros(GRID, np.bool_)
    keep[:, :25] = True
    for confidence, kept in ((0.0, 0.3), (0.9, 0.9)):
        scene = scene_from_matches(field_of(NEAR), keep, confidence)
        told = seed_motions(scene).confidence.reshape(GRID)
        np.testing.assert_allclose(told[keep], kept, atol=1e-6)
        np.testing.assert_allclose(told[~keep], 0.1 + 0.3 * confidence, atol=1e-6)


def test_windows_are_every_second_seed_of_thirteen_by_thirteen():
    index = _windows((20, 30))
    assert index.shape == (600, 49)
    assert (index[:, 0] == np.arange(600)).all()
    middle = 9 * 30 + 14
    expected = {(9 + dy) * 30 + 14 + dx for dy in range(-6, 7, 2) for dx in range(-6, 7, 2)}
    assert set(index[middle].tolist()) == expected
    corner = index[0]
    assert (corner >= 0).sum() == 16 and (corner[16:] == -1).all()
    y, x = np.divmod(index[middle], 30)
    assert (np.diff((y - 9) ** 2 + (x - 14) ** 2) >= 0).all()


def test_motions_of_cells_are_theirs():
    scene = scene_from_matches(field_of(NEAR), np.ones(GRID, np.bool_))
    cells, motions = scene.cells, cell_motions(scene.cells)
    assert (motions.kind == CELL).all()
    np.testing.assert_array_equal(motions.centres, cells.matches.points1)
    np.testing.assert_array_equal(motions.support, cells.support)
    np.testing.assert_array_equal(motions.confidence, cells.matches.confidence)
    x, y = cells.matches.points1.T
    expected = np.einsum("nij,j->ni", cells.models, [2.0, -3.0, 1.0])
    found = motions.flow_at(np.arange(len(motions)), np.stack([x + 2, y - 3], -1))
    np.testing.assert_allclose(found, expected, atol=1e-4)
