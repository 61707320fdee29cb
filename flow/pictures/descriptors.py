"""What descriptors see: both images in the same three colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flow.pictures.canvas import Picture, scale_for, text_block, with_legend

if TYPE_CHECKING:
    from torch import Tensor

# Every so many pixels enter the directions; enough for three of them.
_STEP = 4
# Grey in the middle; so many standard deviations to each side are shown.
_SPREAD = 2.5

EXPLAINED = "red, green, blue: the three directions in which descriptors differ most"


def descriptor_picture(first: Tensor, second: Tensor | None = None, *, legend: bool = True) -> Picture:
    """Show descriptors by the three directions in which those of both images differ most.

    Parameters
    ----------
    first, second
        `(H, W, D)` of image 1 and of image 2, of any type; `second` may be left out.
    legend
        Set a line of explanation beneath.

    Returns
    -------
    ndarray
        uint8 RGB: image 1 above image 2 where images are wide, else beside each other.
    """
    import torch  # noqa: PLC0415 - whoever has descriptors has imported it

    maps = [first] if second is None else [first, second]
    sample = torch.cat([each[::_STEP, ::_STEP].reshape(-1, each.shape[2]).float() for each in maps])
    mean = sample.mean(dim=0)
    directions = torch.linalg.eigh((sample - mean).T @ (sample - mean)).eigenvectors[:, -3:].flip(1)
    # The sign of an eigenvector is arbitrary; fix it, so that the same image gives the same picture.
    directions = directions * torch.sign(directions.sum(dim=0)).where(directions.sum(dim=0) != 0, 1.0)
    spread = ((sample - mean) @ directions).std(dim=0, unbiased=False).clamp(min=1e-6)
    shown = [
        _in_bytes(((each.float() - mean) @ directions / (2 * _SPREAD * spread)).cpu().numpy())
        for each in maps
    ]
    above = first.shape[1] > 2 * first.shape[0]
    picture = _joined(shown, above)
    words = [EXPLAINED]
    if second is not None:
        where = "above" if above else "left"
        words.insert(0, f"image 1 ({where}) and image 2 in the same colours: like colours, like descriptors")
    blocks = [text_block(line, scale_for(picture.shape)) for line in words]
    return with_legend(picture, blocks if legend else [])


def _in_bytes(values: NDArray[np.float32]) -> Picture:
    """Return the three numbers of each pixel as colour; those of descriptors with fewer are grey."""
    colours = np.full((*values.shape[:2], 3), 0.5, np.float32)
    colours[..., : values.shape[2]] += values
    picture: Picture = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    return picture


def _joined(pictures: list[Picture], above: bool) -> Picture:
    """Set pictures above or else beside each other, with a white gap."""
    if len(pictures) == 1:
        return pictures[0]
    height, width = pictures[0].shape[:2]
    gap = np.full((6, width, 3) if above else (height, 6, 3), 255, np.uint8)
    return np.concatenate([pictures[0], gap, pictures[1]], axis=0 if above else 1)
