"""Reliability and risk against coverage as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.confidence.calibration import joined, reliability_rows
from benchmarks.confidence.ranking import CURVE_POINTS
from benchmarks.confidence.study import JudgedPair, by_dataset, mean_curves
from benchmarks.report import require_matplotlib
from patchbatch.data.files import FilePath, atomic_path


def write_reliability(path: FilePath, judged: Sequence[JudgedPair]) -> None:
    """Draw the share of pixels within 3 px against the confidence, a line for each data set, into a `.png`.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing, or the file cannot be written.
    """
    _write(path, judged, _draw_reliability)


def write_risk(path: FilePath, judged: Sequence[JudgedPair]) -> None:
    """Draw risk against coverage, a line for each data set, into a `.png`.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing, or the file cannot be written.
    """
    _write(path, judged, _draw_risk)


def _write(
    path: FilePath, judged: Sequence[JudgedPair], draw: Callable[[Any, Sequence[JudgedPair]], None]
) -> None:
    require_matplotlib("--picture")
    from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    draw(axes, judged)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _draw_reliability(axes: Any, judged: Sequence[JudgedPair]) -> None:
    """Draw the share of pixels within 3 px against the confidence; bars say how many have such a one."""
    steps = reliability_rows(joined([pair.calibration for pair in judged]))
    places, heights = ([step[key] for step in steps] for key in ("confidence", "share"))
    axes.bar(places, heights, 3, color="0.85", label="share of all pixels")
    axes.plot([0, 100], [0, 100], color="0.5", linestyle=":", label="as good as its word")
    for name, pairs in by_dataset(judged).items():
        steps = reliability_rows(joined([pair.calibration for pair in pairs]))
        places, heights = ([step[key] for step in steps] for key in ("confidence", "right"))
        axes.plot(places, heights, marker="o", markersize=3, label=name)
    axes.set_xlabel("confidence in %")
    axes.set_ylabel("within 3 px of the truth, % of pixels with known truth")


def _draw_risk(axes: Any, judged: Sequence[JudgedPair]) -> None:
    """Draw the share of wrong pixels among the most confident ones; dotted lines are the lowest possible."""
    coverage = 100 * np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
    for name, pairs in by_dataset(judged).items():
        risk, ideal = mean_curves(pairs)
        [line] = axes.plot(coverage, 100 * risk, label=name)
        axes.plot(coverage, 100 * ideal, color=line.get_color(), linestyle=":")
    axes.set_xlabel("coverage: most confident pixels, % of those with known truth")
    axes.set_ylabel("risk: of these wrong by over 3 px and 5 %, %")
