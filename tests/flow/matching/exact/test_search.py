"""Exact nearest neighbours against brute force in float64."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from flow.matching.exact import running_best, sweep
from flow.matching.exact import search as exact
from flow.matching.exact.search import nearest_neighbours
from flow.matching.search_settings import ExactSettings
from flow.matching.seeds import seed_grid
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


def assert_equals_brute_force(found, d1, d2, window=None):
    for index, distance, expected in (
        (found.index12, found.distance12, brute_force(d1, d2, window)),
        (found.index21, found.distance21, brute_force(d2, d1, window)),
    ):
        np.testing.assert_array_equal(index, expected[0])
        np.testing.assert_allclose(distance, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [None, 0, 3, 50])
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_both_directions_equal_brute_force(window, precision):
    d1, d2 = described(37, 19, 9, 0), described(21, 35, 9, 1)
    found = nearest_neighbours(d1, d2, ExactSettings(window, precision=precision))
    assert_equals_brute_force(found, d1, d2, window)


@pytest.mark.parametrize("window", [None, 5])
def test_near_ties_that_the_product_cannot_tell_apart_are_told_apart(window):
    d1 = described(12, 40, 64, 2)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    d2 = d1[:, order] + 3e-4 * described(12, 40, 64, 4)
    d1 = torch.nn.functional.normalize(d1 * 1e-3 + described(1, 1, 64, 5), dim=-1)
    d2 = torch.nn.functional.normalize(d2 * 1e-3 + described(1, 1, 64, 5), dim=-1)
    found = nearest_neighbours(d1, d2, ExactSettings(window, precision="bfloat16"))
    for index, distance, expected in (
        (found.index12, found.distance12, brute_force(d1, d2, window)),
        (found.index21, found.distance21, brute_force(d2, d1, window)),
    ):
        assert (index == expected[0]).mean() > 0.99  # float32 itself may order the closest otherwise
        np.testing.assert_allclose(distance, expected[1], rtol=1e-3)


def test_small_memory_and_many_tiles_change_nothing(monkeypatch):
    d1, d2 = described(40, 70, 5, 6), described(45, 66, 5, 7)
    expected = nearest_neighbours(d1, d2)
    monkeypatch.setattr(sweep, "GLOBAL_TILE", (7, 9))
    monkeypatch.setattr(sweep, "PRODUCTS", 500)
    monkeypatch.setattr(sweep, "FIXED_MB", exact.LEAST_WORK_MB - 0.02)
    found = nearest_neighbours(d1, d2, ExactSettings(memory_mb=1))
    np.testing.assert_array_equal(found.index12, expected.index12)
    np.testing.assert_array_equal(found.index21, expected.index21)
    assert_equals_brute_force(nearest_neighbours(d1, d2, ExactSettings(4, memory_mb=1)), d1, d2, 4)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_matter(threads, monkeypatch):
    values = torch.from_numpy(np.random.default_rng(8).integers(0, 3, (20, 30, 4))).float()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert_equals_brute_force(nearest_neighbours(values, values.flip(1)), values, values.flip(1))


@pytest.mark.parametrize(("step", "window"), [(3, None), (3, 0), (4, 6)])
def test_a_grid_of_queries_is_every_step_th_pixel(step, window):
    d1, d2 = described(31, 44, 6, 9), described(30, 41, 6, 10)
    found = nearest_neighbours(d1, d2, ExactSettings(window, step))
    x, y = seed_grid(31, 44, step).transpose(2, 0, 1)
    np.testing.assert_array_equal(found.index12, brute_force(d1, d2, window)[0][y, x])
    off_grid = torch.full_like(d1, torch.inf)
    off_grid[y, x] = d1[y, x]
    np.testing.assert_array_equal(found.index21, brute_force(d2, off_grid, window)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_are_compared_in_float32(dtype):
    d1, d2 = described(9, 8, 33, 2).to(dtype), described(9, 8, 33, 3).to(dtype)
    found = nearest_neighbours(d1, d2)
    assert found.distance12.dtype == np.float32
    assert_equals_brute_force(found, d1, d2)


def test_float16_at_the_ends_of_its_range():
    values = torch.tensor([65504, 2.0**-14, 2.0**-24, 3 * 2.0**-24, -65504, -(2.0**-24), 0, 1]).half()
    found = nearest_neighbours(values.reshape(2, 4, 1), values.flip(0).reshape(4, 2, 1))
    np.testing.assert_array_equal(found.index12.ravel(), np.arange(8)[::-1])
    assert not found.distance12.any()


def test_strides_of_the_input_do_not_matter():
    d1, d2 = described(12, 10, 8, 11), described(12, 10, 8, 12)
    planes = d1.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert_equals_brute_force(nearest_neighbours(planes, d2), d1, d2)


@pytest.mark.parametrize("search", [exact.search_on_cpu, exact.search_in_torch])
def test_equal_distances_go_to_the_lowest_index_across_tiles(search, monkeypatch):
    monkeypatch.setattr(exact, "search_on_cpu", search)
    monkeypatch.setattr(sweep, "GLOBAL_TILE", (3, 2))
    monkeypatch.setattr(running_best, "TILE_ROWS", 3)
    values = torch.from_numpy(np.random.default_rng(4).integers(0, 2, (8, 7, 3))).float()
    assert_equals_brute_force(nearest_neighbours(values, values.flip(0)), values, values.flip(0))


@pytest.mark.parametrize("window", [None, 0, 6])
@pytest.mark.parametrize("step", [1, 3])
def test_plain_torch_gives_the_same_answer(window, step, monkeypatch):
    d1, d2 = described(25, 31, 16, 13).bfloat16(), described(22, 33, 16, 14).bfloat16()
    expected = nearest_neighbours(d1, d2, ExactSettings(window, step))
    monkeypatch.setattr(exact, "search_on_cpu", exact.search_in_torch)
    monkeypatch.setattr(running_best, "TILE_ROWS", 10)
    found = nearest_neighbours(d1, d2, ExactSettings(window, step))
    np.testing.assert_array_equal(found.index12, expected.index12)
    np.testing.assert_array_equal(found.index21, expected.index21)
    np.testing.assert_allclose(found.distance12, expected.distance12, rtol=1e-5)


def test_constant_descriptors_all_match_the_first_pixel():
    found = nearest_neighbours(torch.ones(5, 6, 4), torch.ones(5, 6, 4))
    assert not found.index12.any() and not found.distance21.any()


def test_a_window_can_hold_nothing():
    found = nearest_neighbours(described(2, 9, 3, 5), described(2, 4, 3, 6), ExactSettings(window=1))
    assert (found.index12[:, 5:] == -1).all() and np.isinf(found.distance12[:, 5:]).all()


@pytest.mark.parametrize("search", [exact.search_on_cpu, exact.search_in_torch])
def test_descriptors_that_are_no_numbers_match_nothing(search, monkeypatch):
    monkeypatch.setattr(exact, "search_on_cpu", search)
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


@pytest.mark.parametrize("settings", [{"window": -1}, {"memory_mb": 0}, {"step": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PatchBatchError, match="give"):
        ExactSettings(**settings)


def test_a_precision_that_is_not_known_is_refused():
    with pytest.raises(PatchBatchError, match="precision"):
        nearest_neighbours(torch.ones(1, 1, 1), torch.ones(1, 1, 1), ExactSettings(precision="int8"))


PEAK_MEMORY = """
import resource, torch
from flow.matching.exact.search import nearest_neighbours
from flow.matching.search_settings import ExactSettings
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
small = torch.randn(40, 40, 32).bfloat16()
nearest_neighbours(small, small, ExactSettings(3))  # compiled code and threads
d1, d2 = (torch.randn(1500, 2000, 32).bfloat16() for _ in range(2))
before = peak_mb()
nearest_neighbours(d1, d2, ExactSettings(3, step=2, memory_mb=64))
print(peak_mb() - before)
"""


@pytest.mark.slow
def test_memory_stays_within_what_is_allowed():
    result = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY], capture_output=True, text=True, check=True, timeout=300
    )
    assert float(result.stdout) < 64
