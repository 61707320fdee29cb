"""What can be said of models without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS, is_factory, weights_file


def network_config(model: str | os.PathLike[str]) -> PatchNetConfig | None:
    """Return what the network of a shipped model or a weights file is made of; None for a factory.

    Raises
    ------
    PatchBatchError
        For an unknown name, or a file that is no weights file.
    """
    text = os.fspath(model)
    if is_factory(MODELS[text].target if text in MODELS else text):
        return None
    file = weights_file(text)
    try:
        with safe_open(file, framework="numpy") as weights:
            return PatchNetConfig.from_dict(json.loads(weights.metadata()["config"]))
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise PatchBatchError(
            f"{file} is not a PatchBatch weights file; make one with the trainer"
        ) from error


def short_name(model: str) -> str:
    """Return what a model is called in tables: its name, the stem of its file, or its factory."""
    return model if model in MODELS or is_factory(model) else Path(model).stem
