"""Flow and disparity files: Middlebury .flo, KITTI .png, .pfm and .npz.

In memory a flow is float32 `(H, W, 2)` in pixels beside a bool mask `(H, W)`, and 0 where the mask is
false. Each writer marks the unknown in its format's own way.
"""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.codecs import decode_image, encode_image
from patchbatch.data.files import MAX_SIDE, FilePath, atomic_path, read_bytes
from patchbatch.data.flow_arrays import Flow, Mask, known_flow, split_unknown, with_unknown
from patchbatch.data.headers.png import check_png
from patchbatch.data.images import read_image
from patchbatch.data.npz import checked_confidence, read_npz, read_npz_confidence, write_npz
from patchbatch.data.pfm import read_pfm, read_pfm_flow, write_pfm_flow
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)

FLOW_SUFFIXES = (".flo", ".png", ".pfm", ".npz")

_FLO_TAG = b"PIEH"  # the float 202021.25 in little-endian bytes
_FLO_HEADER = struct.Struct("<4sii")
# KITTI 2015 devkit: u = (R - 32768) / 64, so steps of 1/64 px and a range of -512 to 511.984 px.
_KITTI_STEPS = 64
_KITTI_ZERO = 32768


def read_flow(path: FilePath) -> tuple[Flow, Mask]:
    """Read a flow file; the suffix says which format.

    Parameters
    ----------
    path
        .flo (Middlebury, Sintel, Chairs), .png (KITTI), .pfm or .npz.

    Returns
    -------
    tuple
        Flow `(H, W, 2)` float32 in pixels, u to the right and v downward, 0 where unknown, and the
        mask `(H, W)` of known vectors.

    Raises
    ------
    PatchBatchError
        Another suffix, or as the reader of the format.
    """
    readers = {".flo": read_flo, ".png": read_kitti_flow, ".pfm": read_pfm_flow, ".npz": read_npz}
    return readers[_flow_suffix(path)](path)


def write_flow(
    path: FilePath,
    flow: NDArray[Any],
    valid: NDArray[Any] | None = None,
    confidence: NDArray[Any] | None = None,
) -> None:
    """Write a flow file, whole or not at all; the suffix says which format.

    Parameters
    ----------
    path
        .flo, .pfm and .npz are exact, but what is beyond 1e9 px is unknown in them; .png (KITTI) rounds to
        1/64 px, and what is not in -512 ... 511.984 px is unknown there. How much is lost is logged.
    flow
        `(H, W, 2)` in pixels; a vector that is not finite counts as unknown.
    valid
        `(H, W)`, non-zero where the flow is known; None for everywhere.
    confidence
        `(H, W)` in [0, 1]; .npz keeps it, the other formats have no place for it.

    Raises
    ------
    PatchBatchError
        Another suffix, a bad array, or a failing write.
    """
    suffix = _flow_suffix(path)
    if lost := lost_vectors(path, flow, valid):
        limit = "512 px" if suffix == ".png" else "1e9 px"
        mend = "; .flo, .pfm and .npz hold more" if suffix == ".png" else ""
        log.warning(
            "%s has no place for motion beyond %s: %d pixels are not valid in it%s", path, limit, lost, mend
        )
    if suffix == ".npz":
        write_npz(path, flow, valid, confidence)
    else:
        writers = {".flo": write_flo, ".png": write_kitti_flow, ".pfm": write_pfm_flow}
        writers[suffix](path, flow, valid)


def _flow_suffix(path: FilePath) -> str:
    """Return the suffix in lower case, or say which ones there are."""
    suffix = Path(path).suffix.lower()
    if suffix not in FLOW_SUFFIXES:
        raise PatchBatchError(f"{path}: flow files end in {', '.join(FLOW_SUFFIXES)}; choose one of these")
    return suffix


