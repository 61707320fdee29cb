"""A submission read back as a server would: with other readers than those that belong to the writers.

Sources: `io_flow.h` and the readme files of the KITTI devkits, the `.flo` code of Middlebury.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from patchbatch.errors import PatchBatchError

_PNG = struct.Struct(">8s4s4sIIBB")  # signature, length and name of the first block, then what it says
_FLO = struct.Struct("<fii")
_FLO_TAG = 202021.25
UNKNOWN_PX = 1e9


def check_archive(archive: Path, frames: Mapping[str, Path]) -> None:
    """Refuse an archive that a server would refuse, or would count pixels of as missing.

    Parameters
    ----------
    archive
        The `.zip`.
    frames
        For every entry that it has to have, the frame whose size the field must have.

    Raises
    ------
    PatchBatchError
        Names the entry and what is wrong with it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            if sorted(names) != sorted(frames):
                odd = sorted(set(names) ^ set(frames)) or ["an entry twice"]
                raise PatchBatchError(f"{archive}: {odd[0]} is missing, or is not asked for; make it anew")
            for name, frame in frames.items():
                fault = _fault(name, opened.read(name), _size(frame))
                if fault:
                    raise PatchBatchError(f"{archive}: {name} {fault}; make it anew")
    except zipfile.BadZipFile as error:
        raise PatchBatchError(f"{archive} is no archive ({error}); make it anew") from error


def _size(frame: Path) -> tuple[int, int]:
    """Return width and height of a frame."""
    image = cv2.imread(str(frame), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise PatchBatchError(f"{frame} cannot be read; copy it again")
    return image.shape[1], image.shape[0]


def _fault(name: str, data: bytes, size: tuple[int, int]) -> str | None:
    return _png_fault(data, size) if name.endswith(".png") else _flo_fault(data, size)


def _png_fault(data: bytes, size: tuple[int, int]) -> str | None:
    """Look at a KITTI field: 16-bit RGB, u and v from 2^15 in 64ths of a pixel, and 1 in blue."""
    if len(data) < _PNG.size:
        return "is cut off"
    signature, _, block, width, height, depth, colours = _PNG.unpack(data[: _PNG.size])
    if signature != b"\x89PNG\r\n\x1a\n" or block != b"IHDR":
        return "is no PNG"
    if (depth, colours) != (16, 2):
        return f"has {depth} bits and colour type {colours}, not 16 and 2"
    if (width, height) != size:
        return f"is {width}x{height}, not {size[0]}x{size[1]}"
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # blue comes first
    if stored is None or stored.dtype != np.uint16 or stored.shape != (height, width, 3):
        return "cannot be decoded"
    missing = int(np.count_nonzero(stored[..., 0] != 1))
    return f"has {missing} invalid pixels" if missing else None


def _flo_fault(data: bytes, size: tuple[int, int]) -> str | None:
    """Look at a field of Middlebury's format: float32, all finite, none of them the mark of the unknown."""
    if len(data) < _FLO.size:
        return "is cut off"
    tag, width, height = _FLO.unpack(data[: _FLO.size])
    if tag != _FLO_TAG:
        return "has no PIEH tag"
    if (width, height) != size:
        return f"is {width}x{height}, not {size[0]}x{size[1]}"
    if len(data) != _FLO.size + 8 * width * height:
        return f"has {len(data)} bytes"
    values = np.frombuffer(data, "<f4", offset=_FLO.size)
    missing = int(np.count_nonzero(~(np.abs(values) < UNKNOWN_PX)))
    return f"has {missing} invalid values" if missing else None
