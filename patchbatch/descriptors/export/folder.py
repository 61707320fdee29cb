"""Weights as a folder in the manner of Hugging Face: config.json, model.safetensors, README.md."""

from __future__ import annotations

import json
from pathlib import Path

from patchbatch import __version__
from patchbatch.data.files import FilePath, atomic_path, make_folder
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.weights import CONFIG, KEY, MODEL_TYPE, WEIGHTS_IN_FOLDER, save_weights
from patchbatch.models import MODELS


def save_folder(net: PatchNet, folder: FilePath) -> None:
    """Write a network that `load_model(folder)` reads, from the disk alone.

    Parameters
    ----------
    net
        From `load_model`.
    folder
        Is made if it is not there; files of these names in it are replaced. A shipped model's card goes with
        it as README.md.

    Raises
    ------
    PatchBatchError
        When it cannot be written.
    """
    place = make_folder(folder)
    save_weights(net, place / WEIGHTS_IN_FOLDER, {"format": "pt"})
    described = {
        "architectures": ["PatchNet"], "model_type": MODEL_TYPE, "name": net.name, "dtype": "float16",
        "patchbatch_version": __version__, KEY: net.config.to_dict(),
    }  # fmt: skip
    _write(place / CONFIG, json.dumps(described, indent=2) + "\n")
    if net.name in MODELS and not MODELS[net.name].target:
        _write(place / "README.md", MODELS[net.name].file.with_suffix(".md").read_text())


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)
