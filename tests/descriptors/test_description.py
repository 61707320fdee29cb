"""Whole images: tiles, precisions, borders and sizes against plain evaluation."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from patchbatch.descriptors.description import (
    describe,
    describe_points,
    describe_pyramid,
    halvings,
    pad_for_patches,
    standardize,
)
from patchbatch.descriptors.network.config import PRESETS, PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

SMALL = PatchNetConfig(
    patch_size=62,
    channels=(4, 6, 8, 10, 12),
    partial_windows=False,
    normalization="per-channel",
    unit_length=True,
    sides=(1, 2, 3, 4),
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = PatchNet(SMALL)
    net.train()
    net.dense(torch.rand(2, 1, 100, 100))  # statistics that are not 0 and 1
    return net.eval()


def plain(net, image):
    """Patch by patch, written down."""
    before = net.patch_size // 2
    canvas = np.pad(standardize(image, net), (before, net.patch_size - 1 - before), mode="reflect")
    size = net.patch_size
    patches = [
        canvas[y : y + size, x : x + size] for y in range(image.shape[0]) for x in range(image.shape[1])
    ]
    with torch.no_grad():
        return net(torch.from_numpy(np.stack(patches))[:, None]).reshape(*image.shape, -1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (13, 21), (40, 33)])
def test_every_pixel_equals_its_patch(net, shape):
    image = np.random.default_rng(0).random(shape, np.float32)
    torch.testing.assert_close(describe(image, net, "float32"), plain(net, image), rtol=1e-4, atol=1e-5)


def test_the_described_pixel_is_the_patch_centre():
    image = np.zeros((9, 9), np.float32)
    image[4, 6] = 1
    padded = pad_for_patches(image, 62)
    assert padded[4 : 4 + 62, 6 : 6 + 62][31, 31] == 1


def test_tiles_change_nothing(net):
    image = np.random.default_rng(1).random((50, 131), np.float32)
    whole = describe(image, net, "float32", memory_mb=512)
    for memory in (1, 3):
        torch.testing.assert_close(
            describe(image, net, "float32", memory_mb=memory), whole, rtol=1e-4, atol=1e-5
        )


def test_bfloat16_agrees_to_its_digits(net):
    image = np.random.default_rng(2).random((30, 30), np.float32)
    half, full = describe(image, net, "bfloat16"), describe(image, net, "float32")
    assert half.dtype == torch.bfloat16
    assert (half.float() * full).sum(dim=2).min() > 0.995


def test_exposure_and_contrast_do_not_matter(net):
    image = np.random.default_rng(3).random((25, 25), np.float32)
    darker = (0.3 * image + 0.05).astype(np.float32)
    torch.testing.assert_close(
        describe(darker, net, "float32"), describe(image, net, "float32"), rtol=1e-3, atol=1e-4
    )


def test_constant_image_is_finite(net):
    assert torch.isfinite(describe(np.full((5, 6), 0.7, np.float32), net, "float32")).all()


def test_patch_by_patch_networks_too():
    torch.manual_seed(0)
    net = PatchNet(PatchNetConfig(patch_size=51, channels=(2, 3, 4, 5, 6))).eval()
    image = np.random.default_rng(4).random((6, 40), np.float32)
    torch.testing.assert_close(describe(image, net, "float32"), plain(net, image), rtol=1e-4, atol=1e-5)


def test_pyramid_halves_rounding_up(net):
    levels = describe_pyramid(np.random.default_rng(5).random((13, 22), np.float32), net, 3, "float32")
    assert [tuple(level.shape) for level in levels] == [(13, 22, 12), (7, 11, 12), (4, 6, 12)]
    blocks = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_allclose(halvings(blocks, 2)[1], [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize("shape", [(33, 46), (16, 20), (1, 3)])
def test_context_puts_coarser_levels_beside_a_level(net, shape):
    image = np.random.default_rng(8).random(shape, np.float32)
    alone = describe_pyramid(image, net, 4, "float32")
    net.config = replace(net.config, context=(0.7, 0.5))
    together = describe_pyramid(image, net, 2, "float32")
    assert [tuple(level.shape[:2]) for level in together] == [tuple(level.shape[:2]) for level in alone[:2]]
    for level in (0, 1):
        height, width, dimension = alone[level].shape
        assert together[level].shape[2] == 3 * dimension
        torch.testing.assert_close(together[level][..., :dimension], alone[level])
        for number, weight in ((1, 0.7), (2, 0.5)):
            coarse = alone[level + number].numpy()
            # OpenCV's bilinear enlargement takes the same view of where pixels lie.
            enlarged = np.stack(
                [cv2.resize(coarse[..., k], (width, height), interpolation=cv2.INTER_LINEAR)
                 for k in range(dimension)], axis=-1,
            )  # fmt: skip
            mine = together[level][..., number * dimension : (number + 1) * dimension].numpy()
            np.testing.assert_allclose(mine, weight * enlarged, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 4, 2), (0, 5), (5,)])
def test_other_shapes_are_refused(net, shape):
    with pytest.raises(PatchBatchError, match=r"shape|pixels"):
        describe(np.zeros(shape, np.float32), net)


def test_presets_describe():
    image = np.random.default_rng(6).random((3, 4), np.float32)
    for config in PRESETS.values():
        net = PatchNet(config).eval()
        assert describe(image, net, "float32").shape == (3, 4, net.patch_dimension)


@pytest.mark.parametrize("name", ["compact", "accurate"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_points_are_described_as_the_whole_image_is(name, precision):
    torch.manual_seed(0)
    image = np.random.default_rng(7).random((9, 11), np.float32)
    net = PatchNet(PRESETS[name]).eval()
    points = np.array([[0, 0], [10, 8], [3, 5], [3, 5]])
    some = describe_points(image, net, points, precision)
    whole = describe(image, net, precision)
    limit = 1e-4 if precision == "float32" else 0.03
    scale = float(whole.float().norm(dim=2).mean())
    assert some.dtype == whole.dtype
    assert (some.float() - whole[points[:, 1], points[:, 0]].float()).norm(dim=1).max() < limit * scale
    assert describe_points(image, net, np.zeros((0, 2), np.int64)).shape == (0, net.patch_dimension)
    with pytest.raises(PatchBatchError, match="outside the 11x9"):
        describe_points(image, net, np.array([[11, 0]]))


@pytest.mark.parametrize("name", ["compact", "accurate"])
def test_points_with_context_are_the_pyramids_first_level(name):
    torch.manual_seed(0)
    image = np.random.default_rng(9).random((9, 14), np.float32)
    net = PatchNet(PRESETS[name]).eval()
    points = np.array([[0, 0], [13, 8], [3, 5], [12, 1]])
    some = describe_points(image, net, points, "float32", context=True)
    whole = describe_pyramid(image, net, 1, "float32")[0]
    torch.testing.assert_close(some, whole[points[:, 1], points[:, 0]], rtol=1e-3, atol=1e-4)


def area_shares(length):
    """Row i: what share of each pixel lies under pixel i of half as many, the odd one rounded up."""
    half = -(-length // 2)
    edges = np.arange(half + 1) * length / half
    low, high = edges[:-1, None], edges[1:, None]
    shares = np.minimum(high, np.arange(1, length + 1)) - np.maximum(low, np.arange(length))
    return shares.clip(0) * half / length


@pytest.mark.parametrize("shape", [(8, 6), (7, 9), (5, 1), (1, 2)])
def test_halvings_average_areas(shape):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    first, second, third = halvings(image, 3)
    assert first is image
    for larger, half in ((first, second), (second, third)):
        expected = area_shares(larger.shape[0]) @ larger @ area_shares(larger.shape[1]).T
        np.testing.assert_allclose(half, expected, atol=1e-6)
