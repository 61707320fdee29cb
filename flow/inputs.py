"""What a caller brings: images, matches, edges, a flow to start from; nothing here needs torch."""

from __future__ import annotations

import logging
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.matching.matches import Matches
from patchbatch.data.formats import read_flow
from patchbatch.data.images import as_float, read_image, to_grey
from patchbatch.data.matches_io import BEYOND, read_edges, read_matches
from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line

log = logging.getLogger(__name__)

Image = NDArray[np.float32]
ImageLike = str | PathLike[str] | NDArray[Any]
MatchesLike = Matches | NDArray[Any] | str | PathLike[str]
FlowLike = NDArray[np.float32] | str | PathLike[str]
EdgesLike = NDArray[np.float32] | str | PathLike[str]


def load_pair(image1: ImageLike, image2: ImageLike) -> tuple[Image, Image]:
    """Read and check both images; colour only if both have it.

    Raises
    ------
    PatchBatchError
        For images that cannot be read, and two sizes.
    """
    first, second = _load(image1, "image 1"), _load(image2, "image 2")
    if first.shape[:2] != second.shape[:2]:
        raise PatchBatchError(
            f"{_called(image1, 'image 1')} is {first.shape[1]}x{first.shape[0]} but "
            f"{_called(image2, 'image 2')} is {second.shape[1]}x{second.shape[0]}; crop or resize one"
        )
    if first.ndim == second.ndim:
        return first, second
    return to_grey(first), to_grey(second)


def _load(image: ImageLike, name: str) -> Image:
    if isinstance(image, str | PathLike):
        return as_float(read_image(image))
    numbers = as_array(image, name, None)
    try:
        return as_float(numbers)
    except PatchBatchError as error:
        raise PatchBatchError(f"{name}: {error}") from error


def _called(image: ImageLike, name: str) -> str:
    return str(image) if isinstance(image, str | PathLike) else name


def as_array(values: Any, name: str, dtype: type | None = np.float32) -> NDArray[Any]:
    """Return what a caller hands in as an array of real numbers, of a type or of its own.

    Raises
    ------
    PatchBatchError
        For what numpy cannot make one of; says what `name` was given as.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"numbers of type {array.dtype}")
        return array if dtype is None else array.astype(dtype, copy=False)
    except (TypeError, ValueError, RuntimeError) as error:
        given = f"{name} is a {type(values).__name__} ({in_one_line(error)})"
        raise PatchBatchError(f"{given}; give an array of numbers") from error


def given_matches(matches: Matches | NDArray[Any] | str | PathLike[str], shape: tuple[int, ...]) -> Matches:
    """Return matches that a caller brings, those that start outside the image moved into it with their end.

    Parameters
    ----------
    matches
        `Matches`; an array `(N, 4)` or `(N, 5)`: x1, y1, x2, y2 in px and perhaps a score; or a text file of
        such lines. Scores that all lie in [0, 1] are confidences; of others, such as DeepMatching's, nobody
        knows the scale, so that every match counts the same.
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


def given_flow(initial: FlowLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the flow that a caller brings to be refined.

    Parameters
    ----------
    initial
        `(H, W, 2)` px, or a flow file with a value everywhere.
    shape
        `(H, W)` of the images.

    Raises
    ------
    PatchBatchError
        For another shape, missing values, or a file that cannot be read.
    """
    name = "the initial flow"
    if isinstance(initial, str | PathLike):
        name = str(initial)
        initial, valid = read_flow(initial)
        if not valid.all():
            raise PatchBatchError(
                f"{name} has no value at {(~valid).sum()} pixels; fill them, or give what is known as matches"
            )
    flow = as_array(initial, name)
    if flow.shape != (*shape, 2):
        raise PatchBatchError(f"{name} has the shape {flow.shape}; give {(*shape, 2)} for these images")
    if not (np.abs(flow) < BEYOND).all():  # false for NaN
        raise PatchBatchError(f"{name} holds numbers that are not finite or beyond 1e9; fill those pixels")
    return flow


def given_edges(edges: EdgesLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the edge map that a caller brings, `(H, W)`; a file is read by `read_edges`.

    Raises
    ------
    PatchBatchError
        For a file that cannot be read, or another size.
    """
    if not isinstance(edges, str | PathLike):
        return as_array(edges, "the edge map")
    return read_edges(edges, (shape[0], shape[1]))
