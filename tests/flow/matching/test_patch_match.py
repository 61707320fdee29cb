"""PatchMatch and jump flooding: near the exact answer, honest costs, the same seed the same matches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flow.matching.exact.search import nearest_neighbours
from flow.matching.jump_flood import jump_flooding
from flow.matching.patch_match import patchmatch
from flow.matching.search_settings import JumpFloodingSettings, PatchMatchSettings
from patchbatch.errors import PatchBatchError


def _described(seed=0, shape=(26, 34), margins=(2, 3), numbers=16):
    """Return smooth descriptors of a view, and of a wider one that holds it, a little changed."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (length + 2 * margin for length, margin in zip(shape, margins, strict=True))
    noise = torch.randn(1, numbers, height // 2, width // 2, generator=generator)
    wide = torch.nn.functional.interpolate(noise, size=(height, width), mode="bilinear", align_corners=False)
    wide = wide[0].permute(1, 2, 0).contiguous()
    narrow = wide[margins[0] : -margins[0], margins[1] : -margins[1]]
    return narrow + 0.1 * torch.randn(narrow.shape, generator=generator), wide


SEARCHES = {
    "patchmatch": lambda a, b, seed: patchmatch(a, b, PatchMatchSettings(seed=seed)),
    "jump-flooding": lambda a, b, seed: jump_flooding(a, b, JumpFloodingSettings(rounds=3, seed=seed)),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_converged_run_is_within_one_percent_of_the_exact_cost(name):
    # Of pixels that have a counterpart: nearest ones by chance lie anywhere, so nothing leads there.
    narrow, wide = _described()
    exact = nearest_neighbours(narrow, wide).distance12.sum()
    for found in (SEARCHES[name](narrow, wide, 0).distance12, SEARCHES[name](wide, narrow, 0).distance21):
        assert exact * (1 - 1e-5) <= found.sum() <= 1.01 * exact


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


@pytest.mark.parametrize("name", SEARCHES)
def test_without_search_or_start_it_is_the_pixel_itself(name):
    d, start = torch.randn(9, 11, 6), {"search_radius": 0.0, "start_x": 0, "start_y": 0}
    if name == "patchmatch":
        found = patchmatch(d, torch.zeros(7, 9, 6), PatchMatchSettings(**start))
    else:
        found = jump_flooding(d, torch.zeros(7, 9, 6), JumpFloodingSettings(**start))
    y, x = np.indices((9, 11))
    np.testing.assert_array_equal(found.index12, np.minimum(y, 6) * 9 + np.minimum(x, 8))


@pytest.mark.parametrize("name", SEARCHES)
def test_descriptors_that_are_no_numbers_cost_infinity_and_are_not_chosen(name):
    d1, d2 = _described(shape=(16, 18), margins=(2, 2))
    d1[3, 4], d2[5, 6] = torch.nan, torch.nan
    found = SEARCHES[name](d1, d2, 0)
    assert np.isinf(found.distance12[3, 4])
    chosen = np.isfinite(found.distance12)
    assert (found.index12[chosen] != 5 * d2.shape[1] + 6).all()


@pytest.mark.parametrize("name", SEARCHES)
def test_one_pixel(name):
    found = SEARCHES[name](torch.ones(1, 1, 2), torch.zeros(1, 1, 2), 0)
    assert found.index12 == 0 and found.distance21 == 2


def test_patchmatch_wants_the_cpu():
    with pytest.raises(PatchBatchError, match="jump flooding anywhere"):
        patchmatch(torch.zeros(2, 2, 3, device="meta"), torch.zeros(2, 2, 3, device="meta"))