def read_confidence(path: FilePath) -> NDArray[np.float32]:
    """Read a confidence from the key of a .npz flow file or from a one-channel .pfm.

    Returns
    -------
    ndarray
        `(H, W)` float32 in [0, 1], higher is better.

    Raises
    ------
    PatchBatchError
        Another suffix, no confidence in the file, or values outside [0, 1].
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return read_npz_confidence(path)
    if suffix == ".pfm":
        return checked_confidence(read_pfm(path), str(path))
    raise PatchBatchError(f"{path}: confidence is read from .npz or .pfm; choose one of these")


def read_flo(path: FilePath) -> tuple[Flow, Mask]:
    """Read a Middlebury .flo file.

    Returns
    -------
    tuple
        As `read_flow`; a component beyond 1e9 or NaN is unknown.

    Raises
    ------
    PatchBatchError
        A wrong tag, a size outside 1 ... 99999, or a file that is longer or shorter than that size.
    """
    data = read_bytes(path)
    tag, width, height = _FLO_HEADER.unpack(data[: _FLO_HEADER.size].ljust(_FLO_HEADER.size, b"\0"))
    if tag != _FLO_TAG:
        raise PatchBatchError(f"{path} is not a .flo file (no PIEH tag); check the suffix")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise PatchBatchError(
            f"{path} claims {width}x{height} pixels; the limit is {MAX_SIDE}; copy it again"
        )
    expected = _FLO_HEADER.size + 8 * width * height
    if len(data) != expected:
        raise PatchBatchError(
            f"{path} has {len(data)} bytes but {width}x{height} pixels take {expected}; "
            "write or copy it again"
        )
    values = np.frombuffer(data, "<f4", offset=_FLO_HEADER.size)
    return split_unknown(values.reshape(height, width, 2))


def write_flo(path: FilePath, flow: NDArray[Any], valid: NDArray[Any] | None = None) -> None:
    """Write a Middlebury .flo file; unknown vectors become (1e10, 1e10).

    Parameters
    ----------
    path, flow, valid
        As `write_flow`.

    Raises
    ------
    PatchBatchError
        A bad array, more than 99999 rows or columns, or a failing write.
    """
    known, mask = known_flow(flow, valid)
    height, width = mask.shape
    if max(height, width) > MAX_SIDE:
        raise PatchBatchError(f"{path}: .flo holds at most {MAX_SIDE} rows and columns, not {width}x{height}")
    vectors = with_unknown(known, mask).astype("<f4")
    with atomic_path(path) as temporary:
        temporary.write_bytes(_FLO_HEADER.pack(_FLO_TAG, width, height) + vectors.tobytes())


def read_kitti_flow(path: FilePath) -> tuple[Flow, Mask]:
    """Read a KITTI flow file: a 16-bit RGB PNG with u, v and the mask in its channels.

    Returns
    -------
    tuple
        As `read_flow`; unknown where the blue channel is 0.

    Raises
    ------
    PatchBatchError
        No PNG, not 16-bit RGB, or as `read_image`.
    """
    data = read_bytes(path)
    header = check_png(data, str(path))
    if header.depth != 16 or header.colour_type != 2:
        raise PatchBatchError(f"{path} is not a 16-bit RGB PNG, so no KITTI flow; is it an image?")
    stored = decode_image(data, str(path))
    valid: Mask = stored[..., 2] > 0
    flow: Flow = (stored[..., :2].astype(np.float32) - np.float32(_KITTI_ZERO)) / np.float32(_KITTI_STEPS)
    flow[~valid] = 0
    return flow, valid


def write_kitti_flow(path: FilePath, flow: NDArray[Any], valid: NDArray[Any] | None = None) -> None:
    """Write a KITTI flow file, rounded to 1/64 px; unknown pixels are 0, 0, 0.

    Parameters
    ----------
    path, flow, valid
        As `write_flow`. The devkit truncates where this rounds; both are legal, rounding is nearer. What the
        file cannot hold (`fits_kitti`) is unknown in it.

    Raises
    ------
    PatchBatchError
        A bad array or a failing write.
    """
    known, mask = known_flow(flow, valid)
    mask = mask & fits_kitti(known)
    stored = np.ones((*mask.shape, 3), np.uint16)
    stored[..., :2] = np.where(mask[..., None], _kitti_numbers(known), 0)
    stored[~mask] = 0
    encoded = encode_image(stored, ".png")
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded)


def lost_vectors(path: FilePath, flow: NDArray[Any], valid: NDArray[Any] | None = None) -> int:
    """Return how many vectors that are finite and `valid` a file of this suffix cannot hold.

    Raises
    ------
    PatchBatchError
        Another suffix, or a bad array.
    """
    vectors = np.asarray(flow)
    known, mask = known_flow(vectors, valid)
    held = mask & fits_kitti(known) if _flow_suffix(path) == ".png" else mask
    claimed = np.isfinite(vectors).all(axis=-1)
    if valid is not None:
        claimed &= np.asarray(valid).astype(bool)
    return int(np.count_nonzero(claimed & ~held))


def fits_kitti(flow: NDArray[Any]) -> Mask:
    """Return where a KITTI file can hold a flow, `(H, W)` bool: from -512 to 511.984 px on both axes."""
    numbers = _kitti_numbers(flow)
    return np.asarray(((numbers >= 0) & (numbers <= 65535)).all(axis=-1))


def _kitti_numbers(flow: NDArray[Any]) -> NDArray[np.float64]:
    # In double precision: float32 would round twice for a vector close to half a step.
    return np.asarray(np.rint(flow.astype(np.float64) * _KITTI_STEPS + _KITTI_ZERO))


def read_kitti_disparity(path: FilePath) -> tuple[NDArray[np.float32], Mask]:
    """Read a KITTI disparity file: a 16-bit grey PNG of 256ths of a pixel, 0 where unknown.

    Returns
    -------
    tuple
        Disparity `(H, W)` float32 in pixels, 0 where unknown, and the mask of known pixels.

    Raises
    ------
    PatchBatchError
        Not 16-bit grey, or as `read_image`.
    """
    stored = read_image(path)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise PatchBatchError(f"{path} is not a 16-bit grey PNG, so no KITTI disparity; is it an image?")
    disparity: NDArray[np.float32] = stored.astype(np.float32) / np.float32(256)
    return disparity, stored > 0


def read_middlebury_disparity(path: FilePath, scale: float) -> tuple[NDArray[np.float32], Mask]:
    """Read a Middlebury disparity image (sets of 2001 to 2006): grey value / scale, 0 where unknown.

    Parameters
    ----------
    path
        A grey image.
    scale
        Grey values for one pixel of disparity, above 0: 8 for most of 2001, 4 for 2003, 1 for full
        size 2005 and 2006.

    Returns
    -------
    tuple
        Disparity `(H, W)` float32 in pixels, 0 where unknown, and the mask of known pixels.

    Raises
    ------
    PatchBatchError
        A scale that is not positive, a colour image, or as `read_image`.
    """
    if not (0 < scale < np.inf):
        raise PatchBatchError(f"{path}: a disparity scale is above 0, not {scale}")
    stored = read_image(path)
    if stored.ndim != 2:
        raise PatchBatchError(f"{path} is a colour image; a Middlebury disparity is grey")
    disparity: NDArray[np.float32] = stored.astype(np.float32) / np.float32(scale)
    return disparity, stored > 0
