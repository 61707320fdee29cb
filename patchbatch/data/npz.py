"""Numpy's files, read without pickle and without trust; flow with mask and confidence in one archive."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from patchbatch.data.files import MAX_SIDE, FilePath, atomic_path, need_file, peek
from patchbatch.data.flow_arrays import Flow, Mask, known_flow, split_unknown
from patchbatch.data.headers.limits import MAX_INFLATION
from patchbatch.errors import PatchBatchError

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_npz(path: FilePath) -> tuple[Flow, Mask]:
    """Read a flow from an archive with the keys `flow` and, if known, `valid`.

    Parameters
    ----------
    path
        `flow` `(H, W, 2)` floats in pixels, `valid` `(H, W)` bool or integers, everywhere if absent.

    Returns
    -------
    tuple
        Flow `(H, W, 2)` float32 in pixels, 0 where unknown, and the mask `(H, W)`.

    Raises
    ------
    PatchBatchError
        No such file, no archive, a damaged or missing array, a bad shape or type, or an array that
        claims more than the file can hold.
    """
    with _archive(path) as archive:
        vectors = _read_array(archive, "flow", path, kinds="f")
        mask = _read_array(archive, "valid", path, kinds="biu") if "valid.npy" in archive.namelist() else None
    if vectors.ndim != 3 or vectors.shape[2] != 2 or not vectors.size:
        raise PatchBatchError(f"{path}: flow has shape {vectors.shape}, not (H, W, 2); write it again")
    if mask is not None and mask.shape != vectors.shape[:2]:
        raise PatchBatchError(
            f"{path}: valid has shape {mask.shape} but flow {vectors.shape}; write it again"
        )
    return split_unknown(vectors) if mask is None else known_flow(vectors, mask)


def read_npz_confidence(path: FilePath) -> NDArray[np.float32]:
    """Read the key `confidence` of an archive: `(H, W)` float32 in [0, 1], higher is better.

    Raises
    ------
    PatchBatchError
        As `read_npz`, or the archive has no confidence, or values outside [0, 1].
    """
    with _archive(path) as archive:
        confidence = _read_array(archive, "confidence", path, kinds="f")
    return checked_confidence(confidence, f"{path}: confidence")


def read_array(
    path: FilePath, key: str, kinds: str = "fiub", least_side: int = 1, max_side: int = MAX_SIDE
) -> NDArray[Any]:
    """Read one array of an archive.

    Parameters
    ----------
    path
        A `.npz` file.
    key
        Name of the array.
    kinds
        The kinds of type it may have, numpy's letters: f, i, u, b, and U for texts.
    least_side, max_side
        Smallest and largest side it may have.

    Returns
    -------
    ndarray
        As it is stored.

    Raises
    ------
    PatchBatchError
        As `read_npz`: no file, no archive, no such array, another type, or one that claims more than the
        file can hold.
    """
    with _archive(path) as archive:
        return _read_array(archive, key, path, kinds, least_side, max_side)


def array_names(path: FilePath) -> list[str]:
    """Return the names of the arrays in an archive.

    Raises
    ------
    PatchBatchError
        The file is missing or no archive.
    """
    with _archive(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_npy(path: FilePath) -> NDArray[Any]:
    """Read a `.npy` file, of any shape and of any type but objects.

    Raises
    ------
    PatchBatchError
        The file is missing, damaged, or claims more than it holds.
    """
    need_file(path)
    if peek(path, 6)[1] != b"\x93NUMPY":
        raise PatchBatchError(f"{path} is not a .npy file; check the suffix")
    try:
        # Mapped first: that fails, before memory is asked for, where the header claims more than there is.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # the header parser lets syntax, token and overflow errors through
        raise PatchBatchError(f"{path} is not a numpy array or is damaged; write or copy it again") from error


def checked_confidence(confidence: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return a confidence as float32, refusing what is not `(H, W)` in [0, 1].

    Raises
    ------
    PatchBatchError
        Another shape, or values outside [0, 1]; the line starts with `name`.
    """
    values = np.asarray(confidence)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
        raise PatchBatchError(
            f"{name} has {values.dtype} of shape {values.shape}, not real (H, W); reshape it"
        )
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN
        raise PatchBatchError(f"{name} has values outside [0, 1]; scale it")
    return values.astype(np.float32)


def write_npz(
    path: FilePath,
    flow: NDArray[Any],
    valid: NDArray[Any] | None = None,
    confidence: NDArray[Any] | None = None,
) -> None:
    """Write a flow, its mask and perhaps its confidence, compressed, whole or not at all.

    The same arrays give the same bytes.

    Parameters
    ----------
    path
        The file to write.
    flow, valid
        As `known_flow` takes them; unknown vectors are stored as 0 beside a false mask.
    confidence
        `(H, W)` in [0, 1], higher is better; None leaves it out.

    Raises
    ------
    PatchBatchError
        A bad array or a failing write.
    """
    known, mask = known_flow(flow, valid)
    arrays: dict[str, NDArray[Any]] = {"flow": known, "valid": mask}
    if confidence is not None:
        arrays["confidence"] = checked_confidence(confidence, "the confidence")
        if arrays["confidence"].shape != mask.shape:
            raise PatchBatchError(
                f"the confidence has shape {np.shape(confidence)} but the flow {mask.shape}"
            )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


@contextmanager
def _archive(path: FilePath) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever its parsers make of damaged bytes becomes one kind of error."""
    need_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except PatchBatchError:
        raise
    except Exception as error:  # zipfile, zlib and the header parser raise a dozen kinds between them
        raise PatchBatchError(
            f"{path} is not a numpy archive or is damaged; write or copy it again"
        ) from error


def _read_array(
    archive: zipfile.ZipFile, key: str, path: FilePath, kinds: str, least: int = 1, most: int = MAX_SIDE
) -> NDArray[Any]:
    """Read one array after holding its header against the member's and the file's size."""
    if f"{key}.npy" not in archive.namelist():
        raise PatchBatchError(f"{path} has no array named {key}; write it with that key")
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as stream:
        shape, dtype = _read_header(stream)
        expected = stream.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
    wanted = "numbers or texts" if "U" in kinds else "real numbers" if "f" in kinds else "booleans or 0 and 1"
    if dtype.kind not in kinds or dtype.hasobject or not all(least <= side <= most for side in shape):
        raise PatchBatchError(f"{path}: {key} has {dtype} of shape {shape}; write {wanted}")
    held = min(member.compress_size, os.path.getsize(path))
    if (
        member.compress_type not in _METHODS
        or member.file_size != expected
        or expected > held * MAX_INFLATION
    ):
        raise PatchBatchError(
            f"{path}: {key} claims the shape {shape} but its data do not fit; copy it again"
        )
    with archive.open(member) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        stream.read(1)  # the end of the member is where its checksum is compared
    return array


def _read_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of the array whose .npy header the stream starts with."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
