"""Bars of one colour at the border of a film, which stand still whatever the picture between them does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Two grey levels of 255: compression leaves no colour quite even.
_EVEN = 2 / 255
_DARKEST = 20 / 255  # video black is 16
_THINNEST = 2  # px


def bars(image1: NDArray[np.float32], image2: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the pixels of bars above, below or beside a picture.

    Bars are runs of whole rows at the top and the bottom, or of whole columns at both sides, that are dark,
    of one colour and the same in both frames. No descriptor can match them, and what fills holes would let
    them move with the picture. A white sky is no bar: it may well move.

    Parameters
    ----------
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1], of one size.

    Returns
    -------
    NDArray
        `(H, W)` bool; nowhere where nothing would be left between the bars.

    Examples
    --------
    >>> film = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    >>> film[:2] = film[4:] = 0
    >>> bars(film, film)[:, 0].tolist()
    [True, True, False, False, True, True]
    """
    both = np.concatenate([np.atleast_3d(image1), np.atleast_3d(image2)], axis=-1)
    mask = np.zeros(both.shape[:2], np.bool_)
    for turned, view in ((mask, both), (mask.T, both.transpose(1, 0, 2))):
        first, last = _even_rows(view), _even_rows(view[::-1])
        if min(first, last) >= _THINNEST and first + last < len(view):
            turned[:first], turned[len(view) - last :] = True, True
    return np.zeros_like(mask) if mask.all() else mask


def _even_rows(frames: NDArray[np.float32]) -> int:
    """Return how many rows from the first on have its colour throughout, `(H, W, 2 C)`, both frames alike."""
    corner = frames[0, 0]
    half = len(corner) // 2
    if np.abs(corner[:half] - corner[half:]).max() > _EVEN or corner.max() > _DARKEST:
        return 0
    odd = (np.abs(frames - corner) > _EVEN).any(axis=(1, 2))
    return int(odd.argmax()) if odd.any() else len(odd)
