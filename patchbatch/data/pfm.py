"""Portable float maps: one or three float32 channels, rows from the bottom up."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import MAX_SIDE, FilePath, atomic_path, read_bytes
from patchbatch.data.flow_arrays import Flow, Mask, known_flow, split_unknown, with_unknown
from patchbatch.errors import PatchBatchError

# Three lines: the kind, width and height, and a scale whose sign is the byte order.
_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,30})(?:\r\n|[ \t\r\n])")
_HEADER_BYTES = 256


def read_pfm(path: FilePath) -> NDArray[np.float32]:
    """Read a float map as it is stored.

    The size of the scale is ignored, as the programs that write flow and disparity do; its sign tells
    the byte order.

    Parameters
    ----------
    path
        A file that starts with `PF` (three channels) or `Pf` (one).

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)` float32, first row on top; may hold infinities and NaN.

    Raises
    ------
    PatchBatchError
        No such file, no float map, a bad size or scale, or a length that is not what the header says.
    """
    data = read_bytes(path)
    size, header = len(data), _HEADER.match(data[:_HEADER_BYTES])
    if not header:
        raise PatchBatchError(f"{path} is not a PFM file (no PF header); check the suffix")
    channels, width, height = 3 if header[1] == b"PF" else 1, int(header[2]), int(header[3])
    order = _byte_order(header[4], path)
    expected = header.end() + 4 * channels * width * height
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and size == expected):
        raise PatchBatchError(
            f"{path} claims {width}x{height} pixels, {expected} bytes, but has {size}; write or copy it again"
        )
    values = np.frombuffer(data, f"{order}f4", offset=header.end()).astype(np.float32, copy=False)
    shape = (height, width, 3) if channels == 3 else (height, width)
    rows: NDArray[np.float32] = values.reshape(shape)[::-1].copy()
    return rows


def _byte_order(scale: bytes, path: FilePath) -> str:
    """Return "<" for a negative scale and ">" for a positive one."""
    try:
        value = float(scale)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0:
        raise PatchBatchError(f"{path} has the PFM scale {scale.decode()}; it must be a number other than 0")
    return "<" if value < 0 else ">"


def write_pfm(path: FilePath, values: NDArray[Any]) -> None:
    """Write a float map, little-endian, whole or not at all.

    Parameters
    ----------
    path
        The file to write.
    values
        `(H, W)` or `(H, W, 3)` real numbers, stored as float32.

    Raises
    ------
    PatchBatchError
        Another shape or type, or a failing write.
    """
    values = np.asarray(values)
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)) or not values.size:
        raise PatchBatchError(f"a PFM file holds shape (H, W) or (H, W, 3), not {values.shape}; reshape it")
    if values.dtype.kind not in "fiub":
        raise PatchBatchError(f"a PFM file holds real numbers, not {values.dtype}; convert them")
    kind = "PF" if values.ndim == 3 else "Pf"
    header = f"{kind}\n{values.shape[1]} {values.shape[0]}\n-1\n".encode()
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which the format can hold
        stored = values[::-1].astype("<f4")
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + stored.tobytes())


def read_pfm_flow(path: FilePath) -> tuple[Flow, Mask]:
    """Read a flow from a three-channel float map: u, v and a third channel that is not used.

    Returns
    -------
    tuple
        Flow `(H, W, 2)` float32 in pixels, 0 where unknown (beyond 1e9 or NaN), and the mask `(H, W)`.

    Raises
    ------
    PatchBatchError
        As `read_pfm`, or the file has one channel.
    """
    values = read_pfm(path)
    if values.ndim != 3:
        raise PatchBatchError(f"{path} has one channel and a flow has three (u, v, 0); is it a disparity?")
    return split_unknown(values[..., :2])


def write_pfm_flow(path: FilePath, flow: NDArray[Any], valid: NDArray[Any] | None = None) -> None:
    """Write a flow as a float map with channels u, v, 0 and 1e10 where it is unknown.

    Parameters
    ----------
    path
        The file to write.
    flow, valid
        As `known_flow` takes them.

    Raises
    ------
    PatchBatchError
        A bad array or a failing write.
    """
    marked = with_unknown(*known_flow(flow, valid))
    write_pfm(path, np.concatenate([marked, np.zeros_like(marked[..., :1])], axis=2))
