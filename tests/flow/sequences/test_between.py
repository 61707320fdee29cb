"""Frames between frames: exact where the motion is known."""

import numpy as np
import pytest

from flow.sequences.between import Motion, frame_between
from flow.synthetic import fractal_texture
from patchbatch.errors import PatchBatchError


def motions(u, v, shape, occluded=0.0):
    flow = np.tile(np.float32([u, v]), (*shape, 1))
    hidden = np.full(shape, occluded, np.float32)
    return Motion(flow, hidden), Motion(-flow, hidden)


@pytest.mark.parametrize("colour", [True, False])
def test_what_slides_is_half_way_in_the_middle(colour):
    picture = fractal_texture(40, 80, np.random.default_rng(0))
    picture = picture if colour else picture.mean(axis=2)
    first, second, middle = picture[:, 20:60], picture[:, 12:52], picture[:, 16:56]
    forward, backward = motions(8, 0, (40, 40))
    made = frame_between(first, second, forward, backward, 0.5)
    np.testing.assert_allclose(made, middle, atol=1e-5)
    np.testing.assert_allclose(
        frame_between(first, second, forward, backward, 0.25), picture[:, 18:58], atol=1e-5
    )


def test_both_ways_in_time_are_alike():
    picture = fractal_texture(40, 80, np.random.default_rng(1))
    first, second = picture[:, 20:60], picture[:, 15:55]
    forward, backward = motions(5, 0, (40, 40))
    there = frame_between(first, second, forward, backward, 0.3)
    back = frame_between(second, first, backward, forward, 0.7)
    np.testing.assert_allclose(there, back, atol=1e-4)


def test_what_is_in_front_hides_what_is_behind():
    """A square moves over a ground that stands still; each place behind it is seen in one frame at least."""
    rng = np.random.default_rng(2)
    ground, square = fractal_texture(60, 90, rng), fractal_texture(20, 20, rng)
    left, moved = 20, 12

    def drawn(x):
        frame = ground.copy()
        frame[20:40, x : x + 20] = square
        return frame

    def motion(x, u, other):
        flow, hidden = np.zeros((60, 90, 2), np.float32), np.zeros((60, 90), np.float32)
        hidden[20:40, other : other + 20] = 1
        hidden[20:40, x : x + 20] = 0
        flow[20:40, x : x + 20, 0] = u
        return Motion(flow, hidden)

    forward, backward = motion(left, moved, left + moved), motion(left + moved, -moved, left)
    made = frame_between(drawn(left), drawn(left + moved), forward, backward, 0.5)
    np.testing.assert_allclose(made, drawn(left + moved // 2), atol=1e-4)
    # Without knowing what is hidden the ground beside the square is a mixture.
    blind = [Motion(one.flow, np.zeros_like(one.occluded)) for one in (forward, backward)]
    mixed = frame_between(drawn(left), drawn(left + moved), *blind, 0.5)
    assert np.abs(mixed - drawn(left + moved // 2)).max() > 0.05


def test_nothing_that_is_not_finite_comes_out_whatever_the_flow():
    rng = np.random.default_rng(3)
    image = rng.random((12, 15, 3)).astype(np.float32)
    for far in (0.0, 3.0, 40.0, 1e6):
        flow = (far * rng.normal(size=(12, 15, 2))).astype(np.float32)
        made = frame_between(image, image, *[Motion(flow, np.ones((12, 15), np.float32))] * 2, 0.5)
        assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1
    one = np.full((1, 1), 0.5, np.float32)
    assert frame_between(one, one, *motions(0, 0, (1, 1)), 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("t", "shape", "says"), [(1.0, (8, 8), "the time is 1"), (0.5, (8, 9), "make them fit")]
)
def test_what_does_not_fit_is_refused(t, shape, says):
    with pytest.raises(PatchBatchError, match=says):
        frame_between(np.zeros((8, 8), np.float32), np.zeros(shape, np.float32), *motions(0, 0, (8, 8)), t)
