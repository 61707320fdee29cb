"""Joint Bayesian models on disk: safetensors with a small header, read without running code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchbatch.data.files import MAX_FILE_BYTES
from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats
from patchbatch.transfer.joint_bayesian.calibration import Calibration
from patchbatch.transfer.joint_bayesian.eigen import EigenForm
from patchbatch.transfer.joint_bayesian.fit import Covariances

KIND = "patchbatch-joint-bayesian-1"
TENSORS = ("mean", "basis", "projection", "gamma", "S_mu", "S_eps", "objective", "calibration")


@dataclass(frozen=True)
class StoredModel:
    """The content of a file."""

    form: EigenForm
    covariances: Covariances
    basis: Floats  # (d, r)
    objective: Floats  # (steps + 1,), may be empty
    calibration: Calibration
    notes: dict[str, Any]  # settings, method, converged


def write_model(path: str | Path, tensors: dict[str, Floats], notes: dict[str, Any]) -> None:
    """Write the arrays in float64 and the notes as JSON in the header, whole or not at all.

    Raises
    ------
    PatchBatchError
        The file cannot be written, or a setting is no plain value.
    """
    try:
        header = {"kind": KIND, "notes": json.dumps(notes)}
    except TypeError as error:
        raise PatchBatchError("settings must be plain numbers and strings to be saved") from error
    arrays = {name: np.ascontiguousarray(values, np.float64) for name, values in tensors.items()}
    write_tensors(path, arrays, header)


def read_model(path: str | Path) -> StoredModel:
    """Read what `write_model` wrote, checked.

    Raises
    ------
    PatchBatchError
        The file is missing, of another kind, damaged, or its arrays do not fit together.
    """
    tensors, header = read_tensors(path, "save the model anew", TENSORS, MAX_FILE_BYTES)
    if header.get("kind") != KIND:
        raise PatchBatchError(f"{path} is not a Joint Bayesian model; give a file that save wrote")
    try:
        notes = json.loads(header["notes"])
        tensors = {name: tensors[name] for name in TENSORS}
    except (KeyError, json.JSONDecodeError) as error:
        raise PatchBatchError(f"{path} is damaged; save the model anew") from error
    return _stored(path, tensors, notes)


def _stored(path: str | Path, tensors: dict[str, Floats], notes: dict[str, Any]) -> StoredModel:
    """Put the arrays together after looking whether they can be one model."""
    if not _fit_together(tensors):
        raise PatchBatchError(f"the arrays in {path} do not make a model; save it anew")
    scale, offset = tensors["calibration"]
    return StoredModel(
        EigenForm(tensors["mean"], tensors["projection"], tensors["gamma"]),
        Covariances(tensors["S_mu"], tensors["S_eps"]),
        tensors["basis"],
        tensors["objective"],
        Calibration(float(scale), float(offset)),
        notes,
    )


def _fit_together(tensors: dict[str, Floats]) -> bool:
    if any(values.dtype != np.float64 or not np.isfinite(values).all() for values in tensors.values()):
        return False
    if tensors["basis"].ndim != 2 or tensors["gamma"].ndim != 1 or tensors["objective"].ndim != 1:
        return False
    (features, rank), kept = tensors["basis"].shape, len(tensors["gamma"])
    shapes = {
        "mean": (features,), "projection": (features, kept), "S_mu": (rank, rank), "S_eps": (rank, rank),
        "calibration": (2,),
    }  # fmt: skip
    right = all(tensors[name].shape == shape for name, shape in shapes.items())
    return right and bool((tensors["gamma"] > 0).all()) and tensors["calibration"][0] > 0
