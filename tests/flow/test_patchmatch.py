"""PatchMatch and jump flooding: near the exact answer, honest costs, the same seed the same matches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flow.matching.exact import nearest_neighbours
from flow.matching.jump_flooding import JumpFloodingSettings, jump_flooding
from flow.matching.patchmatch import PatchMatchSettings, converging, patchmatch
from patchbatch.errors import PatchBatchError


def _described(seed=0, shape=(34, 46), numbers=8):
    """Return smooth descriptors of two images, the second moved by (3, 2) px and a little changed."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, numbers, shape[0] // 2, shape[1] // 2, generator=generator)
    first = torch.nn.functional.interpolate(noise, size=shape, mode="bilinear", align_corners=False)
    first = first[0].permute(1, 2, 0).contiguous()
    return first, first.roll((2, 3), (0, 1)) + 0.02 * torch.randn(first.shape, generator=generator)


SEARCHES = {
    "patchmatch": lambda a, b, seed: patchmatch(a, b, converging(*a.shape[:2], passes=12, seed=seed)),
    "jump-flooding": lambda a, b, seed: jump_flooding(a, b, JumpFloodingSettings(rounds=12, seed=seed)),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_converged_run_is_within_one_percent_of_the_exact_cost(name):
    first, second = _described()
    found, exact = SEARCHES[name](first, second, 0), nearest_neighbours(first, second)
    for mine, best in ((found.distance12, exact.distance12), (found.distance21, exact.distance21)):
        assert best.sum() <= mine.sum() * (1 + 1e-5)
        assert mine.sum() <= 1.01 * best.sum()


@pytest.mark.parametrize("name", SEARCHES)
def test_the_seed_decides_and_costs_are_those_of_the_matches(name):
    first, second = _described(seed=1)
    one, again = SEARCHES[name](first, second, 3), SEARCHES[name](first, second, 3)
    np.testing.assert_array_equal(one.index12, again.index12)
    matched = second.reshape(-1, second.shape[2])[torch.from_numpy(one.index12.astype(np.int64)).flatten()]
    distance = (first.reshape(-1, first.shape[2]) - matched).square().sum(dim=1)
    np.testing.assert_allclose(one.distance12.ravel(), distance.numpy(), rtol=1e-4, atol=1e-6)


def test_bad_settings_are_named():
    with pytest.raises(PatchBatchError, match="passes is -1"):
        PatchMatchSettings(passes=-1)
    with pytest.raises(PatchBatchError, match="rounds is -1"):
        JumpFloodingSettings(rounds=-1)
