"""Lists, dictionaries, texts, numbers and arrays in pickles of Python 2, read without running them.

A pickle is a program. Here nothing in it can be called: its three numpy names stand for classes of this
module that only keep what they are given, and steps, size and instructions are limited.
"""

from __future__ import annotations

import io
import math
import pickle  # only through `_Unpickler` below, which calls nothing from the file
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError

_MOST_SIDE = 2**31  # of an array; what the file can hold bounds it further


@dataclass(frozen=True)
class PickleKind:
    """What a kind of pickle may be, and how messages call it.

    Attributes
    ----------
    name
        Such as "model of 2016".
    mend
        Ends the messages, such as "use a published file".
    max_bytes
        A larger file is not read.
    max_steps
        Reads from the file; more are refused. An array takes some twenty, a text or number in a list three.
    """

    name: str
    mend: str
    max_bytes: int
    max_steps: int


def read_pickle(path: Path, kind: PickleKind) -> Any:
    """Read what a pickle holds; arrays come as `StoredArray`, their values still unread.

    Raises
    ------
    PatchBatchError
        When the file is missing, too large, no pickle, or asks for more than lists, dictionaries, texts,
        numbers and arrays.
    """
    try:
        if not path.is_file():
            raise PatchBatchError(f"no file {path}; check the name")
        if path.stat().st_size > kind.max_bytes:
            raise PatchBatchError(f"{path} is larger than any {kind.name}; is it the right file?")
        data = path.read_bytes()
    except OSError as error:
        raise PatchBatchError(f"cannot read {path} ({error.strerror}); check the name") from error
    try:
        return _Unpickler(_CountedFile(data, kind.max_steps), encoding="latin1").load()
    except Exception as error:  # a broken pickle can fail in any way: types, indices, memory, recursion
        reason = str(error) if isinstance(error, _Refusal) else "damaged or not a pickle"
        raise PatchBatchError(f"{path} is no {kind.name} ({reason}); {kind.mend}") from error


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
        if not whole or len(self.shape) > 4 or any(not 0 <= length < _MOST_SIDE for length in self.shape):
            raise _Refusal("an array has no proper shape")

    def values(self, path: Path, dtype: str, mend: str) -> NDArray[Any]:
        """Return the values, a copy.

        Parameters
        ----------
        path
            The file, for messages.
        dtype
            The only type taken: "<f4" for float32, "|u1" for uint8.
        mend
            Ends the message about another type.

        Raises
        ------
        PatchBatchError
            When they are of another type, or cut short.
        """
        kind, text = self._type, self._text
        if not (isinstance(kind, _StoredType) and (kind.order, kind.code) == (dtype[0], dtype[1:])):
            raise PatchBatchError(f"{path} holds an array that is not {np.dtype(dtype).name}; {mend}")
        data = text.encode("latin1", "ignore") if isinstance(text, str) else b""
        if len(data) != np.dtype(dtype).itemsize * math.prod(self.shape):
            raise PatchBatchError(f"{path} holds an array that is cut short; fetch the file anew")
        flat = np.frombuffer(data, dtype).astype(np.dtype(dtype).newbyteorder("="))
        return flat.reshape(self.shape, order="F" if self._fortran else "C")


class _CountedFile(io.BytesIO):
    """A file in memory that refuses to be read in too many steps."""

    def __init__(self, data: bytes, most: int):
        super().__init__(data)
        self.left = most

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise _Refusal("it has too many instructions")
        return super().read(size)


class _Unpickler(pickle._Unpickler):
    """Reads arrays in lists and dictionaries, and calls nothing that the file names.

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
