"""Weight files: half-precision safetensors that carry the network's settings in their header."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

MEND = "make one with the trainer"


def save_weights(net: PatchNet, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write a network in half precision.

    Parameters
    ----------
    net
        The network; its parameters and running statistics are stored as float16.
    path
        Target file; written under a temporary name and moved, readable as the user's other files are.
    notes
        Further header entries (command, data, date).
    """
    tensors = {
        name: value.half().cpu().numpy()
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    header = {"config": json.dumps(net.config.to_dict()), **(notes or {})}
    write_tensors(path, tensors, header)


def read_weights(path: Path) -> PatchNet:
    """Read a network that `save_weights` wrote, in float32, in evaluation mode.

    Raises
    ------
    PatchBatchError
        When the file is missing, is not safetensors, is too large, or does not fit the settings it carries.
    """
    arrays, header = read_tensors(path, MEND)
    try:
        config = PatchNetConfig.from_dict(json.loads(header["config"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise PatchBatchError(f"{path} is not a PatchBatch weights file; {MEND}") from error
    except PatchBatchError as error:
        raise PatchBatchError(f"{path} describes no network of this version ({error}); {MEND}") from error
    tensors = {name: torch.from_numpy(values).float() for name, values in arrays.items()}
    net = PatchNet(config)
    counters = {name: value for name, value in net.state_dict().items() if not value.is_floating_point()}
    try:
        net.load_state_dict(tensors | counters)
    except RuntimeError as error:
        raise PatchBatchError(f"the weights in {path} do not fit the settings in its header") from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise PatchBatchError(f"{path} holds values that are not finite; train it anew")
    return net.eval()
