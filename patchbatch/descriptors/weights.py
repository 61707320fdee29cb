"""Weight files: half-precision safetensors that carry the network's settings in their header."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from patchbatch.data.files import atomic_path
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

MAX_BYTES = 200_000_000


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
        name: value.half().contiguous()
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    header = {"config": json.dumps(net.config.to_dict()), **(notes or {})}
    with atomic_path(path) as temporary:  # not save_file, which keeps the file from all but its owner
        temporary.write_bytes(save(tensors, metadata=header))


def read_weights(path: Path) -> PatchNet:
    """Read a network that `save_weights` wrote, in float32, in evaluation mode.

    Raises
    ------
    PatchBatchError
        When the file is missing, is not safetensors, is too large, or does not fit the settings it carries.
    """
    if not path.is_file():
        raise PatchBatchError(f"no weights file {path}; check the name")
    if path.stat().st_size > MAX_BYTES:
        raise PatchBatchError(f"{path} is larger than any network of this kind; is it a weights file?")
    try:
        with safe_open(path, framework="pt") as file:
            config = PatchNetConfig.from_dict(json.loads(file.metadata()["config"]))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise PatchBatchError(
            f"{path} is not a PatchBatch weights file; make one with the trainer"
        ) from error
    net = PatchNet(config)
    counters = {name: value for name, value in net.state_dict().items() if not value.is_floating_point()}
    try:
        net.load_state_dict(tensors | counters)
    except RuntimeError as error:
        raise PatchBatchError(f"the weights in {path} do not fit the settings in its header") from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise PatchBatchError(f"{path} holds values that are not finite; train it anew")
    return net.eval()
