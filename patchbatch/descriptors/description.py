"""An image of any size -> a descriptor at every pixel, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.data.given.arrays import as_array
from patchbatch.data.given.images import ImageLike, given_grey, given_images
from patchbatch.descriptors.evaluate.context import Between, fill_side_by_side, join
from patchbatch.descriptors.evaluate.patchwise import PatchEngine
from patchbatch.descriptors.evaluate.whole_image import DenseEngine
from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.devices import resolve_precision
from patchbatch.errors import PatchBatchError

PATCHES_AT_ONCE = 512
# The crops the networks learn from are 190 px wide and standardised one by one: a deviation of 55 px.
SURROUNDINGS_PX = 60.0
LEAST_CONTRAST = 4 / 255
NO_CONTRAST = 1e-6  # of a whole image: the rounding of a constant one
_PLACES_AT_ONCE = 256
# The coarsest level is searched exhaustively, so it may have about this many pixels.
TOP_LEVEL_PIXELS = 10_000


@torch.inference_mode()
def describe(image: ImageLike, model: PatchTrunk, precision: str = "auto", memory_mb: int = 512) -> Any:
    """Describe every pixel of an image, or of each image of a batch.

    The surroundings of every pixel, or the image as a whole, are brought to the mean and contrast the network
    was trained on, see `standardize`, and the image is mirrored at its border without repeating the edge
    pixel. A dense network is evaluated tile by tile, any other patch by patch.

    Parameters
    ----------
    image
        A file, array, tensor or picture of any size from 1x1 up, as `given_image` takes it; of colours the
        luma is described. Or many: an array `(B, H, W, C)`, a tensor `(B, C, H, W)`, or a list of images.
    model
        From `load_model`; computed on the device it lives on, wherever the image is.
    precision
        "auto", "float32", "bfloat16" or "float16": number type of the products and of the result. Sums and
        lengths are float32 in any case.
    memory_mb
        Working memory beyond the result, in MB; smaller tiles, same descriptors.

    Returns
    -------
    Tensor
        `(H, W, D)` in the precision asked for, on the model's device; of an array or tensor of many images
        `(B, H, W, D)`, of a list a list.

    Raises
    ------
    PatchBatchError
        When the image is none, the model no patch network of this package, or for an unknown precision.
    """
    dtype = resolve_precision(precision, _device_of(model))
    many = given_images(image)
    if many is None:
        return _describe(given_grey(image), model, dtype, memory_mb, model.patch_dimension)
    described = [describe(one, model, precision, memory_mb) for one in many]
    return described if isinstance(image, Sequence) else torch.stack(described)


def _device_of(model: Any) -> torch.device:
    """Return where a model computes, or say in one line that it is none that these functions know."""
    if isinstance(model, PatchTrunk):
        return next(model.parameters()).device
    raise PatchBatchError(
        f"the model is a {type(model).__name__}, no network from load_model; other descriptors describe by "
        "themselves (describe_pyramid), patch networks as PatchDescriptor(name, network, patch_size)"
    )


def _describe(
    image: NDArray[np.float32], model: PatchTrunk, dtype: torch.dtype, memory_mb: int, room: int
) -> Tensor:
    """Describe every pixel -> `(H, W, room)`, of which the first D numbers are written."""
    device = next(model.parameters()).device
    padded = torch.from_numpy(pad_for_patches(standardize(image, model), model.patch_size)).to(device)
    described = torch.empty(*image.shape, room, dtype=dtype, device=device)
    engine = DenseEngine if model.is_dense else PatchEngine
    engine(model, dtype, memory_mb).everywhere(padded, described)
    return described


@torch.inference_mode()
def describe_points(
    image: ImageLike,
    model: PatchTrunk,
    points: Any,
    precision: str = "auto",
    context: bool = False,
) -> Tensor:
    """Describe some pixels of an image, patch by patch.

    Parameters
    ----------
    image, model, precision
        As in `describe`; one image.
    points
        `(N, 2)` whole pixels (x, y) inside the image, an array, tensor or list.
    context
        Whether with the context of coarser scales that the model's settings ask for.

    Returns
    -------
    Tensor
        `(N, D)`: the rows that `describe` has at these pixels, to rounding; or, with context, `(N, E)`, those
        of the first level of `describe_pyramid`.

    Raises
    ------
    PatchBatchError
        When a point lies outside the image or between pixels, or as `describe`.
    """
    device = _device_of(model)
    image = given_grey(image)
    height, width = image.shape
    points = _whole_pixels(points)
    if len(points) and not ((points >= 0) & (points < (width, height))).all():
        raise PatchBatchError(f"a point to describe lies outside the {width}x{height} image; leave it out")
    dtype = resolve_precision(precision, device)
    own = _at_points(image, model, points, dtype)
    weights = model.config.context if context else ()
    if not weights:
        return own
    levels = halvings(image, 1 + len(weights))[1:]
    scales = [own.float()]
    for weight, level in zip(weights, levels, strict=True):
        scales.append(weight * _between_pixels(level, image.shape, model, points, dtype))
    together = torch.cat(scales, dim=1)
    return (together if model.joining is None else model.joining(together)).to(dtype)


def _whole_pixels(points: Any) -> NDArray[np.int64]:
    array = as_array(points, "the points", None)
    if not array.size:
        return np.zeros((0, 2), np.int64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise PatchBatchError(f"the points have shape {array.shape}; give (N, 2)")
    if array.dtype.kind == "f" and not (np.rint(array) == array).all():  # false for NaN
        raise PatchBatchError("some points lie between pixels or are not finite; round them")
    return array.astype(np.int64)


def _at_points(
    image: NDArray[np.float32], model: PatchTrunk, points: NDArray[np.int64], dtype: torch.dtype
) -> Tensor:
    device = next(model.parameters()).device
    padded = torch.from_numpy(pad_for_patches(standardize(image, model), model.patch_size)).to(device)
    corners = torch.as_tensor(points, device=device)
    if not model.is_dense:
        return PatchEngine(model, dtype).at(padded, corners)
    windows = padded.unfold(0, model.patch_size, 1).unfold(1, model.patch_size, 1)
    x, y = corners.T
    described = [torch.empty(0, model.patch_dimension, dtype=dtype, device=device)]
    for rows in torch.split(torch.arange(len(points), device=device), PATCHES_AT_ONCE):
        described.append(_patchwise(windows[y[rows], x[rows]], model, dtype))
    return torch.cat(described)


def _between_pixels(
    level: NDArray[np.float32], shape: tuple[int, ...], model: PatchTrunk, points: NDArray[np.int64],
    dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Describe a coarser level where points of the image of this shape lie, float32 `(N, D)`."""
    x, y = (Between.at(points[:, axis], shape[1 - axis], level.shape[1 - axis]) for axis in (0, 1))
    ends = [np.stack([left, above], axis=1) for above in (y.low, y.high) for left in (x.low, x.high)]
    corners = _at_points(level, model, np.concatenate(ends), dtype).float()
    above_left, above_right, below_left, below_right = corners.chunk(4)
    across, down = (torch.as_tensor(one.share, device=corners.device)[:, None] for one in (x, y))
    above, below = torch.lerp(above_left, above_right, across), torch.lerp(below_left, below_right, across)
    return torch.lerp(above, below, down)


