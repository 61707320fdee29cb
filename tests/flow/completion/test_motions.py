"""Motions against closed forms, and the three ways to read them against each other."""

import numpy as np
import pytest
import torch

from flow.completion.agreement import flow_from
from flow.completion.motions import (
    CELL,
    LEAST_DEPTH,
    PLANE,
    SEED,
    Motions,
    affine_motions,
    flow_of,
    no_motions,
    plane_motion,
)


def one(model, centre=(0.0, 0.0)):
    """A table of one motion."""
    half = np.full(1, 0.5, np.float32)
    return Motions(np.float32([centre]), np.float32([model]), half, half, np.full(1, PLANE, np.int8))


def flow_at(motions, x, y):
    return motions.flow_at(np.zeros(1, np.intp), np.float32([[x, y]]))[0]


def random_motions(count, seed=0):
    rng = np.random.default_rng(seed)
    models = rng.normal(size=(count, 8)) * np.array([0.1] * 4 + [9] * 2 + [0.02] * 2)
    centres = (rng.random((count, 2)) * 100).astype(np.float32)
    shares = rng.random((2, count), dtype=np.float32)
    return Motions(centres, models.astype(np.float32), shares[0], shares[1], np.full(count, CELL, np.int8))


def test_a_shift_is_the_same_everywhere():
    motions = one([0, 0, 0, 0, 3, -2, 0, 0], (5, 6))
    for x, y in ((5, 6), (0, 0), (90, 7)):
        np.testing.assert_allclose(flow_at(motions, x, y), [3, -2], atol=1e-5)


def test_an_affine_motion_in_closed_form():
    a, b, c, d = 0.1, -0.2, 0.05, 0.3
    centre, model = np.float32([[4, 2]]), np.array([[[a, b, 1.5], [c, d, -1]]])
    motions = affine_motions(centre, model, np.float32([0.5]), np.float32([0.7]), SEED)
    assert motions.kind.tolist() == [SEED] and len(motions) == 1
    assert motions.support.tolist() == [0.5] and motions.confidence.tolist() == pytest.approx([0.7])
    dx, dy = 10 - 4, 7 - 2
    expected = [a * dx + b * dy + 1.5, c * dx + d * dy - 1]
    np.testing.assert_allclose(flow_at(motions, 10, 7), expected, rtol=1e-5)


def test_a_homography_in_closed_form():
    """Seen from its own centre: 1 + 0.01 dx halves what it moves where dx is 100."""
    motions = one([0, 0, 0, 0, 0, 0, 0.01, 0], (20, 10))
    np.testing.assert_allclose(flow_at(motions, 120, 30), [100 / 2 - 100, 20 / 2 - 20], rtol=1e-5)


def test_a_plane_takes_pixels_where_its_homography_does():
    rng = np.random.default_rng(3)
    for _ in range(20):
        homography = np.eye(3) + rng.normal(size=(3, 3)) * [[0.1, 0.1, 8], [0.1, 0.1, 8], [5e-4, 5e-4, 0.1]]
        homography *= rng.choice([-1.0, 3.0])  # its scale says nothing
        centre = rng.random(2) * [160, 120]
        motions = one(plane_motion(homography, centre), centre)
        x, y = rng.random(2) * [160, 120]
        moved = homography @ [x, y, 1]
        assert moved[2] / (homography @ [*centre, 1])[2] > LEAST_DEPTH
        expected = moved[:2] / moved[2] - [x, y]
        np.testing.assert_allclose(flow_at(motions, x, y), expected, atol=2e-3, rtol=1e-4)


def test_the_horizon_is_never_crossed():
    motions = one([0, 0, 0, 0, 2, 0, -0.01, 0])  # depth 0 at x = 100, negative beyond
    at_limit = 100 * (1 - LEAST_DEPTH)
    for x in (at_limit, 95, 100, 100.001, 150, 1000):
        expected = [(x + 2) / LEAST_DEPTH - x, 5 / LEAST_DEPTH - 5]
        np.testing.assert_allclose(flow_at(motions, x, 5), expected, rtol=1e-4)


def test_all_three_ways_to_read_a_motion_agree():
    motions = random_motions(200)
    rng = np.random.default_rng(1)
    points = (rng.random((200, 2)) * 120).astype(np.float32)
    table = motions.flow_at(np.arange(200), points)
    offsets = points - motions.centres
    compiled = np.array([flow_of(m, *offset) for m, offset in zip(motions.models, offsets, strict=True)])
    models = torch.from_numpy(np.concatenate([motions.centres, motions.models], axis=1))
    tensors = flow_from(models, torch.from_numpy(points)).numpy()
    clamped = 1 + (motions.models[:, 6:] * offsets).sum(1) < LEAST_DEPTH
    assert 10 < clamped.sum() < 190
    np.testing.assert_allclose(compiled, table, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(tensors, table, rtol=1e-4, atol=1e-3)


def test_flow_at_takes_any_shape():
    motions = random_motions(7)
    ids = np.arange(6).reshape(2, 3)
    points = np.random.default_rng(0).random((2, 3, 2), dtype=np.float32)
    flow = motions.flow_at(ids, points)
    assert flow.shape == (2, 3, 2) and flow.dtype == np.float32
    np.testing.assert_array_equal(flow[1, 2], motions.flow_at(ids[1, 2:], points[1, 2:])[0])


def test_tables_are_joined_in_their_order():
    first, second = random_motions(3, 5), random_motions(2, 6)
    joined = Motions.joined([first, no_motions(), second])
    assert len(joined) == 5
    for name in ("centres", "models", "support", "confidence", "kind"):
        expected = [*getattr(first, name), *getattr(second, name)]
        np.testing.assert_array_equal(getattr(joined, name), expected)
        assert getattr(joined, name).dtype == getattr(first, name).dtype
    assert len(no_motions()) == len(Motions.joined([no_motions(), no_motions()])) == 0
