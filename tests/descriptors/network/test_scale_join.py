"""Joining of scales: against the plain way through whole images, in training and at inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import BatchLoss
from patchbatch.descriptors.train.grid import describe_grid
from patchbatch.descriptors.train.objective import points_loss
from patchbatch.descriptors.train.points import grid_places
from patchbatch.descriptors.train.settings import ObjectiveSettings
from patchbatch.descriptors.train.warm_start import start_from
from patchbatch.errors import PatchBatchError

SMALL = replace(
    PRESETS["compact"], channels=(2, 3, 4, 5, 6), sides=(2,), context=(0.7, 0.5), joint=(9, 7), input_std=0.3
)


@pytest.fixture
def net() -> PatchNet:
    torch.manual_seed(0)
    return PatchNet(SMALL).eval()


@torch.no_grad()
def test_joined_descriptors_are_the_small_net_of_the_scales_side_by_side(net):
    image = np.random.default_rng(1).random((45, 38), np.float32)
    joined = describe_pyramid(image, net, 2, "float32")
    assert [tuple(level.shape) for level in joined] == [(45, 38, 7), (23, 19, 7)]
    assert not any(level.requires_grad for level in joined)
    joining, net.joining = net.joining, None
    beside = describe_pyramid(image, net, 2, "float32")
    for mine, scales in zip(joined, beside, strict=True):
        first, second = joining.layers
        hidden = scales @ first.weight.T + first.bias
        hidden = torch.where(hidden > 0, hidden, 0.1 * hidden)
        plain = hidden @ second.weight.T + second.bias
        torch.testing.assert_close(mine, plain / plain.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize(("crop", "surround", "stride"), [(144, 8, 2), (149, 0, 4), (160, 40, 1)])
@torch.no_grad()
def test_a_training_grid_sees_what_whole_halved_crops_show(net, crop, surround, stride):
    images = torch.rand(2, 1, crop, crop)
    side = (crop - 61 - 2 * surround - 1) // stride + 1
    places = grid_places((side, side), 31 + surround, stride)
    own, joined = describe_grid(net, images, places, stride, surround)
    scales = [_everywhere(net, images)]
    for level, weight in enumerate(net.config.context, 1):
        small = F.avg_pool2d(images, 2**level)
        mean, deviation = small.mean((2, 3), keepdim=True), small.std((2, 3), keepdim=True)
        coarse = _everywhere(net, (small - mean) / deviation * 0.3 + 0.45)
        full = [size * 2**level for size in coarse.shape[-2:]]
        enlarged = F.interpolate(coarse, size=full, mode="bilinear", align_corners=False)
        scales.append(weight * F.pad(enlarged, [0, crop - full[1], 0, crop - full[0]]))
    x, y = places.long().T
    at_places = [scale[:, :, y, x].transpose(1, 2) for scale in scales]
    torch.testing.assert_close(own, at_places[0])
    plain = net.joining(torch.cat(at_places, dim=2).flatten(0, 1)).view(2, len(places), -1)
    torch.testing.assert_close(joined, plain, rtol=1e-4, atol=1e-5)


def test_crops_too_small_for_a_quarter_are_refused(net):
    with pytest.raises(PatchBatchError, match="crops are too small"):
        describe_grid(net, torch.rand(1, 1, 96, 96), grid_places((10, 10), 31, 2), 2, 0)


def _everywhere(net, images):
    return net.dense(F.pad(images, [31, 30, 31, 30], mode="reflect"))


def test_the_finest_scale_learns_by_itself_too(net):
    net.train()
    objective = ObjectiveSettings(loss="softmax", surround=8, alone=0.5)
    loss = BatchLoss(net, objective, bfloat16=False, seed=0)
    image = torch.rand(1, 128, 128)
    batch = (image, image, torch.zeros(1, 128, 128, 2), torch.ones(1, 128, 128, dtype=torch.bool))
    set1, set2, matches = loss.described(batch, [0])[0]
    joined = points_loss(set1, set2, matches, objective)
    alone = points_loss(set1.finest(), set2.finest(), matches, objective)
    torch.testing.assert_close(loss(batch, [0]), joined + 0.5 * alone)


def test_how_scales_are_joined_is_copied_where_it_fits(net):
    other, wider = PatchNet(SMALL), PatchNet(replace(SMALL, joint=(7,)))
    start_from(other, net)
    start_from(wider, net)
    torch.testing.assert_close(other.joining.state_dict(), net.joining.state_dict())
    assert wider.joining.layers[0].weight.shape == (7, 18)
