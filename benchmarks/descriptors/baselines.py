"""Descriptors to compare the networks with: hand-made ones and networks that describe single patches.

Images are `(H, W)` float32 grey in [0, 1]; an image is described at every pixel, its border mirrored
without repeating the edge pixel, so that there are H x W descriptors. Comparing is by L2 distance.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.descriptors.daisy import daisy
from patchbatch.descriptors.description import pad_for_patches
from patchbatch.errors import PatchBatchError

Image = NDArray[np.float32]
Points = NDArray[np.int64]
PatchFunction = Callable[[Tensor], Tensor]

HAND_MADE = ("sift", "rootsift", "daisy", "patch", "census")
ZNCC_PATCH_PX = 15
CENSUS_PX = (7, 9)  # rows, columns
USUAL_PATCH_PX = 32
# Patches cut at once: 512 of 32 px are 2 MB, and the first maps of a small network some 50 MB.
PATCHES_AT_ONCE = 512
# Keypoints at once: each is a Python object of its own.
KEYPOINTS_AT_ONCE = 65536
# OpenCV's keypoint diameter -> the side of one of SIFT's 4 x 4 cells (its descriptor scale is 3).
CELL_OF_DIAMETER = 1.5


@dataclass(frozen=True)
class FieldDescriptor:
    """Something that describes every pixel.

    Attributes
    ----------
    name
        For the table.
    describe
        `(H, W)` image -> `(H, W, D)`.
    describe_points
        An image and `(N, 2)` pixels, x then y -> `(N, D)`, as `describe` has them there; None where
        describing the whole image is the way.
    """

    name: str
    describe: Callable[[Image], Tensor]
    describe_points: Callable[[Image, Points], Tensor] | None = None

    def at(self, image: Image, points: Points) -> Tensor:
        """Describe `(N, 2)` pixels of an image -> `(N, D)`."""
        if self.describe_points is not None:
            return self.describe_points(image, points)
        x, y = torch.from_numpy(points.T)
        described = self.describe(image)
        return described[y.to(described.device), x.to(described.device)]


def patch_descriptor(
    name: str, patch_size: int, function: PatchFunction, device: str = "cpu"
) -> FieldDescriptor:
    """Return a descriptor that computes each pixel's vector from the patch around it.

    Parameters
    ----------
    name
        For the table and for errors.
    patch_size
        Side P in pixels; the pixel described is at `P // 2`.
    function
        `(N, 1, P, P)` float32 in [0, 1] -> `(N, D)`; called on at most `PATCHES_AT_ONCE` patches.
    device
        Where the patches are handed over.
    """

    def at(image: Image, points: Points) -> Tensor:
        x, y = torch.from_numpy(points.T)
        windows = _windows(image, patch_size)
        parts = [
            _checked(name, function, windows[rows, columns][:, None].to(device))
            for rows, columns in zip(y.split(PATCHES_AT_ONCE), x.split(PATCHES_AT_ONCE), strict=True)
        ]
        return torch.cat(parts)

    def whole(image: Image) -> Tensor:
        height, width = image.shape
        described = None
        for block, patches in _blocks(_windows(image, patch_size)):
            part = _checked(name, function, patches.to(device))
            if described is None:  # the first block tells the dimension
                described = part.new_empty(height * width, part.shape[1])
            described[block] = part
        assert described is not None  # noqa: S101 - an image has pixels
        return described.view(height, width, -1)

    return FieldDescriptor(name, whole, at)


def _windows(image: Image, size: int) -> Tensor:
    """Return a view `(H, W, P, P)` of the patch of every pixel."""
    return torch.from_numpy(pad_for_patches(image, size)).unfold(0, size, 1).unfold(1, size, 1)


def _blocks(windows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Copy the patches, part of a row at a time, with the flat indices of their pixels."""
    height, width = windows.shape[:2]
    for y in range(height):
        for left in range(0, width, PATCHES_AT_ONCE):
            # A copy, because the windows share their memory, and functions may write into their input.
            part = windows[y, left : left + PATCHES_AT_ONCE].clone(memory_format=torch.contiguous_format)
            start = y * width + left
            yield slice(start, start + len(part)), part[:, None]


@torch.inference_mode()
def _checked(name: str, function: PatchFunction, patches: Tensor) -> Tensor:
    described = function(patches)
    if not isinstance(described, Tensor) or described.ndim != 2 or len(described) != len(patches):
        got = f"shape {tuple(described.shape)}" if isinstance(described, Tensor) else type(described).__name__
        raise PatchBatchError(
            f"descriptor {name} returned {got} for {len(patches)} patches; return a tensor (N, D)"
        )
    if not described.is_floating_point() or not torch.isfinite(described).all():
        raise PatchBatchError(
            f"descriptor {name} returned {described.dtype} with values that are not finite floating-point "
            "numbers; return those"
        )
    return described


def normalized_patch(patches: Tensor) -> Tensor:
    """Grey levels less their mean, at unit length, `(N, P * P)`.

    The squared L2 distance is 2 - 2 ZNCC. A patch of one grey level becomes 0.
    """
    centred = patches.flatten(1) - patches.mean(dim=(1, 2, 3))[:, None]
    # Rounding leaves a constant patch with differences below 1e-6, which are not to be blown up.
    return F.normalize(centred * (centred.abs().amax(dim=1, keepdim=True) > 1e-6), dim=1)


