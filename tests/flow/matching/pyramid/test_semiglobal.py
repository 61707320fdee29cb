"""Aggregation beside loops over paths and labels; the search on shifted textures, small images, bad input."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_descriptors import pyramid, texture

from flow.matching.pyramid.aggregation import (
    DIRECTIONS,
    VACANT,
    aggregate_lists,
    aggregate_volume,
    lowest_labels,
    path_starts,
)
from flow.matching.pyramid.semiglobal import LEAST_ROWS, bands, match_semiglobal
from flow.matching.pyramid.volume import MEDIAN, cost_volume, median_lowest_cost
from flow.matching.search_settings import SemiGlobalSettings
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match
from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in


def path_costs(costs, price, dx, dy):
    """Follow the recursion of the module's heading pixel by pixel: costs `(H, W, L)`, price(p, l, q, l')."""
    height, width, labels = costs.shape
    result = np.zeros(costs.shape)
    rows = range(height) if dy >= 0 else range(height - 1, -1, -1)
    columns = range(width) if dx >= 0 else range(width - 1, -1, -1)
    for y, x in product(rows, columns):
        result[y, x] = costs[y, x]
        qy, qx = y - dy, x - dx
        if 0 <= qy < height and 0 <= qx < width:
            for k in range(labels):
                ways = [result[qy, qx, j] + price((y, x), k, (qy, qx), j) for j in range(labels)]
                result[y, x, k] += min(ways) - result[qy, qx].min()
    return result


@pytest.mark.parametrize("directions", [4, 8])
def test_volume_is_aggregated_as_the_recursion_says(directions):
    rng = np.random.default_rng(directions)
    volume = rng.integers(0, 256, (4, 5, 3, 4), dtype=np.uint8)

    def price(_p, k, _q, j):
        apart = abs(k // 4 - j // 4) + abs(k % 4 - j % 4)
        return (0, 20, 50)[min(apart, 2)]

    flat = volume.reshape(4, 5, 12).astype(float)
    expected = sum(path_costs(flat, price, dx, dy) for dx, dy in DIRECTIONS[:directions])
    total = aggregate_volume(volume, 20, 50, directions)
    np.testing.assert_array_equal(total.reshape(4, 5, 12), expected)


@pytest.mark.parametrize("directions", [4, 8])
def test_lists_are_aggregated_as_the_recursion_says(directions):
    rng = np.random.default_rng(directions)
    costs = rng.random((5, 4, 3), dtype=np.float32)
    vectors = rng.integers(-3, 4, (5, 4, 2, 3)).astype(np.float32)

    def price(p, k, q, j):
        return min(0.1 * np.abs(vectors[p][:, k] - vectors[q][:, j]).sum(), 0.35)

    expected = sum(path_costs(costs, price, dx, dy) for dx, dy in DIRECTIONS[:directions])
    total = aggregate_lists(vectors, costs, 0.1, 0.35, directions)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_without_penalties_every_pixel_keeps_its_own_cost():
    volume = np.random.default_rng(0).integers(0, 256, (3, 4, 2, 2), dtype=np.uint8)
    np.testing.assert_array_equal(aggregate_volume(volume, 0, 0, 8), 8 * volume.astype(np.uint16))


def test_vacant_places_stay_above_all_others():
    costs = np.full((3, 3, 2), VACANT, np.float32)
    costs[..., 0] = 1
    total = aggregate_lists(np.zeros((3, 3, 2, 2), np.float32), costs, 0.1, 1, 8)
    assert np.isfinite(total).all() and (total[..., 0] < total[..., 1]).all()


def test_every_pixel_lies_on_one_path_of_each_direction():
    for (dx, dy), (rows, columns) in product(DIRECTIONS, [(1, 1), (1, 5), (4, 3)]):
        visits = np.zeros((rows, columns), int)
        for start in path_starts(rows, columns, dx, dy):
            for step in range(max(rows, columns)):
                x, y = start + step * np.array((dx, dy))
                if 0 <= x < columns and 0 <= y < rows:
                    visits[y, x] += 1
        assert (visits == 1).all()


def test_lowest_labels_lie_apart():
    total = np.full((1, 1, 5, 7), 100, np.uint16)
    total[0, 0, 2, 3], total[0, 0, 2, 4], total[0, 0, 0, 0], total[0, 0, 4, 6] = 1, 2, 4, 3
    kept = np.zeros((1, 1, 3, 2), np.int32)
    lowest_labels(total, 1, kept)
    assert kept[0, 0].tolist() == [[3, 2], [6, 4], [0, 0]]
    crowded = np.zeros((1, 1, 3, 2), np.int32)
    lowest_labels(total[..., 1:4, 2:5].copy(), 5, crowded)
    assert crowded[0, 0].tolist() == [[1, 1]] * 3


def test_volume_holds_the_distances_of_the_window():
    rng = np.random.default_rng(0)
    first, second = (torch.from_numpy(rng.random((4, 5, 6), dtype=np.float32)) for _ in range(2))
    unit = median_lowest_cost(first, second)
    distance = torch.cdist(first.flatten(0, 1).double(), second.flatten(0, 1).double()).square()
    assert unit == pytest.approx(float(distance.amin(dim=1).median()), rel=1e-4)
    volume = cost_volume(first, second, 3, 2, unit)
    assert volume.shape == (4, 5, 5, 7)
    for y, x, v, u in np.ndindex(volume.shape):
        row, column = y + v - 2, x + u - 3
        if not (0 <= row < 4 and 0 <= column < 5):
            assert volume[y, x, v, u] == 255
        else:
            true = min(255.0, MEDIAN * float(distance[y * 5 + x, row * 5 + column]) / unit)
            assert abs(volume[y, x, v, u] - true) < 0.51


def made_pair(shift, levels=3, size=(72, 96)):
    """Describe a texture and the same moved by whole pixels, x then y."""
    (dx, dy), (height, width) = shift, size
    large = texture(height + abs(dy), width + abs(dx), 0)
    x, y = max(dx, 0), max(dy, 0)
    first = large[y : y + height, x : x + width]
    second = large[y - dy : y - dy + height, x - dx : x - dx + width]
    return pyramid(first, levels), pyramid(second, levels)


def share_right(field, shift, margin=8):
    """Return the share of seeds with the vector of the shift, of those that see no border in either image."""
    target = field.points + np.array(shift)
    size = (96, 72)
    inside = ((np.minimum(field.points, target) >= margin).all(axis=-1)) & (
        (np.maximum(field.points, target) < np.subtract(size, margin)).all(axis=-1)
    )
    assert inside.sum() > 50
    return (np.rint(field.vectors) == shift).all(axis=-1)[inside].mean()


@pytest.mark.parametrize("shift", [(0, 0), (13, -6), (-22, 9)])
def test_a_shift_is_found_both_ways(shift):
    dense = match_semiglobal(*made_pair(shift))
    assert share_right(dense.forward, shift) > 0.95
    assert share_right(dense.backward, tuple(np.negative(shift))) > 0.95
    right = (np.rint(dense.forward.vectors) == shift).all(axis=-1)
    assert (dense.forward.cost <= dense.forward.second_cost)[right].mean() > 0.9
    assert np.isfinite(dense.forward.cost).all()


def test_a_part_of_the_volume_is_that_part():
    first, second = (torch.randn(7, 6, 4, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    whole = cost_volume(first, second, 2, 3, 1.0)
    np.testing.assert_array_equal(cost_volume(first, second, 2, 3, 1.0, range(2, 5)), whole[2:5])


@given(st.integers(1, 300), st.floats(0.01, 9), st.floats(0.5, 600))
def test_bands_keep_every_row_once_and_fit(height, row_megabytes, megabytes):
    if min(height, LEAST_ROWS) * row_megabytes > megabytes:
        with pytest.raises(PatchBatchError, match="rows of the cost volume take"):
            bands(height, row_megabytes, megabytes)
        return
    cut = bands(height, row_megabytes, megabytes)
    assert [row for _, kept in cut for row in kept] == list(range(height))
    for wide, kept in cut:
        assert len(wide) * row_megabytes <= megabytes
        assert wide.start <= kept.start and kept.stop <= wide.stop
        beyond = int(megabytes / row_megabytes) // 4
        assert wide.start == 0 or kept.start - wide.start == beyond
        assert wide.stop == height or wide.stop - kept.stop == beyond


def test_a_volume_in_bands_finds_what_the_whole_one_finds():
    pair = made_pair((8, 4))
    settings = SemiGlobalSettings(volume_level=1, max_motion=24, volume_mb=100)
    whole = match_semiglobal(*pair, settings).forward
    banded = match_semiglobal(*pair, replace(settings, volume_mb=1.2)).forward  # 13 rows of 36
    assert share_right(banded, (8, 4)) > 0.95
    assert (whole.vectors == banded.vectors).all(axis=-1).mean() > 0.95


def test_the_level_of_the_volume_can_be_chosen():
    pair = made_pair((20, 4))
    assert share_right(match_semiglobal(*pair, SemiGlobalSettings(volume_level=1)).forward, (20, 4)) > 0.95
    # The window of the level that is named, not of the coarsest, is what `max_motion` bounds.
    near = SemiGlobalSettings(volume_level=0, max_motion=8, search_radius=1)
    assert share_right(match_semiglobal(*pair, near).forward, (20, 4)) < 0.1


@pytest.mark.parametrize("changes", [{"grid_level": 0}, {"grid_level": 1, "directions": 4}, {"step": 5}])
def test_other_grids_find_it_too(changes):
    forward = match_semiglobal(*made_pair((8, 4)), SemiGlobalSettings(**changes)).forward
    assert share_right(forward, (8, 4)) > 0.95


def test_smoothing_mends_what_noise_breaks():
    first, second = made_pair((8, 0), levels=2)
    noisy = [d + 0.12 * torch.randn(d.shape, generator=torch.Generator().manual_seed(1)) for d in second]
    plain = SemiGlobalSettings(search_radius=1, smoothness=0)
    rough = match_semiglobal(first, noisy, replace(plain, small_penalty=0, large_penalty=0))
    smooth = match_semiglobal(first, noisy, plain)

    def share(dense):
        return (np.abs(dense.forward.vectors - (8, 0)).max(axis=-1) <= 1).mean()

    assert share(smooth) > share(rough)


def test_threads_do_not_change_the_answer():
    pair = made_pair((5, 3))
    answers = []
    for threads in (1, 3):
        with loops_in(threads):
            answers.append(match_semiglobal(*pair).forward)
    np.testing.assert_array_equal(answers[0].vectors, answers[1].vectors)
    np.testing.assert_array_equal(answers[0].cost, answers[1].cost)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (5, 5)])
def test_small_images_have_matches_inside(size):
    first = torch.rand(*size, 9, generator=torch.Generator().manual_seed(0))
    levels = [first, first[::2, ::2].contiguous()]
    forward = match_semiglobal(levels, levels).forward
    target = forward.points + forward.vectors
    assert ((target >= 0) & (target < size[::-1])).all()
    assert (forward.cost == 0).all()


def test_images_of_two_sizes():
    first, second = made_pair((4, 0))
    cut = [
        second[0][:40, :60].contiguous(),
        second[1][:20, :30].contiguous(),
        second[2][:10, :15].contiguous(),
    ]
    dense = match_semiglobal(first, cut)
    target = dense.forward.points + dense.forward.vectors
    assert ((target >= 0) & (target < (60, 40))).all()
    assert dense.backward.grid == (13, 20)


def test_is_a_method_of_the_matching_stage():
    matches = match(*made_pair((8, 4)), MatchingSettings(method="semi-global"))
    assert len(matches) > 400
    assert np.median(np.abs(matches.vectors - (8, 4)).max(axis=1)) < 0.1
    with pytest.raises(PatchBatchError, match="semi-global matching needs a list"):
        match(torch.zeros(3, 3, 4), torch.zeros(3, 3, 4), MatchingSettings(method="semi-global"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 0}, "step is 0"),
        ({"strides": (1, 0)}, "strides is"),
        ({"directions": 6}, "directions is 6; give one of 4, 8"),
        ({"grid_level": -1}, "grid_level is -1"),
        ({"small_penalty": 2.0}, "small_penalty is 2.0, more than large_penalty"),
        ({"large_penalty": float("nan")}, "large_penalty is nan"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(PatchBatchError, match=message):
        SemiGlobalSettings(**changes)


def test_pyramids_that_do_not_fit():
    zeros = torch.zeros
    with pytest.raises(PatchBatchError, match="1 and 0 levels"):
        match_semiglobal([zeros(4, 4, 2)], [])
    with pytest.raises(PatchBatchError, match="halve and round up, to"):
        match_semiglobal([zeros(4, 4, 2), zeros(3, 2, 2)], [zeros(4, 4, 2), zeros(2, 2, 2)])
    with pytest.raises(PatchBatchError, match="describe both images with one model"):
        match_semiglobal([zeros(4, 4, 2)], [zeros(4, 4, 3)])
    with pytest.raises(PatchBatchError, match="4 rows of the cost volume take"):
        match_semiglobal([zeros(300, 400, 1)], [zeros(300, 400, 1)])
