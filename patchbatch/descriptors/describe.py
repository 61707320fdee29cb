"""An image of any size -> a descriptor at every pixel, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from patchbatch.descriptors.engine import PatchEngine
from patchbatch.descriptors.network import PatchNet
from patchbatch.descriptors.scales import ScaleJoin
from patchbatch.devices import resolve_precision
from patchbatch.errors import PatchBatchError

# Working memory of dense evaluation: the last two feature maps in half precision and the result in float32.
BYTES_PER_PIXEL = 4096
PATCHES_AT_ONCE = 512
ROWS_AT_ONCE = 32
# The crops the networks learn from are 190 px wide and standardised one by one: a deviation of 55 px.
SURROUNDINGS_PX = 60.0
LEAST_CONTRAST = 4 / 255


@torch.inference_mode()
def describe(
    image: NDArray[np.float32], model: PatchNet, precision: str = "auto", memory_mb: int = 512
) -> Tensor:
    """Describe every pixel of an image.

    The surroundings of every pixel are brought to the mean and contrast the network was trained on, see
    `standardize`, and the image is mirrored at its border without repeating the edge pixel. A dense network
    is evaluated tile by tile, any other patch by patch.

    Parameters
    ----------
    image
        `(H, W)` float32 grey in [0, 1], any size from 1x1 up.
    model
        From `load_model`; computed on the device it lives on.
    precision
        "auto", "float32", "bfloat16" or "float16": number type of the products and of the result. Sums and
        lengths are float32 in any case.
    memory_mb
        Working memory beyond the result, in MB; smaller tiles, same descriptors.

    Returns
    -------
    Tensor
        `(H, W, D)` in the precision asked for, on the model's device.

    Raises
    ------
    PatchBatchError
        When the image is not a non-empty two-dimensional array, or for an unknown precision.
    """
    if image.ndim != 2 or image.size == 0:
        raise PatchBatchError(
            f"describe takes a grey image (H, W), not shape {image.shape}; convert it with to_grey"
        )
    device = next(model.parameters()).device
    dtype = resolve_precision(precision, device)
    padded = torch.from_numpy(pad_for_patches(standardize(image, model), model.patch_size)).to(device)
    described = torch.empty(*image.shape, model.dimension, dtype=dtype, device=device)
    if model.is_dense:
        _describe_tiles(padded, model, dtype, memory_mb, described)
    else:
        PatchEngine(model, dtype, memory_mb).everywhere(padded, described)
    return described


@torch.inference_mode()
def describe_points(
    image: NDArray[np.float32], model: PatchNet, points: NDArray[np.int64], precision: str = "auto"
) -> Tensor:
    """Describe some pixels of an image, patch by patch.

    Parameters
    ----------
    image, model, precision
        As in `describe`.
    points
        `(N, 2)` whole pixels (x, y) inside the image.

    Returns
    -------
    Tensor
        `(N, D)`: the rows that `describe` has at these pixels, to rounding.

    Raises
    ------
    PatchBatchError
        When a point lies outside the image, or for an unknown precision.
    """
    height, width = image.shape
    if len(points) and not ((points >= 0) & (points < (width, height))).all():
        raise PatchBatchError(f"a point to describe lies outside the {width}x{height} image; leave it out")
    device = next(model.parameters()).device
    dtype = resolve_precision(precision, device)
    padded = torch.from_numpy(pad_for_patches(standardize(image, model), model.patch_size)).to(device)
    corners = torch.as_tensor(points, device=device)
    if not model.is_dense:
        return PatchEngine(model, dtype).at(padded, corners)
    windows = padded.unfold(0, model.patch_size, 1).unfold(1, model.patch_size, 1)
    x, y = corners.T
    described = [torch.empty(0, model.dimension, dtype=dtype, device=device)]
    for rows in torch.split(torch.arange(len(points), device=device), PATCHES_AT_ONCE):
        described.append(_patchwise(windows[y[rows], x[rows]], model, dtype))
    return torch.cat(described)


@torch.inference_mode()
def describe_pyramid(
    image: NDArray[np.float32], model: PatchNet, levels: int, precision: str = "auto", memory_mb: int = 512
) -> list[Tensor]:
    """Describe an image and its halvings, each with its context.

    Where `model.config.context` has weights, the descriptors of the next coarser levels, brought to the size
    of a level and multiplied by their weight, stand behind the level's own, or are joined with it by the
    network (`PatchNetConfig.joint`). What looks alike from near often does not from afar, and the coarser
    levels of a pyramid are described anyway.

    Parameters
    ----------
    levels
        Number of levels, at least 1; level l has ceil(H / 2^l) rows. Others as in `describe`.

    Returns
    -------
    list of Tensor
        `(H_l, W_l, E)`, the finest first; E is `D * (1 + len(context))`, or `joint[-1]`.
    """
    context = model.config.context
    images = halvings(image, levels + len(context))
    described = [describe(level, model, precision, memory_mb) for level in images]
    if not context:
        return described
    reach = 1 + len(context)
    return [_with_context(described[level : level + reach], model) for level in range(levels)]


def _with_context(described: list[Tensor], model: PatchNet) -> Tensor:
    together = _side_by_side(described, model.config.context)
    if model.joining is None:
        return together
    joined = [_join(rows.flatten(0, 1), model.joining) for rows in torch.split(together, ROWS_AT_ONCE)]
    return torch.cat(joined).view(*together.shape[:2], -1)


def _join(side_by_side: Tensor, joining: ScaleJoin) -> Tensor:
    """Join rows `(N, S)` in their own precision -> `(N, E)`."""
    dtype = side_by_side.dtype
    with torch.autocast(side_by_side.device.type, dtype, enabled=dtype != torch.float32):
        joined: Tensor = joining(side_by_side)
    return joined.to(dtype)


def _side_by_side(described: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    own = described[0]
    height, width, dimension = own.shape
    together = own.new_empty(height, width, dimension * (1 + len(weights)))
    together[..., :dimension] = own
    for number, (weight, coarse) in enumerate(zip(weights, described[1:], strict=True), 1):
        channels = coarse.permute(2, 0, 1)[None]
        enlarged = F.interpolate(channels, size=(height, width), mode="bilinear", align_corners=False)
        together[..., number * dimension : (number + 1) * dimension] = weight * enlarged[0].permute(1, 2, 0)
    return together


def halvings(image: NDArray[np.float32], levels: int) -> list[NDArray[np.float32]]:
    """Return the image and its halvings by area averaging, `levels` in all, the largest first."""
    pyramid = [image]
    for _ in range(levels - 1):
        height, width = pyramid[-1].shape[:2]
        half = cv2.resize(pyramid[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        pyramid.append(np.asarray(half, np.float32))
    return pyramid


def standardize(image: NDArray[np.float32], model: PatchNet) -> NDArray[np.float32]:
    """Bring the surroundings of every pixel to the mean and deviation that the network expects.

    The surroundings fade out as a Gaussian of `SURROUNDINGS_PX` and end at the image's border. The 2016 code
    standardises whole images; then the shade of a tree keeps next to no contrast. A constant image
    becomes the mean.
    """
    centred = image - _surrounding_mean(image)
    deviation = np.sqrt(_surrounding_mean(centred**2))
    # Less contrast than a few grey levels of 8 bits is noise, which is not to be blown up.
    flat = centred / np.maximum(deviation, LEAST_CONTRAST)
    result: NDArray[np.float32] = (flat * model.config.input_std + model.config.input_mean).astype(np.float32)
    return result


def _surrounding_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Gaussian mean around each pixel, of the part of the surroundings that lies in the image."""
    total, weight = (
        cv2.GaussianBlur(array, (0, 0), SURROUNDINGS_PX, borderType=cv2.BORDER_CONSTANT)
        for array in (values.astype(np.float32), np.ones(values.shape, np.float32))
    )
    return np.asarray(total / weight, np.float32)


