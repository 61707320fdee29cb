"""How much arithmetic it is to describe images: all counting of FLOP that concerns networks."""

from __future__ import annotations

from itertools import pairwise

from patchbatch.descriptors.network.config import PatchNetConfig


def flops_per_pixel(config: PatchNetConfig) -> int:
    """Arithmetic of dense evaluation, in floating-point operations per pixel (two for a multiply-add)."""
    inputs = (1, *config.channels[:-1])
    areas = [9] * (len(config.channels) - 1) + [4]
    trunk = sum(i * o * a for i, o, a in zip(inputs, config.channels, areas, strict=True))
    return 2 * (trunk + sum(config.channels[number - 1] * config.channels[-1] for number in config.sides))


def flops_per_patch(config: PatchNetConfig) -> int:
    """Arithmetic of one patch by itself, in floating-point operations (two for a multiply-add)."""
    inputs = (1, *config.channels[:-1])
    areas = [9] * (len(config.channels) - 1) + [4]
    layers = zip(inputs, config.channels, areas, config.map_sizes(), strict=True)
    trunk = sum(i * o * area * size**2 for i, o, area, size in layers)
    return 2 * (trunk + sum(config.channels[number - 1] * config.patch_dimension for number in config.sides))


def describing_flop(config: PatchNetConfig, shape: tuple[int, ...], levels: int) -> float:
    """Arithmetic of describing an image `(H, W)`: its levels, those of their context, and the joining.

    Whole images at once where the network allows it, else patch by patch.
    """
    per_point = flops_per_pixel(config) if config.is_dense else flops_per_patch(config)
    flop = float(pyramid_pixels(shape, levels + len(config.context)) * per_point)
    if config.joint:
        sizes = (config.patch_dimension * (1 + len(config.context)), *config.joint)
        joining = sum(2.0 * inputs * outputs for inputs, outputs in pairwise(sizes))
        flop += pyramid_pixels(shape, levels) * joining
    return flop


def pyramid_pixels(shape: tuple[int, ...], levels: int) -> int:
    """Count the pixels of an image `(H, W)` and of its halvings, `levels` in all."""
    return sum(-(-shape[0] // 2**level) * -(-shape[1] // 2**level) for level in range(levels))
