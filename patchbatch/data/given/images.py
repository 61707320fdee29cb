"""Images that a caller hands in: files, arrays, torch tensors, pictures of PIL, alone or many at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.given.arrays import as_array, is_tensor
from patchbatch.data.images import as_float, read_image, to_grey
from patchbatch.errors import PatchBatchError

Image = NDArray[np.float32]
ImageLike = Any
"""A path, an array, a torch tensor, a picture of PIL, or nested lists of floats; see `given_image`."""

CHANNELS = (1, 3, 4)
# What PIL holds in another form than arrays of grey or RGB, and the form asked of it.
_PIL_MODES = {
    "P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "RGBX": "RGB",
    "RGBa": "RGBA", "LA": "L", "La": "LA",
}  # fmt: skip


def given_image(image: ImageLike, name: str = "the image") -> Image:
    """Return an image as the stages take it: `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1].

    Parameters
    ----------
    image
        A path. An array `(H, W)`, `(H, W, 1)`, `(H, W, 3)` RGB or `(H, W, 4)`, a tensor of one of these
        shapes or `(1, H, W)`, `(3, H, W)`, `(4, H, W)` on any device, each perhaps as a batch of one: bool,
        uint8, uint16, or floats of any width in [0, 1]. Nested lists of such numbers. A picture of PIL. Of a
        tensor that could have its channels first and last, they are first. Alpha is dropped.
    name
        What it is called in a message.

    Raises
    ------
    PatchBatchError
        For anything else: files that cannot be read, other shapes, integers of other types, floats of another
        scale such as to 255, numbers that are not finite, tensors on the device "meta".

    Examples
    --------
    >>> given_image([[0.0, 0.5], [1.0, 0.25]]).shape
    (2, 2)
    """
    if isinstance(image, str | PathLike):
        return as_float(read_image(image))
    try:
        return as_float(_channels_last(_pixels(image, name), is_tensor(image)))
    except PatchBatchError as error:
        text = str(error)
        raise PatchBatchError(text if text.startswith(name) else f"{name}: {text}") from error


def given_grey(image: ImageLike, name: str = "the image") -> Image:
    """Return an image as descriptors see it: `(H, W)` float32 in [0, 1], the luma of colours.

    Parameters and errors are those of `given_image`.
    """
    return to_grey(given_image(image, name))


def given_images(images: Any, name: str = "the image") -> list[Any] | None:
    """Return the single images of what is a batch, not converted; None for one image.

    Parameters
    ----------
    images
        A batch is an array `(B, H, W, C)`, a tensor `(B, C, H, W)` or `(B, H, W, C)`, or a sequence of paths,
        arrays, tensors or pictures. Nested lists of numbers are one image.
    name
        What it is called in a message.
    """
    if isinstance(images, np.ndarray) or is_tensor(images):
        return [images[index] for index in range(len(images))] if images.ndim == 4 else None
    if isinstance(images, Sequence) and not isinstance(images, str | bytes) and len(images):
        first = images[0]
        if isinstance(first, str | PathLike | np.ndarray) or is_tensor(first) or _is_pil(first):
            single = isinstance(first, np.ndarray) and first.ndim < 2
            return None if single else list(images)
    return None


def _pixels(image: Any, name: str) -> NDArray[Any]:
    """Return the stored numbers of an image, in their own type."""
    if not _is_pil(image):
        return as_array(image, name, None)
    mode = _PIL_MODES.get(image.mode)
    pixels = as_array(image if mode is None else image.convert(mode), name, None)
    if pixels.dtype.kind == "i":  # mode I: 32 bits, for 16 that a file holds
        if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
            raise PatchBatchError(f"{name} holds 32-bit integers; convert them to floats in [0, 1]")
        pixels = pixels.astype(np.uint16)
    return pixels


def _is_pil(image: Any) -> bool:
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def _channels_last(pixels: NDArray[Any], tensor: bool) -> NDArray[Any]:
    """Take a batch of one apart, and move the channels of a tensor behind its pixels."""
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 4:
        raise PatchBatchError(f"a batch of {len(pixels)} images is given where one is asked for; give one")
    if tensor and pixels.ndim == 3 and pixels.shape[0] in CHANNELS:
        pixels = np.moveaxis(pixels, 0, 2)
    return pixels