def pad_for_patches(image: NDArray[np.float32], patch_size: int) -> NDArray[np.float32]:
    """Mirror the border so that there is one patch per pixel, the pixel at `patch_size // 2`."""
    before = patch_size // 2
    after = patch_size - 1 - before
    rows = np.pad(np.arange(image.shape[0]), (before, after), mode="reflect")
    columns = np.pad(np.arange(image.shape[1]), (before, after), mode="reflect")
    return image[np.ix_(rows, columns)]


def _describe_tiles(padded: Tensor, model: PatchNet, dtype: torch.dtype, memory_mb: int, out: Tensor) -> None:
    evaluate = folded(model, dtype)
    overlap = model.patch_size - 1
    for top, bottom, left, right in _tiles(out.shape[0], out.shape[1], memory_mb * 2**20 // BYTES_PER_PIXEL):
        tile = padded[top : bottom + overlap, left : right + overlap]
        out[top:bottom, left:right] = evaluate(tile[None, None])[0].permute(1, 2, 0)


def _tiles(height: int, width: int, pixels: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut an area into nearly equal, nearly square tiles of at most about `pixels` pixels."""
    side = max(16, int(pixels**0.5))
    rows, columns = -(-height // side), -(-width // side)
    if rows == 1 or columns == 1:  # a thin image needs no squares
        rows, columns = (1, max(1, -(-height * width // max(256, pixels)))) if rows == 1 else (rows, columns)
    edges_y = np.linspace(0, height, rows + 1).round().astype(int)
    edges_x = np.linspace(0, width, columns + 1).round().astype(int)
    for top, bottom in pairwise(edges_y):
        for left, right in pairwise(edges_x):
            yield int(top), int(bottom), int(left), int(right)


def folded(model: PatchNet, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Return dense evaluation with each normalisation folded into its convolution, products in `dtype`.

    Pools by two shifted maxima instead of a window: the same values, and several times faster with dilation
    on the CPU.
    """
    layers = []
    for convolution, norm in zip(model.convolutions, model.normalizations, strict=True):
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)  # noqa: S101 - types
        assert convolution.bias is not None and norm.running_mean is not None and norm.running_var is not None  # noqa: S101 - types
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = convolution.weight * gain[:, None, None, None]
        bias = (convolution.bias - norm.running_mean) * gain + norm.bias
        layers.append((weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)))
    matrices: dict[int, Tensor] = {
        int(number) - 1: side.get_parameter("weight").to(dtype) for number, side in model.sides.items()
    }
    config = model.config

    def evaluate(image: Tensor) -> Tensor:
        x = ((image - config.input_mean) / config.input_std).to(dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        shape = torch.Size(size - config.patch_size + 1 for size in image.shape[-2:])
        sides: list[Tensor] = []
        for index, (weight, bias) in enumerate(layers):
            dilation = 2**index
            x = F.conv2d(x, weight, bias, dilation=dilation)
            if index in matrices:
                centres = model.activate(model.at_centres(index, x, 1, 1, shape))
                sides.append(F.conv2d(centres, matrices[index]))
            if index < len(layers) - 1:
                x = torch.maximum(x[:, :, :-dilation], x[:, :, dilation:])
                x = torch.maximum(x[..., :-dilation], x[..., dilation:])
            x = model.activate(x)
        for side in sides:
            x = x + side
        return F.normalize(x.float(), dim=1) if config.unit_length else x

    return evaluate


def _patchwise(patches: Tensor, model: PatchNet, dtype: torch.dtype) -> Tensor:
    """Describe patches `(N, P, P)` -> `(N, D)`, products in `dtype`."""
    batch = patches[:, None].contiguous(memory_format=torch.channels_last)
    with torch.autocast(patches.device.type, dtype, enabled=dtype != torch.float32):
        described: Tensor = model(batch)
    return described.to(dtype)
