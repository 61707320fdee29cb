"""Nodes: where they lie, and what each may choose from, against a slow merge."""

from dataclasses import replace

import numpy as np
import pytest
from completion_scenes import random_scene, scene_from_matches

from flow.completion import nodes as module
from flow.completion.motions import CELL, SEED
from flow.completion.nodes import STEP, find_nodes, nearest_seeds, node_axis


@pytest.fixture(scope="module")
def scene():
    return random_scene(0)


@pytest.fixture(scope="module")
def nodes(scene):
    return find_nodes(scene, 0.7, 4)


def slow_merge(point, offered, counts, motions, most):
    """Return ids and shares of one node, by the words of `Nodes`."""
    kept, flows, shares = [], [], []
    for m, count in zip(offered, counts, strict=True):
        if m < 0:
            continue
        flow = motions.flow_at(np.array([m]), np.float32([point]))[0]
        alike = 0.35 + 0.01 * np.hypot(*flow)
        same = [k for k, other in enumerate(flows) if (np.abs(other - flow) < alike).all()]
        if same:
            shares[same[0]] += count
        elif len(kept) < most:
            kept.append(m)
            flows.append(flow)
            shares.append(count)
    pad = most - len(kept)
    return kept + [-1] * pad, np.array(shares + [0] * pad) / sum(counts)


def test_axis():
    assert STEP == 4  # the weights are made for it
    assert node_axis(1).tolist() == [0]
    assert node_axis(2).tolist() == [1]
    assert node_axis(12).tolist() == [2, 6, 10]


@pytest.mark.parametrize("most", [48, 9])
def test_like_candidates_are_merged_into_the_first(scene, monkeypatch, most):
    """What finds no place any more is in no share."""
    caught = {}
    offered_of = module._offered

    def spy(*given):
        caught["offered"] = offered_of(*given)
        return caught["offered"]

    monkeypatch.setattr(module, "_offered", spy)
    monkeypatch.setattr(module, "_MOST", most)
    nodes = find_nodes(scene, 0.7, 4)
    offered, counts = caught["offered"]
    for n in range(0, len(nodes.ids), 3):
        ids, share = slow_merge(nodes.points[n], offered[n], counts, nodes.motions, most)
        assert nodes.ids[n].tolist() == ids
        np.testing.assert_allclose(nodes.share[n], share, atol=1e-6)
    assert (nodes.ids[:, -1] >= 0).any() == (most == 9)


