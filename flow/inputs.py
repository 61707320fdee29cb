"""What a caller brings: images, matches, edges, a flow to start from; nothing here needs torch."""

from __future__ import annotations

import logging
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.matching.matches import Matches
from patchbatch.data.formats import read_flow
from patchbatch.data.given.arrays import as_array
from patchbatch.data.given.fields import given_flow_array, given_map
from patchbatch.data.given.images import Image, ImageLike, given_image
from patchbatch.data.images import to_grey
from patchbatch.data.matches_io import BEYOND, read_edges, read_matches
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)

MatchesLike = Any
"""`Matches`, an array, tensor or list `(N, 4)` or `(N, 5)`, or a file; see `given_matches`."""
FlowLike = Any
"""An array `(H, W, 2)`, a tensor `(2, H, W)`, or a file; see `given_flow`."""
EdgesLike = Any
"""An array or tensor `(H, W)`, or a file; see `given_edges`."""


def load_pair(image1: ImageLike, image2: ImageLike) -> tuple[Image, Image]:
    """Read and check both images, see `given_image`; colour only if both have it.

    Raises
    ------
    PatchBatchError
        For images that cannot be read, and two sizes.
    """
    first, second = given_image(image1, "image 1"), given_image(image2, "image 2")
    if first.shape[:2] != second.shape[:2]:
        raise PatchBatchError(
            f"{_called(image1, 'image 1')} is {first.shape[1]}x{first.shape[0]} but "
            f"{_called(image2, 'image 2')} is {second.shape[1]}x{second.shape[0]}; crop or resize one"
        )
    if first.ndim == second.ndim:
        return first, second
    return to_grey(first), to_grey(second)


def _called(image: ImageLike, name: str) -> str:
    return str(image) if isinstance(image, str | PathLike) else name


def given_matches(matches: MatchesLike, shape: tuple[int, ...]) -> Matches:
    """Return matches that a caller brings, those that start outside the image moved into it with their end.

    Parameters
    ----------
    matches
        `Matches`; an array, tensor or list `(N, 4)` or `(N, 5)`: x1, y1, x2, y2 in px and perhaps a score; or
        a text file of such lines. Scores that all lie in [0, 1] are confidences; of others, such as
        DeepMatching's, nobody knows the scale, so that every match counts the same.
    shape
        `(H, W)` of image 1.

    Raises
    ------
    PatchBatchError
        For another shape, numbers that are not finite, or a file that cannot be read.
    """
    if isinstance(matches, Matches):
        points1, points2 = (as_array(part, "matches") for part in (matches.points1, matches.points2))
        table = _checked_table(points1, points2, as_array(matches.confidence, "matches"))
    else:
        table = _table_of(matches)
    points1, points2, score = table[:, :2], table[:, 2:4], table[:, 4].copy()
    if not ((score >= 0) & (score <= 1)).all():
        log.info("scores of the matches are not in [0, 1], so every match counts the same")
        score[:] = 1
    limit = np.array([shape[1] - 1, shape[0] - 1], np.float32)
    started = np.clip(points1, 0, limit).astype(np.float32)
    cost = matches.cost if isinstance(matches, Matches) else np.zeros(len(score), np.float32)
    return Matches(started, points2 + (started - points1), cost, score)


def _table_of(given: Any) -> NDArray[np.float32]:
    if isinstance(given, str | PathLike):
        return _checked_table(*read_matches(given))
    table = as_array(given, "matches")
    if table.size == 0:
        return np.zeros((0, 5), np.float32)
    if table.ndim != 2 or table.shape[1] not in (4, 5):
        raise PatchBatchError(f"matches have the shape {table.shape}; give (N, 4) or (N, 5)")
    score = table[:, 4] if table.shape[1] == 5 else np.ones(len(table), np.float32)
    return _checked_table(table[:, :2], table[:, 2:4], score)


def _checked_table(points1: NDArray[Any], points2: NDArray[Any], score: NDArray[Any]) -> NDArray[np.float32]:
    """Put matches side by side, `(N, 5)` float32; refuse shapes and numbers that are none."""
    if points1.shape != points2.shape or points1.shape != (len(score), 2):
        raise PatchBatchError(
            f"matches are (N, 2), (N, 2), (N,), not {points1.shape}, {points2.shape}, {score.shape}; fit them"
        )
    table = np.column_stack([points1, points2, score]).astype(np.float32)
    if not (np.abs(table) < BEYOND).all():  # false for NaN
        raise PatchBatchError("the matches hold numbers that are not finite or beyond 1e9; leave those out")
    return table


def given_flow(
    initial: FlowLike, shape: tuple[int, ...], name: str = "the initial flow"
) -> NDArray[np.float32]:
    """Return the flow that a caller brings to be refined.

    Parameters
    ----------
    initial
        `(H, W, 2)` px, a tensor `(2, H, W)`, or a flow file with a value everywhere.
    shape
        `(H, W)` of the images.
    name
        What an array is called in a message.

    Raises
    ------
    PatchBatchError
        For another shape, missing values, or a file that cannot be read.
    """
    if isinstance(initial, str | PathLike):
        name = str(initial)
        initial, valid = read_flow(initial)
        if not valid.all():
            raise PatchBatchError(
                f"{name} has no value at {(~valid).sum()} pixels; fill them, or give what is known as matches"
            )
    return given_flow_array(initial, shape, name)


def given_edges(edges: EdgesLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the edge map that a caller brings, `(H, W)`; a file is read by `read_edges`.

    Raises
    ------
    PatchBatchError
        For a file that cannot be read, another size, or values that are no strengths.
    """
    if not isinstance(edges, str | PathLike):
        return given_map(edges, shape, "the edge map")
    return read_edges(edges, (shape[0], shape[1]))