@torch.inference_mode()
def describe_pyramid(
    image: ImageLike,
    model: PatchTrunk,
    levels: int | None = None,
    precision: str = "auto",
    memory_mb: int = 512,
) -> list[Tensor]:
    """Describe an image and its halvings, each with its context.

    Where `model.config.context` has weights, the descriptors of the next coarser levels, brought to the size
    of a level and multiplied by their weight, stand behind the level's own, or are joined with it by the
    network (`PatchNetConfig.joint`). What looks alike from near often does not from afar, and the coarser
    levels of a pyramid are described anyway.

    Parameters
    ----------
    image
        As in `describe`; one image.
    levels
        Number of levels, at least 1; level l has ceil(H / 2^l) rows. None: as many as the default matcher
        needs (`pyramid_levels`). Others as in `describe`.

    Returns
    -------
    list of Tensor
        `(H_l, W_l, E)`, the finest first; E is `D * (1 + len(context))`, or `joint[-1]`.
    """
    dtype = resolve_precision(precision, _device_of(model))
    context, reach = model.config.context, 1 + len(model.config.context)
    image = given_grey(image)
    levels = pyramid_levels(image.shape) if levels is None else levels
    beside = bool(context) and model.joining is None
    described = []
    for number, level in enumerate(halvings(image, levels + len(context))):
        # Each level is written where its context will stand beside it.
        room = model.patch_dimension * (reach if beside and number < levels else 1)
        described.append(_describe(level, model, dtype, memory_mb, room))
    if not context:
        return described
    for number in range(levels):  # finest first: a level's own numbers are not touched by its context
        coarser = described[number + 1 : number + reach]
        if model.joining is None:
            fill_side_by_side(described[number], coarser, context)
        else:
            described[number] = join(described[number], coarser, context, model.joining)
    return described[:levels]


