"""Files of other matching tools: match lists as text, and edge maps as EpicFlow reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import FilePath, atomic_path, read_bytes
from patchbatch.data.images import as_float, load_image, to_grey, write_image
from patchbatch.data.npz import read_npy
from patchbatch.errors import PatchBatchError

Points = NDArray[np.float32]

# No picture reaches this far; float32 has no halves of a pixel left there.
BEYOND = 1e9
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


def write_matches(
    path: FilePath, points1: NDArray[Any], points2: NDArray[Any], score: NDArray[Any] | None = None
) -> None:
    """Write matches as text, `x1 y1 x2 y2 score` a line, as EpicFlow and DeepMatching have them.

    EpicFlow's own reader holds 100,000 matches and does not check; select fewer for it.

    Parameters
    ----------
    path
        The file to write.
    points1, points2
        `(N, 2)`, x then y, in pixels from 0; stored so that float32 comes back exactly.
    score
        `(N,)`, higher is better; None for 1 everywhere.

    Raises
    ------
    PatchBatchError
        Shapes that do not fit, values that are not finite, or a failing write.
    """
    start, end = np.asarray(points1), np.asarray(points2)
    weight = np.ones(len(start)) if score is None else np.asarray(score)
    if start.ndim != 2 or start.shape[1] != 2 or end.shape != start.shape or weight.shape != start.shape[:1]:
        raise PatchBatchError(
            f"matches are (N, 2), (N, 2), (N,), not {start.shape}, {end.shape}, {weight.shape}; match them"
        )
    table = np.column_stack([start, end, weight]).astype(np.float64)
    if not (np.abs(table) < BEYOND).all():  # false for NaN
        raise PatchBatchError("matches hold NaN or numbers beyond 1e9; select the others")
    with atomic_path(path) as temporary:
        np.savetxt(temporary, table, fmt="%.9g")  # nine digits tell any two float32 apart


def read_matches(path: FilePath) -> tuple[Points, Points, NDArray[np.float32]]:
    """Read matches from text: four numbers a line, then perhaps a score, then anything.

    Parameters
    ----------
    path
        `x1 y1 x2 y2 [score ...]` a line, parted by blanks; blank lines are skipped.

    Returns
    -------
    tuple
        `points1` `(N, 2)`, `points2` `(N, 2)` float32 pixels, x then y, and `score` `(N,)` float32, 1
        where a line has none.

    Raises
    ------
    PatchBatchError
        A line with fewer than four numbers, or with a score that is none; the line is named.
    """
    # No match is a list of matches too: what `write_matches` wrote of none is an empty file.
    lines = read_bytes(path, may_be_empty=True).splitlines()
    rows = [_match(line, f"{path}, line {at}") for at, line in enumerate(lines, 1) if line.strip()]
    table = np.array(rows, np.float64).reshape(-1, 5).astype(np.float32)
    return table[:, :2].copy(), table[:, 2:4].copy(), table[:, 4].copy()


def _match(line: bytes, name: str) -> list[float]:
    """Return the five numbers of a line."""
    try:
        numbers = [float(word) for word in line.split(maxsplit=5)[:5]]
    except ValueError:
        raise PatchBatchError(f"{name}: not a number; write x1 y1 x2 y2 score") from None
    if len(numbers) < 4:
        raise PatchBatchError(f"{name}: {len(numbers)} numbers; write x1 y1 x2 y2 score")
    if not all(abs(number) < BEYOND for number in numbers):  # false for NaN
        raise PatchBatchError(f"{name}: a number is not finite or beyond 1e9; leave the match out")
    return [*numbers, 1.0] if len(numbers) == 4 else numbers


def write_edges(path: FilePath, edges: NDArray[Any]) -> None:
    """Write an edge map, whole or not at all.

    Parameters
    ----------
    path
        .npy keeps shape and float32; an image suffix stores 8 bits; any other suffix, or none, gives
        EpicFlow's raw float32, row by row, little-endian, without a header.
    edges
        `(H, W)` strength in [0, 1], as `as_float` takes a grey image.

    Raises
    ------
    PatchBatchError
        A bad array or a failing write.
    """
    values = as_float(edges)
    if values.ndim != 2:
        raise PatchBatchError(f"an edge map has shape (H, W), not {values.shape}; take one channel")
    suffix = Path(path).suffix.lower()
    if suffix in _IMAGE_SUFFIXES:
        write_image(path, values)
        return
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if suffix == ".npy":
            np.save(file, values, allow_pickle=False)
        else:
            file.write(values.astype("<f4").tobytes())


def read_edges(path: FilePath, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """Read an edge map that `write_edges`, EpicFlow's MATLAB script or another detector wrote.

    Parameters
    ----------
    path
        .npy, an image, or else raw float32.
    shape
        (height, width) in pixels; needed for a raw file, checked for the others.

    Returns
    -------
    ndarray
        `(H, W)` float32 in [0, 1].

    Raises
    ------
    PatchBatchError
        Another size than `shape`, a raw file without it, or values that are no edge strengths.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _IMAGE_SUFFIXES:
        edges = to_grey(load_image(path))
    else:
        stored = read_npy(path) if suffix == ".npy" else _read_raw(path, shape)
        edges = _strengths(stored, path)
    if shape is not None and edges.shape != tuple(shape):
        raise PatchBatchError(f"{path} has shape {edges.shape} but {tuple(shape)} is asked for; resize it")
    return edges


def _strengths(stored: NDArray[Any], path: FilePath) -> NDArray[np.float32]:
    """Convert stored values to edge strengths, naming the file where they are none."""
    try:
        edges = as_float(stored)
    except PatchBatchError as error:
        raise PatchBatchError(f"{path}: {error}") from error
    if edges.ndim != 2:
        raise PatchBatchError(f"{path}: an edge map has shape (H, W), not {edges.shape}; take one channel")
    return edges


def _read_raw(path: FilePath, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    """Read EpicFlow's headerless float32 map."""
    if shape is None:
        raise PatchBatchError(f"{path} is a raw edge map, which does not tell its size; give the shape")
    height, width = shape
    data = read_bytes(path)
    if len(data) != 4 * height * width:
        raise PatchBatchError(
            f"{path} has {len(data)} bytes but {width}x{height} edges take {4 * height * width}; "
            "check the size"
        )
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(height, width)
