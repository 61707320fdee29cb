"""What the results of a run depend on: settings, weights, programs; nothing here needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.flow.settings import FlowBenchmark
from benchmarks.flow.table import METHODS, is_function
from patchbatch.runs.fingerprint import model_hash, module_hash, versions
from patchbatch.runs.journal import plain


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
        "versions": versions(),
        "methods": _methods(benchmark),
    }


def _methods(benchmark: FlowBenchmark) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in benchmark.methods:
        name, _, value = word.partition("=")
        if word in METHODS and METHODS[word].models:
            found |= {f"{word} {model}": _pipeline(benchmark, model) for model in benchmark.models}
        elif is_function(word):
            found[name] = {"function": value, "sha256": module_hash(value)}
        else:
            found[name] = {"folder": str(Path(value).resolve())} if value else {}
    for word in benchmark.matches:
        name, _, folder = word.partition("=")
        found[name] = {"matches": str(Path(folder).resolve())} | _dense_stages(benchmark)
    return found


def _pipeline(benchmark: FlowBenchmark, model: str) -> dict[str, Any]:
    chosen = {"weights": model_hash(model), "device": benchmark.device, "precision": benchmark.precision}
    return chosen | _dense_stages(benchmark)


def _dense_stages(benchmark: FlowBenchmark) -> dict[str, Any]:
    settings = plain(benchmark.flow_settings().to_table())
    return {"preset": benchmark.resolved_preset, "refine": benchmark.refine, "flow-settings": settings}
