"""Reports of made pairs and made methods, whose errors are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.flow.methods import Method, StageResult
from benchmarks.metrics import score, summarise
from benchmarks.pages.recorder import Recorder
from patchbatch.data.datasets.pairs import FlowPair, Truth
from patchbatch.data.images import write_image

SIZE = (48, 64)
# The second needs every kind of quoting there is.
NAMES = ("alley_1/frame_0002", "odd #1 %+&?<b>ü", "cave_2/frame_0010", "cave_2/frame_0009")
# By how many pixels the method "near" is off, pair by pair.
OFF = (2.0, 8.0, 4.0, 0.5)
ODD_METHOD = 'still "<i>'


def made_truth() -> Truth:
    """Return a truth that moves 6 px, and 20 px in a block; the second frame hides 8 columns."""
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = 6
    flow[12:36, 16:40, 0] = 20
    occluded = np.zeros(SIZE, bool)
    occluded[:, -8:] = True
    return Truth(flow, np.ones(SIZE, bool), occluded=occluded)


def made_pair(folder: Path, name: str) -> FlowPair:
    """Write two frames of noise and return the pair; its truth is not read from a file."""
    frames = [folder / f"{index}.png" for index in (1, 2)]
    for seed, frame in enumerate(frames):
        write_image(frame, np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8))
    return FlowPair("sintel-final", name, *frames, flow=folder)


def near(truth: Truth, off: float) -> dict[str, StageResult]:
    """Return the truth moved by `off` px, as a method with matches, confidence and parts of its time."""
    flow = truth.flow + np.float32([0, off])
    sparse = np.zeros(SIZE, bool)
    sparse[::4, ::4] = True
    seconds = {"match": 1.5, "refine": 0.25, "total": 2.0}
    sure = np.linspace(0, 1, flow[..., 0].size).reshape(SIZE)
    return {
        "matches": StageResult(flow, sparse, {"match": 1.5, "total": 1.5}),
        "final": StageResult(flow, np.ones(SIZE, bool), seconds, sure, 1 - sure),
    }


def still(truth: Truth) -> dict[str, StageResult]:
    """Return no motion."""
    return {"final": StageResult(np.zeros_like(truth.flow), truth.valid, {"total": None})}


def made_report(folder: Path, data: Path) -> tuple[Recorder, dict[str, Any]]:
    """Record two methods on the pairs `NAMES`; return the recorder and the report of the run."""
    recorder, truth = Recorder(folder), made_truth()
    per_pair, tallies = [], {}
    for name, off in zip(NAMES, OFF, strict=True):
        pair = made_pair(data, name)
        for method, stages in ((("near", "net"), near(truth, off)), ((ODD_METHOD, None), still(truth))):
            recorder(pair, truth, Method(*method, run=lambda _pair: {}), stages)
            final = stages["final"]
            tally = score("sintel", truth, final.flow, final.valid)
            tallies.setdefault(method, []).append(tally)
            per_pair.append(row_of(method, [tally]) | {"pair": name})
    seconds = ({"match": 1.5, "refine": 0.25, "total": 2.0}, {"total": None})
    rows = [
        row_of(method, parts) | {"pairs": len(parts), "seconds": time}
        for (method, parts), time in zip(tallies.items(), seconds, strict=True)
    ]
    settings = {"root": "/secret", "methods": ["near", "x=/secret"]}
    environment = {"date": "2026-01-01", "cpu": "made", "settings": settings}
    return recorder, {
        "dataset": "sintel-final", "environment": environment, "rows": rows, "per_pair": per_pair,
    }  # fmt: skip


def row_of(method: tuple[str, str | None], tallies: list[Any]) -> dict[str, Any]:
    """Return the figures of a method on some pairs as a row of a report."""
    figures = summarise(tallies)
    return {
        "method": method[0], "model": method[1], "stage": "final",
        "density": figures.pop("density"), "metrics": figures,
    }  # fmt: skip