def census(patches: Tensor) -> Tensor:
    """Census bits of 9 x 7 px, `(N, 62)`: 1 where a neighbour is darker than the pixel, else 0.

    Row by row without the pixel itself; the squared L2 distance is the Hamming distance.

    Parameters
    ----------
    patches
        `(N, 1, 9, 9)`; the first and last row are not looked at.

    Source: Zabih & Woodfill 1994.
    """
    rows, columns = CENSUS_PX
    spare = (columns - rows) // 2
    bits = patches[:, 0, spare : spare + rows] < patches[:, :, columns // 2, columns // 2, None]
    centre = rows * columns // 2
    flat = bits.flatten(1).float()
    return torch.cat([flat[:, :centre], flat[:, centre + 1 :]], dim=1)


def sift_descriptor(name: str, cell_px: float = 4.0) -> FieldDescriptor:
    """Return dense upright SIFT, OpenCV's, at one scale; 128 numbers.

    Parameters
    ----------
    name
        `"sift"` keeps OpenCV's whole numbers 0 to 255; `"rootsift"` takes the roots of their shares of the
        sum (Arandjelovic & Zisserman 2012), a vector of unit length.
    cell_px
        Side of one of the 4 x 4 cells in pixels. Larger cells see more and tell places apart less well.
    """

    def at(image: Image, points: Points) -> Tensor:
        described = torch.from_numpy(_sift(image, points, cell_px))
        return F.normalize(described, p=1, dim=1).sqrt_() if name == "rootsift" else described

    def whole(image: Image) -> Tensor:
        y, x = np.divmod(np.arange(image.size), image.shape[1])
        return at(image, np.stack([x, y], axis=1)).view(*image.shape, -1)

    return FieldDescriptor(name, whole, at)


def _sift(image: Image, points: Points, cell_px: float) -> Image:
    # The farthest corner of the rotated 5 x 5 cells that bilinear binning touches, and the blur of 1.6 px.
    border = int(np.ceil(cell_px * 2.5 * 2**0.5)) + 8
    padded = pad_for_patches(np.rint(image * 255), 2 * border + 1).astype(np.uint8)
    sift = cv2.SIFT.create()
    diameter = cell_px / CELL_OF_DIAMETER
    described = np.empty((len(points), 128), np.float32)
    for start in range(0, len(points), KEYPOINTS_AT_ONCE):
        part = points[start : start + KEYPOINTS_AT_ONCE] + border
        keypoints = [cv2.KeyPoint(float(x), float(y), diameter, 0.0) for x, y in part]
        # Given keypoints that all lie inside, OpenCV returns a row for each, in their order.
        described[start : start + len(part)] = sift.compute(padded, keypoints)[1]
    return described


def load_tfeat(file: Path, device: str = "cpu") -> FieldDescriptor:
    """Return TFeat (Balntas et al. 2016) as kornia defines it; 32-px patches, 128 numbers.

    Parameters
    ----------
    file
        Its weights as `.safetensors`, with kornia's names.

    Raises
    ------
    PatchBatchError
        If the file is not there or does not hold those weights.
    """
    from kornia.feature import TFeat  # noqa: PLC0415 (takes seconds to import)

    network = TFeat(pretrained=False).eval()
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise PatchBatchError(
            f"{file} does not hold TFeat's weights; give kornia's as .safetensors"
        ) from error
    return patch_descriptor("tfeat", network.patch_size, network.to(device), device)


def load_custom(spec: str, device: str = "cpu") -> FieldDescriptor:
    """Return the descriptor that `NAME=package.module:factory` stands for.

    The factory takes no arguments and returns a torch module or another callable that turns patches
    `(N, 1, P, P)` float32 in [0, 1] into `(N, D)`, P being its attribute `patch_size`, else 32.

    Raises
    ------
    PatchBatchError
        If the words are not of that form, there is no such factory, or it returns something else.
    """
    name, _, place = spec.partition("=")
    module_name, _, factory_name = place.partition(":")
    if not (name and module_name and factory_name):
        raise PatchBatchError(f"descriptor {spec!r} is not of the form NAME=package.module:factory")
    try:
        network: Any = getattr(importlib.import_module(module_name), factory_name)()
    except Exception as error:  # foreign code may raise anything; the first line says what
        reason = str(error).partition("\n")[0]
        raise PatchBatchError(
            f"descriptor {name}: {place} failed with {type(error).__name__}: {reason}"
        ) from error
    if isinstance(network, torch.nn.Module):
        network = network.eval().to(device)
    patch_size = getattr(network, "patch_size", USUAL_PATCH_PX)
    if not callable(network) or not isinstance(patch_size, int) or patch_size < 1:
        raise PatchBatchError(
            f"descriptor {name}: {place} returned {type(network).__name__} with patch_size {patch_size!r}; "
            "return a callable with a whole number of pixels"
        )
    return patch_descriptor(name, patch_size, network, device)


def hand_made(name: str, cell_px: float = 4.0) -> FieldDescriptor:
    """Return a descriptor of `HAND_MADE`.

    Parameters
    ----------
    cell_px
        Of the two SIFTs, see `sift_descriptor`.
    """
    if name in ("sift", "rootsift"):
        return sift_descriptor(name, cell_px)
    if name == "daisy":
        return FieldDescriptor(name, lambda image: torch.from_numpy(daisy(image)))
    if name == "patch":
        return patch_descriptor(name, ZNCC_PATCH_PX, normalized_patch)
    if name == "census":
        return patch_descriptor(name, max(CENSUS_PX), census)
    raise PatchBatchError(f"no hand-made descriptor {name!r}; there are {', '.join(HAND_MADE)}")
