"""The CUDA kernel against the search on the CPU, and when it is chosen."""

import numpy as np
import pytest
import torch

from flow.matching.exact import cuda as kernels
from flow.matching.exact import search as exact
from flow.matching.exact.search import nearest_neighbours
from flow.matching.search_settings import ExactSettings

HAS_GPU = torch.cuda.is_available() and kernels.triton_is_there()
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs a CUDA device and Triton")


def described(height: int, width: int, numbers: int, seed: int) -> torch.Tensor:
    return torch.randn(height, width, numbers, generator=torch.Generator().manual_seed(seed))


def assert_equal(found, expected):
    for name in ("index12", "index21"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("distance12", "distance21"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5)


def test_the_cpu_does_not_use_it():
    assert not kernels.usable(torch.zeros(2, 2, 3))


def test_keys_are_unpacked_to_products_and_slots():
    half = torch.tensor([[0.0, 1.5, torch.inf]]).view(torch.int32).long()
    keys = torch.cat([half << 32 | torch.tensor([[7, 2**31 - 2, 0]]), torch.full((1, 3), kernels.NO_KEY)])
    candidates = kernels.candidates_of(keys)
    assert candidates.product.tolist() == [[0, -torch.inf], [-1.5, -torch.inf], [-torch.inf, -torch.inf]]
    assert candidates.slot[:2, 0].tolist() == [7, 2**31 - 2]


@needs_gpu
@pytest.mark.parametrize("window", [None, 0, 9, 60])
@pytest.mark.parametrize(("step", "numbers"), [(1, 64), (3, 37)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_kernel_and_the_cpu_agree(window, step, numbers, dtype):
    d1, d2 = described(67, 150, numbers, 0).to(dtype), described(71, 133, numbers, 1).to(dtype)
    precision = "float32" if dtype == torch.float32 else "auto"
    found = nearest_neighbours(d1.cuda(), d2.cuda(), ExactSettings(window, step, precision))
    assert_equal(found, nearest_neighbours(d1, d2, ExactSettings(window, step)))


@needs_gpu
def test_equal_distances_go_to_the_lowest_index():
    values = torch.from_numpy(np.random.default_rng(4).integers(0, 2, (40, 50, 3))).half()
    found = nearest_neighbours(values.cuda(), values.flip(0).cuda())
    assert_equal(found, nearest_neighbours(values, values.flip(0)))


@needs_gpu
def test_descriptors_that_are_no_numbers_match_nothing():
    d1, d2 = described(20, 30, 16, 7).half(), described(20, 30, 16, 8).half()
    d1[1, 1] = torch.nan
    assert_equal(nearest_neighbours(d1.cuda(), d2.cuda()), nearest_neighbours(d1, d2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("window", [None, 12])
def test_plain_torch_on_the_gpu_and_the_cpu_agree(window, monkeypatch):
    monkeypatch.setattr(exact.kernels, "usable", lambda descriptors: False)
    d1, d2 = described(60, 80, 48, 2).half(), described(61, 79, 48, 3).half()
    found = nearest_neighbours(d1.cuda(), d2.cuda(), ExactSettings(window))
    assert_equal(found, nearest_neighbours(d1, d2, ExactSettings(window)))
