"""Legends: blocks of text and colour, set in rows beneath a picture whose own pixels stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# A legend is legible at this height of a line, in px, and grows with pictures wider than that width.
_LINE_PX = 13
_WIDTH_PX = 640
_LARGEST = 4.0
# Narrower pictures get a margin on the right, so that a legend has room.
_LEAST_WIDTH_PX = 200


@dataclass(frozen=True)
class Scale:
    """How large a legend is drawn: `line` px high a line of text, `gap` px between blocks."""

    line: int
    gap: int


def scale_for(shape: tuple[int, ...]) -> Scale:
    """Return the size of a legend for a picture `(H, W)` or `(H, W, 3)`, larger for larger pictures."""
    factor = float(np.clip(shape[1] / _WIDTH_PX, 1, _LARGEST))
    return Scale(round(_LINE_PX * factor), max(4, round(8 * factor)))


def text_block(text: str, scale: Scale) -> Picture:
    """Write a line in black on white, `(scale.line + a little, W, 3)`; unknown letters become `?`."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - only pictures with a legend need it

    font = ImageFont.load_default(scale.line)
    plain = text.encode("latin-1", "replace").decode("latin-1")
    width, height = int(font.getlength(plain)) + 2, round(1.3 * scale.line)
    sheet = Image.new("RGB", (max(width, 1), height), (255, 255, 255))
    ImageDraw.Draw(sheet).text((0, 0), plain, font=font, fill=(0, 0, 0))
    return np.asarray(sheet, np.uint8)


def swatch(colour: Sequence[int] | NDArray[Any], scale: Scale) -> Picture:
    """Return a square of one colour with a thin grey border."""
    square = np.full((scale.line, scale.line, 3), 128, np.uint8)
    square[1:-1, 1:-1] = colour
    return square


def key(colour: Sequence[int] | NDArray[Any], text: str, scale: Scale) -> Picture:
    """Return a swatch with its words on the right."""
    return side_by_side([swatch(colour, scale), text_block(text, scale)], max(3, scale.gap // 2))


def side_by_side(blocks: Sequence[Picture], gap: int) -> Picture:
    """Set blocks in one row on white, each in the middle of the row's height."""
    height = max(block.shape[0] for block in blocks)
    width = sum(block.shape[1] for block in blocks) + gap * (len(blocks) - 1)
    row, left = np.full((height, width, 3), 255, np.uint8), 0
    for block in blocks:
        top = (height - block.shape[0]) // 2
        row[top : top + block.shape[0], left : left + block.shape[1]] = block
        left += block.shape[1] + gap
    return row


def stacked(blocks: Sequence[Picture]) -> Picture:
    """Set blocks one below the other on white, each from the left."""
    width = max(block.shape[1] for block in blocks)
    return np.concatenate([_widened(block, width) for block in blocks], axis=0)


def with_legend(picture: Picture, blocks: Sequence[Picture], caption: str | None = None) -> Picture:
    """Set a caption and the blocks of a legend beneath a picture.

    Parameters
    ----------
    picture
        `(H, W)` or `(H, W, 3)` uint8 RGB; its pixels are the first H rows and W columns of the result.
    blocks
        `(h, w, 3)` uint8 each, set from left to right in as many rows as the width needs.
    caption
        A line above the legend; None for none.

    Returns
    -------
    ndarray
        `(H + legend, W or more, 3)` uint8 RGB.
    """
    scale = scale_for(picture.shape)
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    room = max(colour.shape[1], _LEAST_WIDTH_PX) - 2 * scale.gap
    rows = [] if caption is None else _lines(caption, room, scale)
    row: list[Picture] = []
    for block in blocks:
        taken = sum(other.shape[1] + 2 * scale.gap for other in row)
        if row and taken + block.shape[1] > room:
            rows.append(side_by_side(row, 2 * scale.gap))
            row = []
        row.append(block)
    if row:
        rows.append(side_by_side(row, 2 * scale.gap))
    if not rows:
        return colour
    width = max(colour.shape[1], 2 * scale.gap + max(each.shape[1] for each in rows))
    return np.concatenate([_widened(colour, width), *_spaced(rows, width, scale.gap)], axis=0)


def _lines(caption: str, room: int, scale: Scale) -> list[Picture]:
    """Write a caption in as many lines as the width needs."""
    lines: list[str] = []
    for word in caption.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_block(longer, scale).shape[1] <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return [text_block(line, scale) for line in lines]


def _spaced(rows: Sequence[Picture], width: int, gap: int) -> list[Picture]:
    """Give rows a margin on the left and between them, and widen them."""
    spaced = []
    for row in rows:
        block = cv2.copyMakeBorder(row, gap // 2, 0, gap, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        spaced.append(_widened(np.asarray(block, np.uint8), width))
    return [*spaced, np.full((gap // 2 + 1, width, 3), 255, np.uint8)]


def _widened(block: Picture, width: int) -> Picture:
    """Add white on the right."""
    if block.shape[1] == width:
        return block
    return np.pad(block, ((0, 0), (0, width - block.shape[1]), (0, 0)), constant_values=255)
