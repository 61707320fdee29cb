"""Other people's descriptors as `Descriptor`s: patch networks, and functions that describe whole images.

Images are whatever `given_grey` takes; functions get `(H, W)` float32 grey in [0, 1]. The border is mirrored
without repeating the edge pixel, so there are H x W descriptors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from patchbatch.data.given.images import Image, ImageLike, given_grey
from patchbatch.descriptors.cost import pyramid_pixels
from patchbatch.descriptors.description import halvings, pad_for_patches
from patchbatch.devices import resolve_precision
from patchbatch.errors import PatchBatchError
from patchbatch.progress import tell
from patchbatch.tables import in_one_line

# Patches cut at once: 512 of 32 px are 2 MB, and the first maps of a small network some 50 MB.
PATCHES_AT_ONCE = 512

Points = NDArray[np.int64]
PatchFunction = Callable[[Tensor], Tensor]


class DenseDescriptor:
    """A function from images to dense descriptors.

    Parameters
    ----------
    name
        For messages and tables.
    function
        `(H, W)` float32 grey in [0, 1] -> `(H, W, D)` array or tensor, for every size from 1x1 up.
    dimension
        D.
    reach
        How far from a pixel it looks, px.
    device
        Where its tensors are; arrays are put there.
    flop_per_pixel
        Floating-point operations for one pixel; None: not known.

    Examples
    --------
    >>> grey_and_place = DenseDescriptor("grey", lambda image: image[..., None], dimension=1, reach=0)
    >>> [level.shape for level in grey_and_place.describe_pyramid(np.zeros((5, 6), np.float32), 2)]
    [torch.Size([5, 6, 1]), torch.Size([3, 3, 1])]
    """

    def __init__(
        self, name: str, function: Callable[[Image], Any], dimension: int, reach: int,
        device: torch.device | str = "cpu", flop_per_pixel: float | None = None,
    ):  # fmt: skip
        self.name, self.function = name, function
        self.dimension, self.reach = dimension, reach
        self.device = torch.device(device)
        self.flop_per_pixel = flop_per_pixel

    def describe(self, image: ImageLike) -> Tensor:
        """Describe every pixel -> `(H, W, D)` floating.

        Raises
        ------
        PatchBatchError
            When the image is none, or the function returns another shape.
        """
        image = given_grey(image)
        try:
            numbers = torch.as_tensor(self.function(image), device=self.device)
        except Exception as error:  # whatever a user's code raises or returns
            raise PatchBatchError(
                f"{self.name} fails on an image {image.shape}: {in_one_line(error)}"
            ) from error
        if numbers.shape != (*image.shape, self.dimension):
            raise PatchBatchError(
                f"{self.name} describes an image of {tuple(image.shape)} by {tuple(numbers.shape)}; it has "
                f"to be {(*image.shape, self.dimension)}"
            )
        return numbers if numbers.is_floating_point() else numbers.float()

    @torch.inference_mode()
    def describe_pyramid(self, image: ImageLike, levels: int, precision: str = "auto") -> list[Tensor]:
        """Describe an image and its halvings, see `Descriptor.describe_pyramid`."""
        dtype = resolve_precision(precision, self.device)
        pyramid = halvings(given_grey(image), levels)
        return [self.describe(level).to(dtype).contiguous() for level in pyramid]

    def flop(self, shape: tuple[int, int], levels: int) -> float | None:
        """Floating-point operations of describing an image `(H, W)`; None: not known."""
        if self.flop_per_pixel is None:
            return None
        return self.flop_per_pixel * pyramid_pixels(shape, levels)


class PatchDescriptor:
    """A network that describes single patches, applied to the patch around every pixel.

    Parameters
    ----------
    name
        For messages and tables.
    function
        `(N, 1, P, P)` float32 in [0, 1] -> `(N, D)`; a module is put into evaluation mode.
    patch_size
        P, px; the pixel described is at `P // 2`.
    device
        Where the patches are handed over; a module is moved there.

    Examples
    --------
    >>> mean = PatchDescriptor("mean", lambda patches: patches.mean(dim=(2, 3)), patch_size=5)
    >>> mean.dimension, mean.describe_pyramid(np.ones((4, 6), np.float32), 1)[0].shape
    (1, torch.Size([4, 6, 1]))
    """

    def __init__(
        self, name: str, function: PatchFunction, patch_size: int, device: torch.device | str = "cpu"
    ):
        if isinstance(function, nn.Module):
            function = function.to(device).eval()
        self.name, self.function, self.patch_size = name, function, patch_size
        self.device = torch.device(device)

    @property
    def reach(self) -> int:
        """Half the patch, px."""
        return self.patch_size // 2

    @cached_property
    def dimension(self) -> int:
        """Numbers of a descriptor, found by describing one patch."""
        return int(self._of(torch.zeros(1, 1, self.patch_size, self.patch_size)).shape[1])

    @torch.inference_mode()
    def at(self, image: ImageLike, points: Points) -> Tensor:
        """Describe `(N, 2)` pixels, x then y, of an image -> `(N, D)`."""
        image = given_grey(image)
        x, y = torch.from_numpy(points.T)
        windows = _windows(image, self.patch_size)
        places = zip(y.split(PATCHES_AT_ONCE), x.split(PATCHES_AT_ONCE), strict=True)
        empty = torch.empty(0, self.dimension, device=self.device)
        return torch.cat([empty, *(self._of(windows[rows, columns][:, None]) for rows, columns in places)])

    @torch.inference_mode()
    def describe(self, image: ImageLike) -> Tensor:
        """Describe every pixel -> `(H, W, D)`."""
        image = given_grey(image)
        height, width = image.shape
        numbers = torch.empty(height * width, self.dimension, device=self.device)
        for block, patches in _blocks(_windows(image, self.patch_size)):
            numbers[block] = self._of(patches)
            tell("patches", block.stop, height * width)
        return numbers.view(height, width, -1)

    def describe_pyramid(self, image: ImageLike, levels: int, precision: str = "auto") -> list[Tensor]:
        """Describe an image and its halvings, see `Descriptor.describe_pyramid`; products are float32."""
        dtype = resolve_precision(precision, self.device)
        return [self.describe(level).to(dtype) for level in halvings(given_grey(image), levels)]

    @cached_property
    def _flop_of_patch(self) -> int:
        from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - slow to import

        with FlopCounterMode(display=False) as counter:
            self._of(torch.zeros(1, 1, self.patch_size, self.patch_size))
        return int(counter.get_total_flops())

    def flop(self, shape: tuple[int, int], levels: int) -> float | None:
        """Floating-point operations of the layers that torch can count; None where it finds none."""
        return float(self._flop_of_patch * pyramid_pixels(shape, levels)) or None

    @torch.inference_mode()
    def _of(self, patches: Tensor) -> Tensor:
        shape = tuple(patches.shape)
        try:
            numbers = self.function(patches.to(self.device))
        except Exception as error:  # whatever a user's code raises
            raise PatchBatchError(f"{self.name} fails on patches {shape}: {in_one_line(error)}") from error
        if not (isinstance(numbers, Tensor) and numbers.ndim == 2 and len(numbers) == len(patches)):
            got = f"shape {tuple(numbers.shape)}" if isinstance(numbers, Tensor) else type(numbers).__name__
            raise PatchBatchError(
                f"{self.name} returned {got} for {len(patches)} patches; return a tensor (N, D)"
            )
        if not numbers.is_floating_point() or not torch.isfinite(numbers).all():
            raise PatchBatchError(
                f"{self.name} returned {numbers.dtype} with values that are not finite floating-point "
                "numbers; return those"
            )
        return numbers.float()


def _windows(image: Image, size: int) -> Tensor:
    """Return a view `(H, W, P, P)` of the patch of every pixel."""
    return torch.from_numpy(pad_for_patches(image, size)).unfold(0, size, 1).unfold(1, size, 1)


def _blocks(windows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Copy the patches, part of a row at a time, with the flat indices of their pixels."""
    height, width = windows.shape[:2]
    for y in range(height):
        for x in range(0, width, PATCHES_AT_ONCE):
            # A copy, because the windows share their memory, and functions may write into their input.
            part = windows[y, x : x + PATCHES_AT_ONCE].clone(memory_format=torch.contiguous_format)
            yield slice(y * width + x, y * width + x + len(part)), part[:, None]