def test_merging_is_by_motion_at_the_node_not_by_model():
    """One zoom, fitted at every match, is one candidate; two motions are two."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    zoom = np.stack([0.1 * x - 4, 0.1 * y - 3], -1)
    scene = scene_from_matches(zoom, np.ones((20, 27), np.bool_))
    nodes = find_nodes(scene, 1.0, 0)
    assert ((nodes.ids >= 0).sum(1) == 1).mean() > 0.9
    halves = zoom.copy()
    halves[:, 40:] += (9, 0)
    nodes = find_nodes(scene_from_matches(halves, np.ones((20, 27), np.bool_)), 1.0, 0)
    middle = np.abs(nodes.points[:, 0] - 40) < 8
    assert ((nodes.ids[middle] >= 0).sum(1) >= 2).all()


def test_shares_are_of_all_places_looked_at(nodes):
    total = nodes.share.sum(1)
    assert (total <= 1 + 1e-5).all() and total.min() > 0.2
    assert ((nodes.share > 0) == (nodes.ids >= 0)).all()


def test_first_candidate_is_the_interpolated_flow(scene, nodes):
    x, y = nodes.points.T
    first = nodes.ids[:, 0]
    np.testing.assert_array_equal(first, len(nodes.motions) - len(first) + np.arange(len(first)))
    np.testing.assert_allclose(nodes.motions.flow_at(first, nodes.points), scene.cells.flow[y, x], atol=1e-5)
    assert (nodes.motions.kind[first] == CELL).all()
    slopes = scene.cells.models[scene.cells.label[y, x], :, :2].reshape(-1, 4)
    np.testing.assert_allclose(nodes.motions.models[first, :4], slopes, atol=1e-6)
    np.testing.assert_array_equal(nodes.motions.confidence[first], scene.cells.confidence[y, x])


def test_absent_ones_come_last_and_all_are_distinct(nodes):
    there = nodes.ids >= 0
    assert (there[:, 0]).all()
    assert (there[:, :-1] >= there[:, 1:]).all()
    assert (nodes.ids < len(nodes.motions)).all()
    for ids in nodes.ids:
        assert len(set(ids[ids >= 0])) == (ids >= 0).sum()


def test_only_open_nodes_choose(scene, nodes):
    at = scene.cells.confidence[np.ix_(nodes.ys, nodes.xs)]
    np.testing.assert_array_equal(nodes.open, at < 0.7)
    expected = [(x, y) for y in nodes.ys for x in nodes.xs if scene.cells.confidence[y, x] < 0.7]
    assert nodes.points.tolist() == [list(map(int, point)) for point in expected]
    assert len(nodes.ids) == len(nodes.share) == len(nodes.witnesses) == len(expected)
    assert not find_nodes(scene, 0.0, 0).open.any()


def test_every_node_starts_from_its_own_motion(scene, nodes):
    """Open ones from the interpolated flow, the others from the model of their cell."""
    for r, y in enumerate(nodes.ys):
        for c, x in enumerate(nodes.xs):
            centre, model = nodes.models[r, c, :2], nodes.models[r, c, 2:]
            if nodes.open[r, c]:
                assert centre.tolist() == [x, y]
                np.testing.assert_allclose(model[4:6], scene.cells.flow[y, x], atol=1e-6)
            else:
                m = scene.cells.label[y, x]
                np.testing.assert_array_equal(centre, scene.cells.matches.points1[m])
                np.testing.assert_allclose(model[4:6], scene.cells.models[m, :, 2], atol=1e-6)


def test_seeds_that_were_kept_are_not_offered_again(scene, nodes):
    count = len(scene.cells.matches)
    seeds = nodes.motions.kind == SEED
    assert seeds[count : count + scene.judged.keep.size].all() and seeds.sum() == scene.judged.keep.size
    offered = np.unique(nodes.ids[(nodes.ids >= count) & (nodes.ids < count + scene.judged.keep.size)])
    assert len(offered) > 20
    assert not scene.judged.keep.ravel()[offered - count].any()


def test_witnesses_are_the_cells_around(scene, nodes):
    height, width = scene.shape
    for n, (x, y) in enumerate(nodes.points[::7]):
        seen = []
        for reach in (12, 32, 80):
            for k in range(12):
                row = min(max(round(y + reach * np.sin(k * np.pi / 6)), 0), height - 1)
                column = min(max(round(x + reach * np.cos(k * np.pi / 6)), 0), width - 1)
                seen.append(scene.cells.label[row, column])
        assert nodes.witnesses[7 * n].tolist() == seen


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_nearest_seeds(scene, step):
    """Against a search; between two seeds either is near enough."""
    points = np.stack(np.meshgrid(np.arange(step // 2, 44, step), np.arange(step // 2, 30, step)), -1)
    forward = replace(
        scene.judged.dense.forward, points=points.astype(np.float32), step=step,
        cost=np.zeros(points.shape[:2], np.float32),
    )  # fmt: skip
    dense = replace(scene.judged.dense, forward=forward)
    changed = replace(scene, judged=replace(scene.judged, dense=dense))
    pixels = np.stack(np.meshgrid(np.arange(44), np.arange(30)), -1).astype(np.int32)
    row, column = nearest_seeds(changed, pixels)
    away = np.abs(forward.points[row, column] - pixels).max(-1)
    least = np.abs(points.reshape(-1, 1, 1, 2) - pixels).max(-1).min(0)
    np.testing.assert_array_equal(away, least)


def test_planes_are_offered_to_every_node():
    y, x = np.mgrid[:60, :80].astype(np.float32)
    scene = scene_from_matches(np.stack([0.1 * x + 2, 0 * y], -1), np.ones((20, 27), np.bool_))
    without, planes = find_nodes(scene, 1.0, 0), find_nodes(scene, 1.0, 3)
    assert (without.motions.kind == 2).sum() == 0 < (planes.motions.kind == 2).sum()
    # Being what all cells say, the plane adds to the share of the first and to nothing else.
    np.testing.assert_array_equal((planes.ids >= 0).sum(1), (without.ids >= 0).sum(1))
