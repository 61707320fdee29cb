"""The networks that the authors of PatchBatch published in 2016, read from their Python 2 pickles.

A model is two files: a list of 20 float32 arrays, per layer the filters `(out, in, kh, kw)`, their biases
`(out,)` and the normalisation's gain and offset `(n,)`; and a list of 10, per layer the running mean and
deviation `(1, n)`, where n counts the values of a feature map, channel by channel. The second layout is that
of the published files; the first is inferred from the program that reads them.

A pickle is a program. Here nothing in it can be called: its three numpy names stand for classes of this
module that only keep what they are given, and steps, size and instructions are limited.

Source: the repository of Gadot & Wolf, "PatchBatch: a batch augmented loss for optical flow", CVPR 2016.
"""

from __future__ import annotations

import io
import math
import pickle  # only through `_Unpickler` below, which calls nothing from the file
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

MAX_BYTES = 24_000_000  # the largest model has 5.8 MB of weights, and a byte takes up to four characters
MAX_STEPS = 10_000  # reads from the file; 20 arrays take about 500

LAYERS = 5
_WEIGHTS = (
    "convolutions.{}.weight",
    "convolutions.{}.bias",
    "normalizations.{}.weight",
    "normalizations.{}.bias",
)
_STATISTICS = ("normalizations.{}.running_mean", "normalizations.{}.running_std")

_NETWORKS = (
    PatchNetConfig(patch_size=51),
    # The two "SPCI" models of 2017, the only published ones on 71 px: the same layers, descriptors of
    # 512 x 2 x 2 numbers.
    PatchNetConfig(patch_size=71, activation="elu"),
)


def load_2016(weights: Path, statistics: Path) -> PatchNet:
    """Read a network of 2016 (51-px patches, leaky ReLU) or 2017 (71 px, ELU), in evaluation mode.

    Filters are taken as they are stored. The models were made for GPUs, where the authors' layer
    correlates, as PyTorch does; only its CPU twin turns filters around.

    The 2016 program standardises 8-bit grey images as a whole. Patches of an image standardised so, times
    `config.input_std` plus `config.input_mean`, give its numbers when the network is called with them.
    `describe` gives others: it standardises by the surroundings of every pixel (a Gaussian of 60 px).

    Parameters
    ----------
    weights
        The pickle with 20 arrays.
    statistics
        The pickle with 10 arrays, named `*-eparams-test.pickle` by the authors.

    Returns
    -------
    PatchNet
        Float32 network on the CPU; descriptors have 512 (51 px) or 2048 (71 px) numbers.

    Raises
    ------
    PatchBatchError
        When a file is missing, too large, no such pickle, or does not fit the other one.
    """
    config, tensors = _read_statistics(statistics)
    named = _name(_read_arrays(weights, LAYERS * len(_WEIGHTS)), _WEIGHTS)
    tensors |= _fit(named, _shapes(config), weights)
    net = PatchNet(config)
    net.load_state_dict(tensors)
    return net.eval()


def read_statistics_2016(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Read the running statistics of the five normalisations.

    The authors call the second array of a layer its variance, but it holds sqrt(variance + 0.001): a value
    is normalised as (x - mean) / std, without a root.

    Parameters
    ----------
    path
        A file `*-eparams-test.pickle`.

    Returns
    -------
    list of (mean, std)
        Per layer two float32 arrays `(C, H, W)`, in the units of that layer's convolution; std > 0.

    Raises
    ------
    PatchBatchError
        When the file is missing, too large or no such pickle.
    """
    _, tensors = _read_statistics(path)
    mean, std = _STATISTICS
    return [
        (tensors[mean.format(layer)].numpy(), tensors[std.format(layer)].numpy()) for layer in range(LAYERS)
    ]


def _read_statistics(path: Path) -> tuple[PatchNetConfig, dict[str, Tensor]]:
    """Read the statistics and tell from their sizes which network they belong to."""
    named = _name(_read_arrays(path, LAYERS * len(_STATISTICS)), _STATISTICS)
    first = _STATISTICS[0].format(0)
    for config in _NETWORKS:
        shapes = _shapes(config)
        if math.prod(named[first].shape) == math.prod(shapes[first]):
            break
    else:
        sizes = " or ".join(str(config.patch_size) for config in _NETWORKS)
        raise PatchBatchError(f"{path} is for no network on patches of {sizes} px; use a published model")
    tensors = _fit(named, shapes, path)
    if any((tensors[_STATISTICS[1].format(layer)] <= 0).any() for layer in range(LAYERS)):
        raise PatchBatchError(f"{path} holds deviations that are not positive; fetch the file anew")
    return config, tensors


def _name(arrays: list[_StoredArray], layout: tuple[str, ...]) -> dict[str, _StoredArray]:
    names = [name.format(layer) for layer in range(LAYERS) for name in layout]
    return dict(zip(names, arrays, strict=True))


def _shapes(config: PatchNetConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of everything a network stores, without making its values."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in PatchNet(config).state_dict().items()}


def _fit(named: dict[str, _StoredArray], shapes: dict[str, tuple[int, ...]], path: Path) -> dict[str, Tensor]:
    """Bring flattened arrays to the network's shapes; refuse those that do not fit."""
    tensors = {}
    for name, array in named.items():
        shape = shapes[name]
        # Vectors come as (n,) or (1, n); filters have to match axis by axis.
        flat = (math.prod(shape),)
        allowed = (shape,) if len(shape) == 4 else (flat, (1, *flat))
        if array.shape not in allowed:
            raise PatchBatchError(
                f"{path}: {name} is {array.shape}, not {allowed[0]}; use the two files of one model"
            )
        values = array.values(path).reshape(shape)
        if not np.isfinite(values).all():
            raise PatchBatchError(f"{path} holds values that are not finite; fetch the file anew")
        tensors[name] = torch.from_numpy(values)
    return tensors


def _read_arrays(path: Path, count: int) -> list[_StoredArray]:
    """Read a pickled list of `count` arrays, their values still unread."""
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
    if not all(isinstance(item, _StoredArray) for item in content):
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


class _StoredArray:
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
        """Return the values as float32."""
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
        ("numpy", "ndarray"): _StoredArray,
        ("numpy.core.multiarray", "_reconstruct"): _StoredArray,
        ("numpy._core.multiarray", "_reconstruct"): _StoredArray,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self._KNOWN:
            raise _Refusal(f"it asks for {_short(f'{module}.{name}')}")
        return self._KNOWN[module, name]
