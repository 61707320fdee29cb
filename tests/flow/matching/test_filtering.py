"""The two-way check and island removal against slow loops."""

import numpy as np
import pytest

from flow.matching.filtering import motion_slopes, remove_small_islands, two_way_error
from flow.matching.seeds import SeedField, neighbour_indices, seed_axis, seed_grid


def seed_field(vectors, height, width, step):
    seeds = seed_grid(height, width, step).astype(np.float32)
    cost = np.ones(seeds.shape[:2], np.float32)
    return SeedField(seeds, np.broadcast_to(np.float32(vectors), seeds.shape).copy(), cost, cost, step)


def random_field(height, width, step, seed):
    rng = np.random.default_rng(seed)
    field = seed_field((0, 0), height, width, step)
    field.vectors[:] = rng.normal(0, 4, field.vectors.shape)
    field.cost[rng.random(field.cost.shape) < 0.2] = np.inf
    return field


def slow_error(forward, backward, reach):
    error = np.full(forward.cost.shape, np.inf)
    rows, columns = backward.cost.shape
    for place in np.ndindex(*forward.cost.shape):
        landing = forward.points[place] + forward.vectors[place] - backward.points[0, 0]
        column, row = np.rint(landing / backward.step).astype(int)
        for y in range(row - reach, row + reach + 1):
            for x in range(column - reach, column + reach + 1):
                asked = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
                if np.isfinite(backward.cost[asked]) and np.isfinite(forward.cost[place]):
                    back = np.hypot(*(forward.vectors[place] + backward.vectors[asked]))
                    error[place] = min(error[place], back)
    return error


@pytest.mark.parametrize("reach", [0, 1, 2])
@pytest.mark.parametrize("steps", [(3, 3), (3, 1), (1, 4)])
def test_error_equals_the_slow_loop(reach, steps):
    forward, backward = random_field(20, 31, steps[0], 0), random_field(23, 28, steps[1], 1)
    error = two_way_error(forward, backward, reach)
    np.testing.assert_allclose(error, slow_error(forward, backward, reach), rtol=1e-5)


def test_opposite_fields_agree_and_a_match_without_cost_does_not():
    forward, backward = seed_field((7, -2), 30, 40, 3), seed_field((-7, 2), 30, 40, 3)
    forward.cost[2, 3] = np.inf
    error = two_way_error(forward, backward, reach=1)
    assert np.isinf(error[2, 3]) and np.isinf(error).sum() == 1
    assert (two_way_error(forward, backward) <= 0).sum() == error.size - 1


def joined_seeds(vectors, left, place, tolerance):
    """Yield the seeds beside one that are left and move alike."""
    y, x = place
    for beside in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
        inside = 0 <= beside[0] < left.shape[0] and 0 <= beside[1] < left.shape[1]
        if inside and left[beside] and np.hypot(*(vectors[place] - vectors[beside])) <= tolerance:
            yield beside


def slow_islands(vectors, keep, tolerance, smallest):
    """Flood from every seed that is left."""
    found, left = keep.copy(), keep.copy()
    for start in np.ndindex(*keep.shape):
        group, front = [], [start] if left[start] else []
        while front:
            place = front.pop()
            if left[place]:
                front.extend(joined_seeds(vectors, left, place, tolerance))
                left[place] = False
                group.append(place)
        for place in group:
            found[place] = len(group) >= smallest
    return found


@pytest.mark.parametrize("smallest", [0, 1, 2, 5, 1000])
def test_islands_equal_the_slow_flood(smallest):
    rng = np.random.default_rng(2)
    vectors = rng.integers(0, 3, (17, 19, 2)).astype(np.float32) * 2
    keep = rng.random((17, 19)) < 0.8
    before = keep.copy()
    found = remove_small_islands(vectors, keep, 2.0, smallest)
    np.testing.assert_array_equal(found, slow_islands(vectors, keep, 2.0, smallest))
    np.testing.assert_array_equal(keep, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1)])
def test_narrow_grids_have_islands_too(shape):
    keep = np.ones(shape, bool)
    assert remove_small_islands(np.zeros((*shape, 2), np.float32), keep, 1.0, keep.size).all()
    assert not remove_small_islands(np.zeros((*shape, 2), np.float32), keep, 1.0, keep.size + 1).any()


def test_seeds_sit_in_the_middle_of_their_cells():
    assert seed_axis(9, 3).tolist() == [1, 4, 7]
    assert seed_axis(1, 3).tolist() == [0]
    assert seed_axis(4, 1).tolist() == [0, 1, 2, 3]


def test_neighbours_stay_on_the_grid():
    indices = neighbour_indices(3, 4, 1)
    assert indices[5].tolist() == [0, 1, 2, 4, 6, 8, 9, 10]
    assert indices[0].tolist() == [0, 0, 1, 0, 1, 4, 4, 5]
    assert neighbour_indices(1, 1, 8).tolist() == [[0] * 8]


def turning(change_x, change_y, rows=20, columns=24):
    """Return the vectors of a motion that changes by so many px from one seed to the next."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return x[..., None] * np.float32(change_x) + y[..., None] * np.float32(change_y)


def test_slopes_are_those_of_most_neighbours():
    vectors = turning((1.8, 0.2), (-0.3, 1.7))
    rng = np.random.default_rng(0)
    wrong, known = rng.random((2, *vectors.shape[:2])) < [[[0.15]], [[0.9]]]
    vectors[wrong] += rng.normal(0, 30, (wrong.sum(), 2)).astype(np.float32)
    slopes = motion_slopes(vectors, known)
    off = slopes - np.float32([[1.8, 0.2], [-0.3, 1.7]])
    assert np.median(np.abs(off)) < 1e-3 and np.abs(off[5:-5, 5:-5]).max() < 4


def test_slopes_of_nothing_are_zero():
    vectors = np.ones((1, 5, 2), np.float32)
    assert not motion_slopes(vectors, np.ones((1, 5), np.bool_)).any()
    assert not motion_slopes(turning((3, 0), (0, 3)), np.zeros((20, 24), np.bool_)).any()


def test_a_zoom_is_one_island_and_disorder_is_none():
    """Neighbours differ by 1.8 px, more than the tolerance; at random by as much they hang together not."""
    zoom = turning((1.8, 0), (0, 1.8))
    keep = np.ones(zoom.shape[:2], np.bool_)
    assert remove_small_islands(zoom, keep, 1.5, 50).all()
    disorder = np.random.default_rng(0).normal(0, 3, zoom.shape).astype(np.float32)
    assert not remove_small_islands(disorder, keep, 1.5, 50).any()