def pyramid_levels(shape: tuple[int, ...]) -> int:
    """Return the number of levels until an image `(H, W)` has at most about `TOP_LEVEL_PIXELS` pixels."""
    return 1 + max(0, math.ceil(math.log(shape[0] * shape[1] / TOP_LEVEL_PIXELS, 4)))


def halvings(image: NDArray[np.float32], levels: int) -> list[NDArray[np.float32]]:
    """Return the image and its halvings by area averaging, `levels` in all, the largest first."""
    pyramid = [image]
    for _ in range(levels - 1):
        height, width = pyramid[-1].shape[:2]
        half = cv2.resize(pyramid[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        pyramid.append(np.asarray(half, np.float32))
    return pyramid


def standardize(image: NDArray[np.float32], model: PatchTrunk) -> NDArray[np.float32]:
    """Bring the surroundings of every pixel, or the whole image, to the mean and deviation of the network.

    The surroundings fade out as a Gaussian of `SURROUNDINGS_PX` and end at the image's border. The program of
    2016 takes the whole image (`config.standardization`); then the shade of a tree keeps next to no contrast.
    A constant image becomes the mean.
    """
    if model.config.standardization == "image":
        centred = image - image.mean(dtype=np.float64).astype(np.float32)
        flat = centred / max(float(np.sqrt((centred**2).mean(dtype=np.float64))), NO_CONTRAST)
    else:
        centred = image - _surrounding_mean(image)
        deviation = np.sqrt(_surrounding_mean(centred**2))
        # Less contrast than a few grey levels of 8 bits is noise, which is not to be blown up.
        flat = centred / np.maximum(deviation, LEAST_CONTRAST)
    result: NDArray[np.float32] = (flat * model.config.input_std + model.config.input_mean).astype(np.float32)
    return result


def _surrounding_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Gaussian mean around each pixel, of the part of the surroundings that lies in the image."""
    # A Gaussian is a product of one along rows and one along columns, and so is its part inside the image.
    across = _mean_along_rows(torch.from_numpy(np.ascontiguousarray(values, np.float32)))
    return np.asarray(_mean_along_rows(across.T.contiguous()).T.numpy(), np.float32)


def _mean_along_rows(values: Tensor) -> Tensor:
    """Average each row around each of its places `(H, W)`, as products of matrices.

    Several times as quick as a filter, which reads the hundreds of pixels of a window one by one.
    """
    width, reach = values.shape[1], int(4 * SURROUNDINGS_PX)
    means = torch.empty_like(values)
    for first in range(0, width, _PLACES_AT_ONCE):
        end = min(first + _PLACES_AT_ONCE, width)
        seen = torch.arange(max(0, first - reach), min(width, end + reach))
        away = seen[:, None] - torch.arange(first, end)
        weights = torch.exp(-0.5 * (away / SURROUNDINGS_PX) ** 2) * (away.abs() <= reach)
        torch.mm(values[:, seen[0] : seen[-1] + 1], weights / weights.sum(0), out=means[:, first:end])
    return means


def pad_for_patches(image: NDArray[np.float32], patch_size: int) -> NDArray[np.float32]:
    """Mirror the border so that there is one patch per pixel, the pixel at `patch_size // 2`."""
    before = patch_size // 2
    after = patch_size - 1 - before
    rows = np.pad(np.arange(image.shape[0]), (before, after), mode="reflect")
    columns = np.pad(np.arange(image.shape[1]), (before, after), mode="reflect")
    return image[np.ix_(rows, columns)]


def _patchwise(patches: Tensor, model: PatchTrunk, dtype: torch.dtype) -> Tensor:
    """Describe patches `(N, P, P)` -> `(N, D)`, products in `dtype`."""
    batch = patches[:, None].contiguous(memory_format=torch.channels_last)
    with torch.autocast(patches.device.type, dtype, enabled=dtype != torch.float32):
        described: Tensor = model.evaluate(batch)
    return described.to(dtype)
