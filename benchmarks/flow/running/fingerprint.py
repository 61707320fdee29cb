"""What the results of a run depend on: settings, weights, programs; nothing here needs torch."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.environment import checkout_commit
from benchmarks.flow.settings import FlowBenchmark
from benchmarks.flow.table import METHODS, is_function
from benchmarks.report import plain
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS, is_factory, weights_file

PACKAGES = ("patchbatch", "torch", "numpy", "scipy", "numba", "opencv-python-headless")


def fingerprint(benchmark: FlowBenchmark) -> dict[str, Any]:
    """Return what the result of a pair depends on, ready for JSON.

    Which pairs are run is not in it, nor how many processes run them: a run may go on with more of both.

    Returns
    -------
    dict
        `dataset`, `root`, `testing`, `keep-invalid`, `versions`, and `methods`: by name, what each depends
        on.
    """
    return {
        "dataset": benchmark.dataset,
        "root": str(Path(benchmark.root).resolve()),
        "testing": benchmark.testing,
        "keep-invalid": benchmark.keep_invalid,
        "versions": _versions(),
        "methods": _methods(benchmark),
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found | {"commit": checkout_commit(Path(benchmarks.__file__))}


def _methods(benchmark: FlowBenchmark) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in benchmark.methods:
        name, _, value = word.partition("=")
        if word in METHODS and METHODS[word].models:
            found |= {f"{word} {model}": _pipeline(benchmark, model) for model in benchmark.models}
        elif is_function(word):
            found[name] = {"function": value, "sha256": _module_hash(value)}
        else:
            found[name] = {"folder": str(Path(value).resolve())} if value else {}
    for word in benchmark.matches:
        name, _, folder = word.partition("=")
        found[name] = {"matches": str(Path(folder).resolve())} | _dense_stages(benchmark)
    return found


def _pipeline(benchmark: FlowBenchmark, model: str) -> dict[str, Any]:
    target = MODELS[model].target if model in MODELS else model
    weights = _module_hash(target) if is_factory(target) else _hash(weights_file(model))
    chosen = {"weights": weights, "device": benchmark.device, "precision": benchmark.precision}
    return chosen | _dense_stages(benchmark)


def _dense_stages(benchmark: FlowBenchmark) -> dict[str, Any]:
    settings = plain(benchmark.flow_settings().to_table())
    return {"preset": benchmark.resolved_preset, "refine": benchmark.refine, "flow-settings": settings}


def _module_hash(path: str) -> str | None:
    """Return the hash of the file of `module:name`; None where there is none to be found."""
    try:
        spec = importlib.util.find_spec(path.partition(":")[0])
    except (ImportError, ValueError):
        return None
    return _hash(Path(spec.origin)) if spec and spec.origin and Path(spec.origin).is_file() else None


def _hash(file: Path) -> str:
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise PatchBatchError(f"{file} cannot be read ({error.strerror}); check the file") from error
