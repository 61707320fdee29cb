"""Exact nearest neighbours against brute force in float64."""

import numpy as np
import pytest
import torch

from flow.matching.exact import ExactSettings, nearest_neighbours
from patchbatch.errors import PatchBatchError


def described(height: int, width: int, numbers: int, seed: int) -> torch.Tensor:
    return torch.randn(height, width, numbers, generator=torch.Generator().manual_seed(seed))


def brute_force(descriptors1, descriptors2, window=None):
    """Return index and squared distance from image 1 into image 2, by the definition, in float64."""
    (h1, w1, _), (h2, w2, _) = descriptors1.shape, descriptors2.shape
    a, b = descriptors1.double().numpy(), descriptors2.double().numpy()
    index, distance = np.full((h1, w1), -1), np.full((h1, w1), np.inf)
    for y, x in np.ndindex(h1, w1):
        all_distances = ((b - a[y, x]) ** 2).sum(axis=-1)
        if window is not None:
            rows, columns = np.mgrid[:h2, :w2]
            all_distances[(abs(rows - y) > window) | (abs(columns - x) > window)] = np.inf
        if np.isfinite(all_distances.min()):
            index[y, x], distance[y, x] = all_distances.argmin(), all_distances.min()
    return index, distance


@pytest.mark.parametrize("window", [None, 0, 3])
@pytest.mark.parametrize("megabytes", [1e-3, 8])
def test_both_directions_equal_brute_force(window, megabytes):
    d1, d2 = described(7, 9, 9, 0), described(8, 6, 9, 1)
    found = nearest_neighbours(d1, d2, ExactSettings(window, megabytes))
    for index, distance, expected in (
        (found.index12, found.distance12, brute_force(d1, d2, window)),
        (found.index21, found.distance21, brute_force(d2, d1, window)),
    ):
        np.testing.assert_array_equal(index, expected[0])
        np.testing.assert_allclose(distance, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_descriptors_are_compared_in_float32(dtype):
    d1, d2 = described(9, 8, 33, 2).to(dtype), described(9, 8, 33, 3).to(dtype)
    found = nearest_neighbours(d1, d2)
    assert found.distance12.dtype == np.float32
    np.testing.assert_array_equal(found.index12, brute_force(d1, d2)[0])


def test_equal_distances_go_to_the_lowest_index_across_tiles():
    values = torch.from_numpy(np.random.default_rng(4).integers(0, 2, (8, 7, 3))).float()
    found = nearest_neighbours(values, values.flip(0), ExactSettings(tile_megabytes=0.001))
    np.testing.assert_array_equal(found.index12, brute_force(values, values.flip(0))[0])
    np.testing.assert_array_equal(found.index21, brute_force(values.flip(0), values)[0])


def test_constant_descriptors_all_match_the_first_pixel():
    found = nearest_neighbours(torch.ones(5, 6, 4), torch.ones(5, 6, 4))
    assert not found.index12.any() and not found.distance21.any()


def test_a_window_can_hold_nothing():
    found = nearest_neighbours(described(2, 9, 3, 5), described(2, 4, 3, 6), ExactSettings(window=1))
    assert (found.index12[:, 5:] == -1).all() and np.isinf(found.distance12[:, 5:]).all()


def test_descriptors_that_are_no_numbers_match_nothing():
    d1, d2 = described(3, 3, 4, 7), described(3, 3, 4, 8)
    d1[1, 1] = torch.nan
    found = nearest_neighbours(d1, d2)
    assert found.index12[1, 1] == -1
    assert (found.index21 != 4).all() and (found.index21 >= 0).all()


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (torch.zeros(3, 4), torch.zeros(3, 4, 5), "descriptors 1 have shape"),
        (torch.zeros(3, 4, 5), torch.zeros(3, 0, 5), "descriptors 2 have shape"),
        (torch.zeros(3, 4, 5), torch.zeros(3, 4, 6), "one model"),
        (torch.zeros(3, 4, 5, dtype=torch.int32), torch.zeros(3, 4, 5), "floating"),
        (torch.zeros(3, 4, 5), torch.zeros(3, 4, 5, device="meta"), "move one"),
    ],
)
def test_descriptors_that_do_not_fit_are_refused_in_one_line(first, second, says):
    with pytest.raises(PatchBatchError, match=says) as caught:
        nearest_neighbours(first, second)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"window": -1}, {"tile_megabytes": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PatchBatchError, match="give"):
        ExactSettings(**settings)
