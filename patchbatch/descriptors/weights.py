"""Weight files: half-precision safetensors that carry the network's settings in their header.

Or a folder in the manner of Hugging Face, whose config.json has the settings.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from patchbatch.data.files import peek, read_bytes
from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError

MEND = "make one with the trainer"
CONFIG, WEIGHTS_IN_FOLDER = "config.json", "model.safetensors"
MODEL_TYPE, KEY = "patchbatch", "patchnet_config"
"""What config.json is told by, and where in it a network's settings are."""
_LARGEST_CONFIG = 100_000


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

    Parameters
    ----------
    path
        The file; or `model.safetensors` of a folder with a `config.json`, whoever wrote it: the settings are
        then those of `config.json`.

    Raises
    ------
    PatchBatchError
        When the file is missing, is not safetensors, is too large, or does not fit the settings it carries.
    """
    arrays, header = read_tensors(path, MEND)
    beside = path.with_name(CONFIG)
    in_folder = path.name == WEIGHTS_IN_FOLDER and beside.is_file()
    config = _read_config(beside) if in_folder else _config_of(header.get("config", ""), path)
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


def _config_of(text: str, path: Path) -> PatchNetConfig:
    """Return a network's settings from the text of a header."""
    try:
        return PatchNetConfig.from_dict(json.loads(text))
    except (TypeError, ValueError) as error:
        if isinstance(error, PatchBatchError):
            raise PatchBatchError(f"{path} describes no network of this version ({error}); {MEND}") from error
        raise PatchBatchError(f"{path} is not a PatchBatch weights file; {MEND}") from error


def _read_config(path: Path) -> PatchNetConfig:
    """Return a network's settings from a folder's config.json."""
    size, _ = peek(path, 0)
    if size > _LARGEST_CONFIG:
        raise PatchBatchError(f"{path} has {size} bytes; a network is described in fewer")
    try:
        described = json.loads(read_bytes(path))
        if described["model_type"] != MODEL_TYPE:
            raise PatchBatchError(f"{path} is of a {described['model_type']!r} model, not of {MODEL_TYPE!r}")
        settings = json.dumps(described[KEY])
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PatchBatchError(
            f"{path} describes no network of PatchBatch; export the folder again"
        ) from error
    return _config_of(settings, path)
