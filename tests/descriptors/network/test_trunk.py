"""The network: shapes and counts of Table 1, and dense evaluation against patch by patch."""

from dataclasses import replace

import kornia
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from patchbatch.descriptors.cost import flops_per_patch, flops_per_pixel
from patchbatch.descriptors.description import pad_for_patches
from patchbatch.descriptors.network.config import PRESETS, PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

SMALL = PatchNetConfig(
    patch_size=62, channels=(4, 6, 8, 10, 12), partial_windows=False, normalization="per-channel",
    sides=(1, 2, 3, 4),
)  # fmt: skip


def with_random_statistics(net: PatchNet, seed: int = 0) -> PatchNet:
    """Give the normalisations values that a wrong order or place would show."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            if "normalizations" in name:
                value.copy_(
                    noise + 0.5 if ("var" in name or "std" in name or "weight" in name) else noise - 0.5
                )
    return net.eval()


def test_accurate_has_the_parameters_and_arithmetic_of_table_1():
    net = PatchNet(PRESETS["accurate"])
    assert sum(p.numel() for p in net.parameters()) == 1_165_248
    assert [n.running_mean.shape for n in net.normalizations] == [
        (32, 49, 49), (64, 23, 23), (128, 10, 10), (256, 3, 3), (512, 1, 1)
    ]  # fmt: skip
    assert flops_per_patch(PRESETS["accurate"]) == 41_986_624
    assert net.eval()(torch.rand(2, 1, 51, 51)).shape == (2, 512)


def test_fast_takes_62_pixels_and_shares_a_million_operations_a_pixel():
    net = PatchNet(PRESETS["fast"]).eval()
    assert net.patch_size == 62
    assert net(torch.rand(3, 1, 62, 62)).shape == (3, 512)
    trunk = 288 + 18_432 + 73_728 + 294_912 + 524_288
    assert flops_per_pixel(PRESETS["fast"]) == 2 * (trunk + (64 + 128) * 512)
    assert not PatchNet(PRESETS["accurate"]).is_dense


def slow_patch(net: PatchNet, patch: torch.Tensor) -> torch.Tensor:
    """Table 1 written down layer by layer, activation before pooling."""
    config = net.config
    x, beside = (patch - config.input_mean) / config.input_std, 0.0
    for index, (convolution, norm) in enumerate(zip(net.convolutions, net.normalizations, strict=True)):
        x = F.conv2d(x, convolution.weight, convolution.bias)
        x = norm(x)
        x = torch.where(x > 0, x, x.exp() - 1 if config.activation == "elu" else config.slope * x)
        if index + 1 in config.sides:
            middle = (x.shape[2] // 2, x.shape[3] // 2)
            beside = beside + x[:, :, *middle] @ net.sides[str(index + 1)].weight[:, :, 0, 0].T
        if index < 4:
            if config.partial_windows:
                x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), value=-torch.inf)
            rows = [x[:, :, i : i + 2].amax(2) for i in range(0, x.shape[2] - 1, 2)]
            x = torch.stack(rows, 2)
            columns = [x[..., j : j + 2].amax(3) for j in range(0, x.shape[3] - 1, 2)]
            x = torch.stack(columns, 3)
    x = x.flatten(1) + beside
    return x / x.norm(dim=1, keepdim=True) if config.unit_length else x


@pytest.mark.parametrize("name", ["accurate", "accurate-71", "fast", "compact", "elu"])
def test_forward_is_table_1(name):
    config = replace(PRESETS["accurate"], activation="elu") if name == "elu" else PRESETS[name]
    net = with_random_statistics(PatchNet(config))
    patches = torch.rand(3, 1, net.patch_size, net.patch_size)
    torch.testing.assert_close(net(patches), slow_patch(net, patches), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(20, 23), (1, 1), (2, 37), (70, 65)])
def test_dense_equals_patch_by_patch_at_every_pixel_and_border(shape):
    net = with_random_statistics(PatchNet(SMALL))
    image = np.random.default_rng(1).random(shape, np.float32)
    padded = torch.from_numpy(pad_for_patches(image, net.patch_size))
    dense = net.dense(padded[None, None])[0].permute(1, 2, 0)
    assert dense.shape == (*shape, 12)
    patches = padded.unfold(0, 62, 1).unfold(1, 62, 1).reshape(-1, 1, 62, 62)
    one_by_one = torch.cat([net(part) for part in patches.split(512)])
    torch.testing.assert_close(dense.reshape(-1, 12), one_by_one, rtol=1e-4, atol=1e-5)


def test_compact_has_64_numbers_and_at_most_a_tenth_of_the_arithmetic_of_the_plain_fast_stack():
    assert PatchNet(PRESETS["compact"]).patch_dimension == 64
    plain = replace(PRESETS["fast"], sides=())
    assert flops_per_pixel(PRESETS["compact"]) <= flops_per_pixel(plain) / 10


def test_accurate_71_has_2048_numbers_and_the_arithmetic_of_the_reference():
    net = PatchNet(PRESETS["accurate-71"])
    assert net.patch_dimension == 2048
    assert sum(p.numel() for p in net.parameters()) == 1_436_864
    assert flops_per_patch(PRESETS["accurate-71"]) == pytest.approx(101.5e6, rel=1e-3)


@pytest.mark.parametrize("name", ["fast", "compact"])
def test_the_shipped_shapes_are_dense_too(name):
    net = with_random_statistics(PatchNet(PRESETS[name]))
    padded = torch.rand(1, 1, 67, 66)
    dense = net.dense(padded)
    patches = padded[0, 0].unfold(0, 62, 1).unfold(1, 62, 1).reshape(-1, 1, 62, 62)
    torch.testing.assert_close(dense[0].flatten(1).T, net(patches), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_strided_dense_is_a_part_of_dense(stride):
    net = with_random_statistics(PatchNet(SMALL))
    image = torch.rand(1, 1, 62 + 33, 62 + 18)
    torch.testing.assert_close(
        net.dense(image, stride), net.dense(image)[:, :, ::stride, ::stride], rtol=1e-4, atol=1e-5
    )


def test_training_mode_is_dense_over_one_batch():
    """The trainer takes statistics over all positions of a crop: the same net, seen strided."""
    net = PatchNet(SMALL).train()
    out = net.dense(torch.rand(2, 1, 80, 80), 2)
    out.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_drops_into_kornia():
    net = with_random_statistics(PatchNet(PRESETS["fast"]))
    descriptor = kornia.feature.LAFDescriptor(net, patch_size=net.patch_size, grayscale_descriptor=True)
    laf = kornia.feature.laf_from_center_scale_ori(torch.tensor([[[40.0, 40.0], [50.0, 44.0]]]))
    out = descriptor(torch.rand(1, 1, 90, 90), laf * 20)
    assert out.shape == (1, 2, 512)
    torch.testing.assert_close(out.norm(dim=2), torch.ones(1, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PatchNet(PRESETS["fast"])(torch.rand(2, 1, 51, 51)), "62"),
        (lambda: PatchNet(PRESETS["fast"])(torch.rand(62, 62)), "shape"),
        (lambda: PatchNet(PRESETS["accurate"]).dense(torch.rand(1, 1, 99, 99)), "patch by patch"),
        (lambda: PatchNet(SMALL).dense(torch.rand(1, 1, 99, 99), 3), "stride 3"),
        (lambda: PatchNet(SMALL).dense(torch.rand(1, 1, 99, 30)), "smaller"),
        (lambda: PatchNet(PatchNetConfig(patch_size=46)), "too small.* 47 or more"),
        (lambda: PatchNet(replace(SMALL, patch_size=61)), "too small.* 62 or more"),
        (lambda: PatchNet(PatchNetConfig(normalization="layer")), "layer"),
        (lambda: PatchNet(PatchNetConfig(activation="relu")), "relu"),
        (lambda: PatchNet(PatchNetConfig(sides=(5,))), "sides"),
        (lambda: PatchNetConfig.from_dict({"depth": 3}), "depth"),
    ],
)
def test_misuse_is_told(call, words):
    with pytest.raises(PatchBatchError, match=words):
        call()


def test_config_survives_a_file_header():
    for config in PRESETS.values():
        assert PatchNetConfig.from_dict(config.to_dict()) == config
