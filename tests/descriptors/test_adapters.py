"""Other people's descriptors: the same as a loop over patches, and one line for what does not fit."""

import numpy as np
import pytest
import torch
from torch import nn

from patchbatch.descriptors import adapters
from patchbatch.descriptors.adapters import DenseDescriptor, PatchDescriptor
from patchbatch.descriptors.checked import as_descriptor
from patchbatch.descriptors.cost import describing_flop
from patchbatch.descriptors.description import halvings
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.errors import PatchBatchError


@pytest.fixture
def image():
    return np.random.default_rng(0).random((7, 9), dtype=np.float32)


def network(size, dimension=4):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(size * size, dimension), nn.Tanh())
    layers.patch_size = size
    return layers


def looped(image, function, size):
    """Describe pixel by pixel: the pixel stands at `size // 2` of its patch."""
    first = size // 2
    padded = np.pad(image, (first, size - 1 - first), mode="reflect")
    rows = [
        function(torch.from_numpy(padded[y : y + size, x : x + size].copy())[None, None])[0]
        for y in range(image.shape[0])
        for x in range(image.shape[1])
    ]
    return torch.stack(rows).view(*image.shape, -1)


def message(call, *arguments):
    with pytest.raises(PatchBatchError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@torch.no_grad()
@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("at_once", [4, 512])
def test_patch_networks_are_applied_to_the_patch_of_every_pixel(image, size, at_once, monkeypatch):
    monkeypatch.setattr(adapters, "PATCHES_AT_ONCE", at_once)
    net = network(size)
    adapted = PatchDescriptor("mine", net, size)
    assert not net.training  # the network drops numbers while it learns
    levels = adapted.describe_pyramid(image, 2, "float32")
    for described, level in zip(levels, halvings(image, 2), strict=True):
        torch.testing.assert_close(described, looped(level, net, size))
    points = np.array([[8, 0], [3, 6], [3, 6], [0, 2], [5, 5]])
    torch.testing.assert_close(adapted.at(image, points), levels[0][points[:, 1], points[:, 0]])
    assert adapted.at(image, points[:0]).shape == (0, 4)
    assert (adapted.name, adapted.dimension, adapted.reach) == ("mine", 4, size // 2)


def test_a_function_may_write_into_its_patches(image):
    def centred(patches):
        patches -= patches.mean(dim=(2, 3), keepdim=True)
        return patches[:, 0, 1]

    adapted, before = PatchDescriptor("centred", centred, 3), image.copy()
    described = adapted.describe(image)
    torch.testing.assert_close(described, looped(image, centred, 3))
    np.testing.assert_array_equal(image, before)


def test_arithmetic_of_a_patch_network_is_counted_for_every_pixel_of_every_level():
    adapted = PatchDescriptor("mine", network(5), 5)
    assert adapted.flop((6, 9), 2) == (6 * 9 + 3 * 5) * 2 * 25 * 4
    assert PatchDescriptor("mean", lambda patches: patches.mean(dim=(2, 3)), 5).flop((6, 9), 2) is None


@pytest.mark.parametrize("kind", ["array", "tensor", "whole numbers"])
def test_dense_functions_are_called_with_every_level(image, kind):
    def function(level):
        made = np.stack([level, 255 * level], axis=2)
        return {"array": made, "tensor": torch.from_numpy(made), "whole numbers": made.astype(np.int64)}[kind]

    adapted = DenseDescriptor("dense", function, dimension=2, reach=3, flop_per_pixel=10)
    for described, level in zip(
        adapted.describe_pyramid(image, 3, "float32"), halvings(image, 3), strict=True
    ):
        assert described.is_contiguous() and described.dtype == torch.float32
        torch.testing.assert_close(described, torch.as_tensor(function(level)).float())
    assert adapted.flop((6, 9), 2) == 10 * (6 * 9 + 3 * 5)
    assert DenseDescriptor("dense", function, 2, 3).flop((6, 9), 2) is None


def test_precision_is_that_of_the_numbers_handed_over(image):
    dense = DenseDescriptor("grey", lambda level: level[..., None], 1, 0)
    for adapted in (dense, PatchDescriptor("mine", network(3), 3)):
        (described,) = adapted.describe_pyramid(image, 1, "bfloat16")
        assert described.dtype == torch.bfloat16
        assert "float8" in message(adapted.describe_pyramid, image, 1, "float8")


def test_dense_functions_of_another_shape_are_refused(image):
    for shape in ((7, 9), (7, 9, 3), (9, 7, 2)):
        adapted = DenseDescriptor("odd", lambda level, shape=shape: np.zeros(shape), 2, 0)
        assert message(adapted.describe, image) == (
            f"odd describes an image of (7, 9) by {shape}; it has to be (7, 9, 2)"
        )


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda patches: patches, "odd returned shape (1, 1, 3, 3) for 1 patches; return a tensor (N, D)"),
        (lambda patches: torch.zeros(len(patches) + 1, 4), "odd returned shape (2, 4) for 1 patches"),
        (lambda patches: np.zeros((len(patches), 4)), "odd returned ndarray for 1 patches"),
        (lambda patches: torch.full((len(patches), 4), torch.nan), "odd returned torch.float32 with val"),
        (lambda patches: torch.zeros(len(patches), 4, dtype=torch.int64), "odd returned torch.int64 with"),
        (nn.Linear(5, 4), "odd fails on patches (1, 1, 3, 3): RuntimeError: "),
    ],
)  # fmt: skip
def test_patch_functions_that_do_not_fit_are_refused(function, says):
    adapted = PatchDescriptor("odd", function, 3)
    assert message(lambda: adapted.dimension).startswith(says)


def test_what_a_factory_returns_becomes_a_descriptor():
    net = network(5)
    adapted = as_descriptor(net, "mine")
    assert isinstance(adapted, PatchDescriptor) and adapted.function is net
    assert (adapted.name, adapted.patch_size) == ("mine", 5)
    assert as_descriptor(adapted, "other") is adapted
    for made in (3, lambda patches: patches, None):
        says = message(as_descriptor, made, "factory")
        assert says.startswith(f"factory is a {type(made).__name__}, no descriptor; give a Descriptor")
    net.patch_size = 0
    assert "with patch_size 0" in message(as_descriptor, net, "factory")


def test_networks_of_the_package_are_descriptors(image):
    """By every attribute of the protocol, and with the shapes that it promises."""
    net = PatchNet(PRESETS["compact"]).eval()
    dense = DenseDescriptor("grey", lambda level: level[..., None], 1, 0)
    for descriptor in (net, dense, PatchDescriptor("mine", network(5), 5)):
        assert isinstance(descriptor, Descriptor)
        assert as_descriptor(descriptor, "any") is descriptor
        levels = descriptor.describe_pyramid(image, 2, "float32")
        assert [level.shape for level in levels] == [
            (7, 9, descriptor.dimension), (4, 5, descriptor.dimension)
        ]  # fmt: skip
        assert all(level.is_contiguous() and level.device == descriptor.device for level in levels)
    assert net.dimension == PRESETS["compact"].dimension
    assert net.reach == PRESETS["compact"].patch_size // 2
    assert net.flop((7, 9), 2) == describing_flop(net.config, (7, 9), 2)
    assert not isinstance(network(5), Descriptor)
