"""The engine of dense networks against plain evaluation, its passes against their plain forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from patchbatch.descriptors.evaluate import shift_and_stitch as fragments
from patchbatch.descriptors.evaluate import whole_image as dense_engine
from patchbatch.descriptors.evaluate.context import Between, enlarge, plain_enlarge
from patchbatch.descriptors.evaluate.whole_image import DenseEngine
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet

SMALL = replace(PRESETS["compact"], channels=(3, 4, 6, 5, 7), sides=(1, 3, 4), context=(), joint=())
TYPES = [torch.float32, torch.bfloat16]


def made(config):
    torch.manual_seed(0)
    net = PatchNet(config).train()
    net.dense(torch.rand(2, 1, 100, 100))  # statistics that are not 0 and 1
    return net.eval()


def padded_image(shape):
    return torch.rand(shape[0] + 61, shape[1] + 61, generator=torch.Generator().manual_seed(1))


def evaluated(net, padded, dtype, memory_mb=512):
    out = torch.empty(padded.shape[0] - 61, padded.shape[1] - 61, net.patch_dimension, dtype=dtype)
    DenseEngine(net, dtype, memory_mb).everywhere(padded, out)
    return out


@torch.no_grad()
def plain(net, padded):
    return net.dense(padded[None, None])[0].permute(1, 2, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (35, 2), (16, 32), (53, 47)])
@pytest.mark.parametrize(
    "changes",
    [{}, {"activation": "elu"}, {"sides": (), "unit_length": False}, {"slope": 0.3, "sides": (2,)}],
)
def test_every_pixel_equals_plain_evaluation(shape, changes):
    net, padded = made(replace(SMALL, **changes)), padded_image(shape)
    expected = plain(net, padded)
    torch.testing.assert_close(evaluated(net, padded, torch.float32), expected, rtol=1e-4, atol=1e-5)
    half = evaluated(net, padded, torch.bfloat16).float()
    assert (half - expected).norm() < 0.04 * expected.norm()


@pytest.mark.parametrize("band", [16, 48, 64])
def test_bands_and_strips_change_nothing(monkeypatch, band):
    net, padded = made(SMALL), padded_image((90, 75))
    monkeypatch.setattr(dense_engine, "BAND_CPU", band)
    monkeypatch.setattr(dense_engine, "STRIP_CPU", 32)
    torch.testing.assert_close(
        evaluated(net, padded, torch.float32), plain(net, padded), rtol=1e-4, atol=1e-5
    )


def test_less_memory_means_narrower_strips():
    net = made(replace(PRESETS["fast"], channels=(8, 16, 32, 64, 128)))
    strips = [DenseEngine(net, torch.float32, memory).strip for memory in (1, 4, 8, 4096)]
    assert strips == sorted(strips) and strips[0] == 16 and strips[-1] == dense_engine.STRIP_CPU


def test_numbers_behind_the_descriptor_are_left_alone():
    net, padded = made(SMALL), padded_image((9, 20))
    out = torch.full((9, 20, 12), 5.0)
    DenseEngine(net, torch.float32).everywhere(padded, out)
    torch.testing.assert_close(out[..., :7], plain(net, padded), rtol=1e-4, atol=1e-5)
    assert (out[..., 7:] == 5).all()


def test_the_shipped_sizes_of_networks():
    for name in ("compact", "fast"):
        net, padded = made(PRESETS[name]), padded_image((5, 3))
        torch.testing.assert_close(
            evaluated(net, padded, torch.float32), plain(net, padded), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_fragments_hold_what_pooling_without_stride_gives(dtype):
    maps = torch.randn(1, 5, 9, 3).to(dtype)
    both = []
    for pool in (fragments.pool_to_fragments, fragments.plain_pool_to_fragments):
        pooled = torch.zeros(4, 3, 4, 3, dtype=dtype)  # one row of each is kept from before
        pool(maps[:, :1].contiguous(), maps[:, 1:].contiguous(), 0.1, pooled)
        both.append(pooled)
    torch.testing.assert_close(*both)
    rows = F.leaky_relu(F.max_pool2d(maps.permute(0, 3, 1, 2), 2, stride=1), 0.1)[0].permute(1, 2, 0)
    torch.testing.assert_close(fragments.whole(both[0][:, 1:].contiguous()), rows)
    again = [torch.zeros(16, 1, 1, 3, dtype=dtype) for _ in range(2)]
    before, band = both[0][:, :1, :3].contiguous(), both[0][:, 1:, :3].contiguous()
    fragments.pool_to_fragments(before, band, 0.1, again[0])
    fragments.plain_pool_to_fragments(before, band, 0.1, again[1])
    torch.testing.assert_close(*again)


@pytest.mark.parametrize("dtype", TYPES)
def test_centres_and_the_last_pass_equal_their_plain_forms(dtype):
    maps, sides = torch.randn(4, 3, 5, 2).to(dtype), torch.randn(6, 10, 2).to(dtype)
    rings = [torch.zeros(8, 6, 5, dtype=dtype) for _ in range(2)]
    fragments.take_centres(maps, (2, -3), 0.1, rings[0], 2)
    fragments.plain_take_centres(maps, (2, -3), 0.1, rings[1], 2)
    torch.testing.assert_close(*rings)
    for unit_length in (True, False):
        outs = [torch.zeros(9, 12, 4, dtype=dtype) for _ in range(2)]
        fragments.finish(maps, sides, 0.1, unit_length, outs[0], (4, 5))
        fragments.plain_finish(maps, sides, 0.1, unit_length, outs[1], (4, 5))
        torch.testing.assert_close(*outs)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("coarse", "fine"), [((3, 5), (6, 9)), ((1, 1), (2, 3)), ((4, 7), (13, 28))])
def test_enlarging_is_bilinear(dtype, coarse, fine):
    level = torch.randn(*coarse, 4).to(dtype)
    columns = Between.of(0, fine[1], fine[1], coarse[1])
    torch_way = F.interpolate(level[None, ..., :3].permute(0, 3, 1, 2).float(), size=fine, mode="bilinear")
    for add in (False, True):
        blocks = [torch.ones(*fine, 8, dtype=dtype) for _ in range(2)]
        for first, end in ((0, fine[0] // 2), (fine[0] // 2, fine[0])):
            rows = Between.of(first, end, fine[0], coarse[0])
            enlarge(level, rows, columns, 0.7, blocks[0][first:end], range(4, 7), add=add)
            plain_enlarge(level, rows, columns, 0.7, blocks[1][first:end], range(4, 7), add=add)
        limits = {} if dtype == torch.float32 else {"rtol": 0.01, "atol": 0.01}
        torch.testing.assert_close(*blocks, **limits)
        expected = torch.ones(*fine, 8)
        expected[..., 4:7] = 0.7 * torch_way[0].permute(1, 2, 0) + float(add)
        torch.testing.assert_close(blocks[0].float(), expected, **limits)


def test_rows_are_counted_from_where_a_part_begins():
    rows = Between.of(4, 8, 16, 8).after(1)
    np.testing.assert_array_equal(rows.low, [0, 1, 1, 2])
    np.testing.assert_allclose(rows.share, [0.75, 0.25, 0.75, 0.25])
