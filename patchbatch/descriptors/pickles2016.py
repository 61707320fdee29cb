"""Lists of arrays in the Python 2 pickles of 2016, read without running them.

A pickle is a program. Here nothing in it can be called: its three numpy names stand for classes of this
module that only keep what they are given, and steps, size and instructions are limited.
"""

from __future__ import annotations

import io
import math
import pickle  # only through `_Unpickler` below, which calls nothing from the file
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError

MAX_BYTES = 24_000_000  # the largest model has 5.8 MB of weights, and a byte takes up to four characters
MAX_STEPS = 10_000  # reads from the file; 20 arrays take about 500


def read_arrays(path: Path, count: int) -> list[StoredArray]:
    """Read a pickled list of `count` arrays, their values still unread.

    Raises
    ------
    PatchBatchError
        When the file is missing, too large, no pickle, or holds something else.
    """
    try:
        if not path.is_file():
            raise PatchBatchError(f"no file {path}; check the name")
        if path.stat().st_size > MAX_BYTES:
            raise PatchBatchError(f"{path} is larger than any model of 2016; is it the right file?")
        data = path.read_bytes()
    except OSError as error:
        raise PatchBatchError(f"cannot read {path} ({error.strerror}); check the name") from error
    try:
        content = _Unpickler(_CountedFile(data), encoding="latin1").load()
    except Exception as error:  # a broken pickle can fail in any way: types, indices, memory, recursion
        reason = str(error) if isinstance(error, _Refusal) else "damaged or not a pickle"
        raise PatchBatchError(f"{path} is no model of 2016 ({reason}); use a published file") from error
    if not isinstance(content, list) or len(content) != count:
        raise PatchBatchError(f"{path} is not a list of {count} arrays; are weights and statistics swapped?")
    if not all(isinstance(item, StoredArray) for item in content):
        raise PatchBatchError(f"{path} holds other things than arrays; use a published file")
    return content


def _short(value: object) -> str:
    """Quote something from a file: on one line, and not all of it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


class _Refusal(pickle.UnpicklingError):
    """A pickle that asks for more than arrays."""


class _StoredType:
    """Stands for `numpy.dtype` in a pickle."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_copy_and_align: object):
        self.code = code
        self.order: object = None

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class StoredArray:
    """Stands for `numpy.ndarray` in a pickle, and for the function that makes an empty one.

    Values stay text until `values`, so that a file which names one text many times takes no more memory.
    """

    __slots__ = ("_fortran", "_text", "_type", "shape")

    def __init__(self, *_type_shape_and_code: object):
        self.shape: tuple[int, ...] = ()

    def __setstate__(self, state: Any) -> None:
        _version, self.shape, self._type, self._fortran, self._text = state
        whole = isinstance(self.shape, tuple) and all(type(length) is int for length in self.shape)
        if not whole or len(self.shape) > 4 or any(not 0 <= length < MAX_BYTES for length in self.shape):
            raise _Refusal("an array has no proper shape")

    def values(self, path: Path) -> NDArray[np.float32]:
        """Return the values as float32.

        Raises
        ------
        PatchBatchError
            When they are of another type, or cut short; names the file, `path`.
        """
        kind, text = self._type, self._text
        if not (isinstance(kind, _StoredType) and (kind.code, kind.order) == ("f4", "<")):
            raise PatchBatchError(f"{path} holds an array that is not float32; use a published file")
        data = text.encode("latin1", "ignore") if isinstance(text, str) else b""
        if len(data) != 4 * math.prod(self.shape):
            raise PatchBatchError(f"{path} holds an array that is cut short; fetch the file anew")
        flat = np.frombuffer(data, "<f4").astype(np.float32)
        return flat.reshape(self.shape, order="F" if self._fortran else "C")


class _CountedFile(io.BytesIO):
    """A file in memory that refuses to be read in too many steps."""

    steps = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise _Refusal("it has too many instructions")
        return super().read(size)


class _Unpickler(pickle._Unpickler):
    """Reads lists of float32 arrays, and calls nothing that the file names.

    The unpickler written in Python is the base, not the one in C: that one makes room for as many memo
    entries as the file says, so that fifteen bytes can ask for all memory.
    """

    # Instructions of Python 2; later ones read in blocks, past the count of steps.
    dispatch = {  # noqa: RUF012 - annotated in the base class
        ord(instruction.code): pickle._Unpickler.dispatch[ord(instruction.code)]
        for instruction in pickletools.opcodes
        if instruction.proto <= 2
    }

    _KNOWN = {  # noqa: RUF012
        ("numpy", "dtype"): _StoredType,
        ("numpy", "ndarray"): StoredArray,
        ("numpy.core.multiarray", "_reconstruct"): StoredArray,
        ("numpy._core.multiarray", "_reconstruct"): StoredArray,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self._KNOWN:
            raise _Refusal(f"it asks for {_short(f'{module}.{name}')}")
        return self._KNOWN[module, name]
