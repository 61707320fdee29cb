"""Every number that a choice is made by, against slow numpy; the weights are trained on these."""

import numpy as np
import pytest
import torch
from completion_scenes import random_nodes, random_scene

from flow.completion.evidence import CANDIDATE_NUMBERS, NODE_NUMBERS, gather_evidence
from flow.completion.motions import CELL, PLANE, SEED
from flow.completion.nodes import find_nodes

SEEDS = (1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def made(request):
    """A scene of random numbers, its nodes and their evidence."""
    scene = random_scene(request.param)
    nodes = random_nodes(scene, request.param)
    return scene, nodes, gather_evidence(scene, nodes)


def each_candidate(nodes, every=3):
    """Yield node, place and row in the table of some candidates, of all kinds."""
    for n in range(0, len(nodes.ids), every):
        for k, m in enumerate(nodes.ids[n]):
            if m >= 0:
                yield n, k, m


def compare(made, number, expected, tolerance=2e-5):
    """Check one number of candidates against a function of (node, place, motion)."""
    _, nodes, evidence = made
    values = []
    for n, k, m in each_candidate(nodes):
        wanted = expected(n, k, m)
        values.append(wanted)
        assert evidence.candidates[n, k, number] == pytest.approx(wanted, abs=tolerance, rel=2e-5), (n, k)
    assert len(values) > 100
    assert np.ptp(np.array(values, np.float64)) > 0.05, "the scene does not show this number"


def flow_of(nodes, m, x, y):
    return nodes.motions.flow_at(np.array([m]), np.float32([[x, y]]))[0]


def pixel(value):
    return int(np.floor(np.float32(value) + np.float32(0.5)))


def target(made, n, k):
    """Column and row where a candidate takes its node, and whether that is inside."""
    scene, nodes, evidence = made
    column, row = (pixel(p + f) for p, f in zip(nodes.points[n], evidence.flows[n, k], strict=True))
    return column, row, 0 <= column < scene.shape[1] and 0 <= row < scene.shape[0]


def unlike(scene, first, second):
    difference = first.astype(np.float64) - second
    return np.log1p(min((difference**2).sum() / scene.cost_scale, 20))


def colours(first, second):
    return 2 * np.abs(first.astype(np.float64) - second).sum()


def cost_at(made, n, k):
    scene, nodes, _ = made
    x, y = nodes.points[n]
    column, row, inside = target(made, n, k)
    return unlike(scene, scene.descriptors1[y, x], scene.descriptors2[row, column]) if inside else 0


def mean_cost_at(made, n, k, m):
    scene, nodes, _ = made
    (height, width), (x, y) = scene.shape, nodes.points[n]
    column, row, inside = target(made, n, k)
    if not inside:
        return 0
    costs = [unlike(scene, scene.descriptors1[y, x], scene.descriptors2[row, column])]
    for dx, dy in ((4, 0), (-4, 0), (0, 4), (0, -4)):
        px, py = min(max(x + dx, 0), width - 1), min(max(y + dy, 0), height - 1)
        u, v = flow_of(nodes, m, px, py)
        column, row = pixel(px + u), pixel(py + v)
        if 0 <= column < width and 0 <= row < height:
            costs.append(unlike(scene, scene.descriptors1[py, px], scene.descriptors2[row, column]))
    return np.mean(costs)


def colour_at(made, n, k):
    scene, nodes, _ = made
    x, y = nodes.points[n]
    column, row, inside = target(made, n, k)
    return colours(scene.image1[y, x], scene.image2[row, column]) if inside else 0


def length(vector):
    return np.sqrt((np.asarray(vector, np.float64) ** 2).sum())


def present(made, n):
    return range(int((made[1].ids[n] >= 0).sum()))


def test_scenes_have_all_that_is_to_be_seen(made):
    _, nodes, evidence = made
    kinds = nodes.motions.kind[nodes.ids[nodes.ids >= 0]]
    assert {CELL, SEED, PLANE} == set(kinds.tolist())
    inside = evidence.candidates[nodes.ids >= 0, 3]
    assert 0.02 < (inside == 0).mean() < 0.5
    assert (nodes.ids >= 0).sum(1).min() == 1


def test_shapes_types_and_empty_places(made):
    _, nodes, evidence = made
    assert evidence.candidates.shape == (*nodes.ids.shape, CANDIDATE_NUMBERS)
    assert evidence.nodes.shape == (NODE_NUMBERS, *nodes.open.shape)
    for array in (evidence.flows, evidence.candidates, evidence.nodes):
        assert array.dtype == np.float32 and np.isfinite(array).all()
    assert not evidence.candidates[nodes.ids < 0].any() and not evidence.flows[nodes.ids < 0].any()


def test_flows_are_those_of_the_motions(made):
    _, nodes, evidence = made
    there = nodes.ids >= 0
    points = np.broadcast_to(nodes.points[:, None], (*there.shape, 2))[there].astype(np.float32)
    expected = nodes.motions.flow_at(nodes.ids[there], points)
    np.testing.assert_allclose(evidence.flows[there], expected, atol=1e-3)


def test_0_distance_to_the_centre(made):
    _, nodes, _ = made
    away = lambda n, k, m: length(nodes.points[n] - nodes.motions.centres[m])  # noqa: E731
    compare(made, 0, lambda *it: np.log1p(away(*it) / 8))


@pytest.mark.parametrize(("number", "of"), [(1, np.mean), (2, np.max)])
def test_1_2_edges_on_the_way(made, number, of):
    scene, nodes, _ = made

    def expected(n, k, m):
        centre = nodes.motions.centres[m]
        met = []
        for part in (np.arange(8) + 0.5) / 8:
            column, row = (int(c) for c in centre + part * (nodes.points[n] - centre))
            row, column = (
                min(max(i, 0), size - 1) for i, size in zip((row, column), scene.shape, strict=True)
            )
            met.append(scene.cells.edges[row, column])
        return of(met)

    compare(made, number, expected)


def test_3_inside(made):
    compare(made, 3, lambda n, k, m: float(target(made, n, k)[2]))


def test_4_cost_at_the_target(made):
    compare(made, 4, lambda n, k, m: cost_at(made, n, k))


def test_5_mean_cost_of_five_places(made):
    compare(made, 5, lambda n, k, m: mean_cost_at(made, n, k, m))


def test_6_difference_of_colour(made):
    compare(made, 6, lambda n, k, m: colour_at(made, n, k))


@pytest.mark.parametrize(("number", "of", "no_more_than"), [(32, 4, 8), (7, 6, 4), (33, 5, 8)])
def test_7_32_33_above_the_least_of_the_node(made, number, of, no_more_than):
    """The numbers compared are checked by themselves above."""
    _, _, evidence = made

    def expected(n, k, m):
        inside = evidence.candidates[n, :, 3] > 0
        least = min([no_more_than, *evidence.candidates[n, inside, of]])
        return evidence.candidates[n, k, of] - least if inside[k] else 0

    compare(made, number, expected)


@pytest.mark.parametrize("number", [8, 9])
def test_8_9_unlikeness_of_node_and_centre(made, number):
    scene, nodes, _ = made

    def expected(n, k, m):
        if nodes.motions.kind[m] == PLANE:
            return 0  # its centre is a mean, and nothing is there
        x, y = nodes.points[n]
        column, row = (int(c + np.float32(0.5)) for c in nodes.motions.centres[m])
        if number == 8:
            return unlike(scene, scene.descriptors1[y, x], scene.descriptors1[row, column])
        return colours(scene.image1[y, x], scene.image1[row, column])

    compare(made, number, expected)


@pytest.mark.parametrize("number", [10, 11, 12])
def test_10_to_12_what_comes_back(made, number):
    scene, nodes, evidence = made
    backward = scene.judged.dense.backward

    def expected(n, k, m):
        if not target(made, n, k)[2]:
            return 0
        ends = nodes.points[n] + evidence.flows[n, k]
        # The seed in whose square the target lies; of two that are as near, the later.
        grid = np.floor((ends - backward.points[0, 0]) / np.float32(backward.step) + np.float32(0.5))
        rows, columns = backward.grid
        column, row = int(min(max(grid[0], 0), columns - 1)), int(min(max(grid[1], 0), rows - 1))
        off = min(length(evidence.flows[n, k] + backward.vectors[row, column]), 50)
        trust = scene.backward_trust[row, column]
        return {10: np.log1p(off), 11: trust, 12: trust * (1 - 1 / (1 + (off / 3) ** 2))}[number]

    compare(made, number, expected)


@pytest.mark.parametrize(("number", "name"), [(13, "support"), (14, "confidence")])
def test_13_14_what_is_said_of_the_motion(made, number, name):
    compare(made, number, lambda n, k, m: getattr(made[1].motions, name)[m])


@pytest.mark.parametrize(("number", "px"), [(15, 1), (16, 3), (17, 10)])
def test_15_to_17_share_of_candidates_within(made, number, px):
    _, nodes, evidence = made
    flows, share = evidence.flows, nodes.share

    def expected(n, k, m):
        return sum(share[n, j] for j in present(made, n) if length(flows[n, k] - flows[n, j]) < px)

    compare(made, number, expected)


@pytest.mark.parametrize("ring", [0, 1, 2])
def test_18_to_20_share_of_matches_that_obey(made, ring):
    scene, nodes, _ = made

    def expected(n, k, m):
        shares = []
        for q in nodes.witnesses[n, 12 * ring : 12 * ring + 12]:
            x, y = scene.cells.matches.points1[q]
            off = length(flow_of(nodes, m, x, y) - scene.cells.models[q, :, 2])
            shares.append(1 / (1 + (off / 1.5) ** 2))
        return np.mean(shares)

    compare(made, 18 + ring, expected, 1e-4)


def speed(made, n, k):
    return np.log1p(length(made[2].flows[n, k]))


def test_21_speed(made):
    compare(made, 21, lambda n, k, m: speed(made, n, k))


def test_22_speed_above_the_median(made):
    def expected(n, k, m):
        speeds = sorted(speed(made, n, j) for j in present(made, n))
        return speed(made, n, k) - speeds[len(speeds) // 2]

    compare(made, 22, expected)


def test_23_slope_times_distance(made):
    motions, points = made[1].motions, made[1].points

    def expected(n, k, m):
        return np.log1p(length(motions.models[m, :4]) * length(points[n] - motions.centres[m]))

    compare(made, 23, expected)


@pytest.mark.parametrize(("number", "kind"), [(24, CELL), (25, SEED), (26, PLANE)])
def test_24_to_26_kind(made, number, kind):
    compare(made, number, lambda n, k, m: float(made[1].motions.kind[m] == kind))


def test_27_difference_to_the_interpolated_flow(made):
    scene, nodes, evidence = made

    def expected(n, k, m):
        x, y = nodes.points[n]
        return np.log1p(length(evidence.flows[n, k] - scene.cells.flow[y, x]))

    compare(made, 27, expected)


def test_28_29_place(made):
    scene, nodes, _ = made
    height, width = scene.shape
    compare(made, 28, lambda n, k, m: nodes.points[n, 1] / height)
    compare(made, 29, lambda n, k, m: abs(nodes.points[n, 0] / width - 0.5))


def test_30_share_of_places(made):
    compare(made, 30, lambda n, k, m: made[1].share[n, k])


def test_31_growth(made):
    models = made[1].motions.models
    compare(made, 31, lambda n, k, m: np.clip((models[m, 0] + models[m, 3]) / 2, -0.5, 0.5))


def node_number(made, number, expected, tolerance=1e-5):
    """Check one number of all nodes against a function of (x, y)."""
    _, nodes, evidence = made
    wanted = np.array([[expected(int(x), int(y)) for x in nodes.xs] for y in nodes.ys], np.float64)
    np.testing.assert_allclose(evidence.nodes[number], wanted, atol=tolerance)
    assert np.ptp(wanted) > 0.05, "the scene does not show this number"


def test_nodes_0_to_3_colour_and_confidence(made):
    scene = made[0]
    for channel in range(3):
        node_number(made, channel, lambda x, y, c=channel: scene.image1[y, x, c] - 0.5)
    node_number(made, 3, lambda x, y: scene.cells.confidence[y, x])


def test_nodes_4_strongest_edge_around(made):
    edges = made[0].cells.edges
    node_number(made, 4, lambda x, y: edges[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max())


def nearest_seed(scene, x, y):
    points = scene.judged.dense.forward.points
    return np.unravel_index(np.abs(points - [x, y]).sum(-1).argmin(), points.shape[:2])


def test_nodes_5_to_8_the_match_of_the_seed(made):
    """At a step of 3 px no pixel lies between two seeds."""
    scene, judged = made[0], made[0].judged

    def returning(x, y):
        error = scene.forward_error[nearest_seed(scene, x, y)]
        return np.log1p(min(error, 30))

    def cost(x, y):
        return np.log1p(min(judged.dense.forward.cost[nearest_seed(scene, x, y)] / scene.cost_scale, 20))

    node_number(made, 5, returning)
    node_number(made, 6, lambda x, y: judged.confidence[nearest_seed(scene, x, y)])
    node_number(made, 7, lambda x, y: judged.keep[nearest_seed(scene, x, y)])
    node_number(made, 8, cost)


def test_nodes_9_landings(made):
    scene, backward = made[0], made[0].judged.dense.backward
    ends = (backward.points + backward.vectors)[scene.backward_trust > 0.3]

    def landing(x, y):
        inside = (np.abs(ends - [x, y]) < 2).all(-1)
        return min(int(inside.sum()), 4) / 2

    node_number(made, 9, landing)


def test_nodes_10_to_14_place_and_flow(made):
    scene = made[0]
    (height, width), flow = scene.shape, scene.cells.flow

    def leaves(x, y):
        u, v = flow[y, x]
        return not (0 <= x + u <= width - 1 and 0 <= y + v <= height - 1)

    node_number(made, 10, lambda x, y: y / height - 0.5)
    node_number(made, 11, lambda x, y: abs(x / width - 0.5))
    node_number(made, 12, lambda x, y: np.log1p(length(flow[y, x])))
    node_number(made, 13, lambda x, y: np.log1p(scene.cells.distance[y, x]))
    node_number(made, 14, leaves)


def test_nodes_15_to_30_brightness_around(made):
    scene = made[0]
    (height, width), grey = scene.shape, scene.image1.mean(-1)
    offsets = [(dx, dy) for dy in range(-2, 2) for dx in range(-2, 2)]
    for place, (dx, dy) in enumerate(offsets):
        if (dx, dy) == (0, 0):
            assert not made[2].nodes[15 + place].any()
            continue

        def brighter(x, y, dx=dx, dy=dy):
            column, row = min(max(x + dx, 0), width - 1), min(max(y + dy, 0), height - 1)
            return 4 * (grey[row, column] - grey[y, x])

        node_number(made, 15 + place, brighter)


def test_colours_however_far_apart_have_a_least_of_4():
    scene = random_scene(1)
    scene.image1[:], scene.image2[:] = 0, 1  # 6 apart
    nodes = random_nodes(scene, 1)
    numbers = gather_evidence(scene, nodes).candidates[nodes.ids >= 0]
    inside = numbers[:, 3] > 0
    assert (numbers[inside, 6] == 6).all() and (numbers[inside, 7] == 2).all()
    assert not numbers[~inside, 7].any()


def test_landing_squares_reach_half_way_to_the_next_node():
    """The oracle above leaves out what lands on a border, which random numbers do not."""
    scene = random_scene(1)
    backward = scene.judged.dense.backward
    backward.vectors[:] = 0
    scene.backward_trust[:] = 1
    landed = gather_evidence(scene, find_nodes(scene, 0.7, 0)).nodes[9]
    assert (landed[1:-1, 1:-1] >= 0.5).all() and landed.max() <= 2
    scene.backward_trust[:] = 0.3
    assert not gather_evidence(scene, find_nodes(scene, 0.7, 0)).nodes[9].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_descriptors_of_half_precision_give_nearly_the_same(dtype):
    whole = random_scene(3)
    half = random_scene(3, dtype=dtype)
    assert half.descriptors1.dtype != np.float32
    nodes = random_nodes(whole, 3)
    numbers, expected = (gather_evidence(scene, nodes).candidates for scene in (half, whole))
    by_descriptor = [4, 5, 8, 32, 33]
    apart = np.abs(numbers - expected)
    assert 0 < apart[..., by_descriptor].max() < 0.03
    assert not np.delete(apart, by_descriptor, -1).any()
