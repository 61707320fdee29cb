"""Descriptors to compare the networks with: hand-made ones, and TFeat."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.descriptors.daisy import BORDER_PX, DIMENSION, daisy
from patchbatch.descriptors.adapters import DenseDescriptor, PatchDescriptor
from patchbatch.errors import PatchBatchError

ZNCC_PATCH_PX = 15
CENSUS_PX = (7, 9)  # rows, columns


def daisy_descriptor(_cell_px: float = 4.0) -> DenseDescriptor:
    """Return DAISY, see `benchmarks.descriptors.daisy`."""
    return DenseDescriptor("daisy", daisy, DIMENSION, BORDER_PX)


def patch_descriptor(_cell_px: float = 4.0) -> PatchDescriptor:
    """Return the grey levels of a patch, see `normalized_patch`."""
    return PatchDescriptor("patch", normalized_patch, ZNCC_PATCH_PX)


def census_descriptor(_cell_px: float = 4.0) -> PatchDescriptor:
    """Return census bits, see `census`."""
    return PatchDescriptor("census", census, max(CENSUS_PX))


def normalized_patch(patches: Tensor) -> Tensor:
    """Grey levels less their mean, at unit length, `(N, P * P)`.

    The squared L2 distance is 2 - 2 ZNCC. A patch of one grey level becomes 0.
    """
    centred = patches.flatten(1) - patches.mean(dim=(1, 2, 3))[:, None]
    # Rounding leaves a constant patch with differences below 1e-6, which are not to be blown up.
    return F.normalize(centred * (centred.abs().amax(dim=1, keepdim=True) > 1e-6), dim=1)


def census(patches: Tensor) -> Tensor:
    """Census bits of 9 x 7 px, `(N, 62)`: 1 where a neighbour is darker than the pixel, else 0.

    Row by row without the pixel itself; the squared L2 distance is the Hamming distance.

    Parameters
    ----------
    patches
        `(N, 1, 9, 9)`; the first and last row are not looked at.

    Source: Zabih & Woodfill 1994.
    """
    rows, columns = CENSUS_PX
    spare = (columns - rows) // 2
    bits = patches[:, 0, spare : spare + rows] < patches[:, :, columns // 2, columns // 2, None]
    centre = rows * columns // 2
    flat = bits.flatten(1).float()
    return torch.cat([flat[:, :centre], flat[:, centre + 1 :]], dim=1)


def load_tfeat(file: str | Path, device: str | torch.device = "cpu") -> PatchDescriptor:
    """Return TFeat (Balntas et al. 2016) as kornia defines it; 32-px patches, 128 numbers.

    Parameters
    ----------
    file
        Its weights as `.safetensors`, with kornia's names.

    Raises
    ------
    PatchBatchError
        If the file is not there or does not hold those weights.
    """
    from kornia.feature import TFeat  # noqa: PLC0415 (takes seconds to import)

    network = TFeat(pretrained=False)
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise PatchBatchError(
            f"{file} does not hold TFeat's weights; give kornia's as .safetensors"
        ) from error
    return PatchDescriptor("tfeat", network, network.patch_size, device)
