"""The networks that the authors of PatchBatch published in 2016, read from their Python 2 pickles.

A model is two files: a list of 20 float32 arrays, per layer the filters `(out, in, kh, kw)`, their biases
`(out,)` and the normalisation's gain and offset `(n,)`; and a list of 10, per layer the running mean and
deviation `(1, n)`, where n counts the values of a feature map, channel by channel. The second layout is that
of the published files; the first is inferred from the program that reads them.

What is in them is read by `pickles2016`, which runs nothing of it.

Source: the repository of Gadot & Wolf, "PatchBatch: a batch augmented loss for optical flow", CVPR 2016.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.data.pickles import StoredArray
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.pickles2016 import float_values, read_arrays
from patchbatch.errors import PatchBatchError

LAYERS = 5
_WEIGHTS = (
    "convolutions.{}.weight",
    "convolutions.{}.bias",
    "normalizations.{}.weight",
    "normalizations.{}.bias",
)
_STATISTICS = ("normalizations.{}.running_mean", "normalizations.{}.running_std")

_NETWORKS = (
    PatchNetConfig(patch_size=51, standardization="image"),
    # The two "SPCI" models of 2017, the only published ones on 71 px: the same layers, descriptors of
    # 512 x 2 x 2 numbers.
    PatchNetConfig(patch_size=71, activation="elu", standardization="image"),
)


def load_2016(weights: Path, statistics: Path) -> PatchNet:
    """Read a network of 2016 (51-px patches, leaky ReLU) or 2017 (71 px, ELU), in evaluation mode.

    Filters are taken as they are stored. The models were made for GPUs, where the authors' layer
    correlates, as PyTorch does; only its CPU twin turns filters around.

    `describe` gives the numbers of the authors' program, which standardises 8-bit grey images as a whole
    (`config.standardization` is "image"). Patches of such an image, times `config.input_std` plus
    `config.input_mean`, give them when the network is called.

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
    named = _name(read_arrays(weights, LAYERS * len(_WEIGHTS)), _WEIGHTS)
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
    named = _name(read_arrays(path, LAYERS * len(_STATISTICS)), _STATISTICS)
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


def _name(arrays: list[StoredArray], layout: tuple[str, ...]) -> dict[str, StoredArray]:
    names = [name.format(layer) for layer in range(LAYERS) for name in layout]
    return dict(zip(names, arrays, strict=True))


def _shapes(config: PatchNetConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of everything a network stores, without making its values."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in PatchNet(config).state_dict().items()}


def _fit(named: dict[str, StoredArray], shapes: dict[str, tuple[int, ...]], path: Path) -> dict[str, Tensor]:
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
        values = float_values(array, path).reshape(shape)
        if not np.isfinite(values).all():
            raise PatchBatchError(f"{path} holds values that are not finite; fetch the file anew")
        tensors[name] = torch.from_numpy(values)
    return tensors
