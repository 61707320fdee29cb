"""The engine against plain evaluation: every pixel, every kind of network, any tile and batch."""

import numpy as np
import pytest
import torch

from patchbatch.descriptors.description import describe, pad_for_patches, standardize
from patchbatch.descriptors.evaluate.patchwise import PatchEngine
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.network.pooling import (
    Maps,
    PlaceNorm,
    normalize_and_pool,
    plain_normalize_and_pool,
)
from patchbatch.descriptors.patch_net import PatchNet

CHANNELS = (4, 6, 8, 10, 12)
NETWORKS = {
    "Table 1": PatchNetConfig(channels=CHANNELS),
    "2x2 places": PatchNetConfig(patch_size=71, channels=CHANNELS),
    "sides": PatchNetConfig(channels=CHANNELS, sides=(1, 2, 3, 4), unit_length=True),
    "elu": PatchNetConfig(channels=CHANNELS, activation="elu", sides=(2,)),
    "no overhang": PatchNetConfig(patch_size=64, channels=CHANNELS, partial_windows=False),
    "per channel": PatchNetConfig(channels=CHANNELS, normalization="per-channel"),
}


def made(config):
    """A network whose statistics differ from place to place, some of its gains negative."""
    torch.manual_seed(0)
    net = PatchNet(config).eval()
    with torch.no_grad():
        for norm in net.normalizations:
            norm.weight.uniform_(-0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
            norm.running_mean.uniform_(-0.2, 0.2)
            spread = norm.running_std if config.normalization == "fine-grained" else norm.running_var
            spread.uniform_(0.3, 0.6)
    return net


def plain(net, image):
    """All patches through the module, and nothing else."""
    size = net.patch_size
    padded = torch.from_numpy(pad_for_patches(image, size))
    patches = padded.unfold(0, size, 1).unfold(1, size, 1).reshape(-1, 1, size, size)
    with torch.no_grad():
        return padded, net(patches).reshape(*image.shape, -1)


def picture(*shape):
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pixel_equals_its_patch(name):
    net = made(NETWORKS[name])
    padded, expected = plain(net, picture(9, 14))
    out = torch.full_like(expected, torch.nan)
    PatchEngine(net, torch.float32).everywhere(padded, out)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_is_as_close_as_the_plain_network_in_bfloat16(name):
    net = made(NETWORKS[name])
    padded, exact = plain(net, picture(6, 11))
    with torch.autocast("cpu", torch.bfloat16):
        _, plainly = plain(net, picture(6, 11))
    out = torch.empty(*exact.shape, dtype=torch.bfloat16)
    PatchEngine(net, torch.bfloat16).everywhere(padded, out)

    def error(described):
        return ((described.float() - exact).norm(dim=2) / exact.norm(dim=2)).max()

    assert error(out) < max(0.02, 1.2 * error(plainly))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 1), (18, 35)])
@pytest.mark.parametrize("memory_mb", [0, 1, 64])
def test_size_and_memory_change_nothing(shape, memory_mb):
    net = made(NETWORKS["Table 1"])
    padded, expected = plain(net, picture(*shape))
    engine = PatchEngine(net, torch.float32, memory_mb)
    out = torch.full_like(expected, torch.nan)
    engine.everywhere(padded, out)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


def test_less_memory_means_smaller_tiles_and_batches():
    net = PatchNet(PatchNetConfig()).eval()
    sizes = [(engine.tile_side, engine.batch) for engine in
             (PatchEngine(net, torch.float32, memory_mb) for memory_mb in (0, 8, 512))]  # fmt: skip
    assert sizes[0] == (16, 1)
    assert sizes[0] < sizes[1] < sizes[2]


def test_points_in_any_order_and_tile():
    net = made(NETWORKS["sides"])
    padded, expected = plain(net, picture(20, 37))
    engine = PatchEngine(net, torch.float32, memory_mb=0)  # tiles of 16 px
    corners = torch.tensor([[36, 19], [0, 0], [15, 16], [16, 15], [0, 0], [20, 3]])
    described = engine.at(padded, corners)
    torch.testing.assert_close(described, expected[corners[:, 1], corners[:, 0]], rtol=1e-4, atol=1e-4)
    assert engine.at(padded, corners[:0]).shape == (0, net.patch_dimension)


def test_gradients_are_not_recorded():
    net = made(NETWORKS["elu"])
    padded, _ = plain(net, picture(3, 3))
    assert not PatchEngine(net, torch.float32).at(padded, torch.tensor([[1, 2]])).requires_grad


def test_describe_takes_the_engine():
    net = made(NETWORKS["Table 1"])
    image = picture(7, 7)
    _, expected = plain(net, standardize(image, net))
    for memory_mb in (0, 512):
        described = describe(image, net, "float32", memory_mb)
        torch.testing.assert_close(described, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("overhang", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_pass_equals_the_steps(size, overhang, dtype):
    if size == 1 and not overhang:
        pytest.skip("nothing is left of one place without overhang")
    torch.manual_seed(size)
    norm = PlaceNorm(
        torch.randn(size, size, 19),
        torch.randn(size, size, 19),
        0.1,
        -(-size // 2) if overhang else size // 2,
    )
    values = torch.randn(15 * 11, 19).to(dtype)
    maps = Maps(values, torch.tensor([0, 1, 11, 35, 2 * 11 + 3] * 7), 11)
    exact = Maps(values.float(), maps.starts, maps.row)
    expected = plain_normalize_and_pool(exact, norm, torch.float32)
    # The steps on float32 numbers, rounded once: a pass may differ by the last bit of a product only.
    pooled = normalize_and_pool(maps, norm, dtype)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    digits = 2.0**-8 if dtype == torch.bfloat16 else 1e-6
    torch.testing.assert_close(pooled.float(), expected, rtol=digits, atol=1e-6)
    rounded = plain_normalize_and_pool(maps, norm, dtype)
    torch.testing.assert_close(rounded.float(), expected, rtol=4 * digits, atol=4 * digits)


def test_whole_maps_are_not_copied():
    batch = torch.rand(3, 5, 4, 4).contiguous(memory_format=torch.channels_last)
    maps = Maps.whole(batch)
    assert maps.values.data_ptr() == batch.data_ptr()
    torch.testing.assert_close(maps.windows(4).permute(0, 3, 1, 2), batch)
    torch.testing.assert_close(maps.at(2), batch[:, :, 2, 2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_cuda_equals_the_cpu(dtype):
    net = made(NETWORKS["Table 1"])
    padded, expected = plain(net, picture(20, 30))
    out = torch.empty(*expected.shape, dtype=dtype, device="cuda")
    PatchEngine(net.to("cuda"), dtype).everywhere(padded.to("cuda"), out)
    error = (out.cpu().float() - expected).norm(dim=2) / expected.norm(dim=2)
    assert error.max() < (5e-3 if dtype == torch.float32 else 2e-2)  # convolutions may use TF32
