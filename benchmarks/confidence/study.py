"""Run the pipeline on pairs with true flow, and judge the confidence and the occlusion of its dense flow."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.confidence import calibration, occlusion
from benchmarks.confidence.causes import wrong_by_cause
from benchmarks.confidence.ranking import Values, ideal_curve, ranking_figures, risk_curve, sampled
from benchmarks.confidence.settings import ConfidenceBenchmark
from benchmarks.datasets import load_frames
from benchmarks.environment import describe_environment
from benchmarks.metrics import endpoint_error, is_outlier
from benchmarks.progress import Figure, Progress
from flow.pipeline import estimate_flow
from flow.results.result import FlowResult
from patchbatch.data.datasets.pairs import FlowPair, Truth
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_descriptor
from patchbatch.runs.journal import plain


@dataclass(frozen=True)
class JudgedPair:
    """How the confidence and the occlusion of one pair did.

    Attributes
    ----------
    dataset, pair
        Names.
    calibration
        Confidence against truth.
    detection, unseen
        Occlusion against truth and whose word that is; None and "" where either is not known.
    figures
        What is a mean over the pairs in the end: of the ranking and of the causes.
    risk, ideal_risk
        `(CURVE_POINTS,)`, share of outliers among the most confident pixels, and the lowest there can be.
    """

    dataset: str
    pair: str
    calibration: calibration.Calibration
    detection: occlusion.Detection | None
    unseen: str
    figures: dict[str, float | None]
    risk: Values
    ideal_risk: Values


def run(benchmark: ConfidenceBenchmark) -> tuple[dict[str, Any], list[JudgedPair]]:
    """Measure, and return the report and every pair.

    Returns
    -------
    report
        `benchmark`, `environment` (with the `settings`, and those of the pipeline by data set as
        `flow-settings`), `rows` (one per data set, every pair weighing the same), `per_pair`, `reliability`,
        by data set the steps of confidence, and `failed`, pairs that could not be judged. Ready for JSON.
    judged
        Pair by pair, for the pictures.

    Raises
    ------
    PatchBatchError
        If there are no such pairs, or every pair fails.
    """
    descriptor = load_descriptor(benchmark.model, benchmark.device)
    with Progress(len(benchmark.pairs()), figure=Figure("Fl")) as progress:
        judged = list(evaluate(benchmark, descriptor, progress))
    groups = by_dataset(judged)
    tables = {name: plain(benchmark.settings_for(name).to_table()) for name in groups}
    environment = describe_environment(str(descriptor.device))
    report = {
        "benchmark": "confidence",
        "environment": environment | {"settings": _without_paths(benchmark), "flow-settings": tables},
        "rows": [summary_row(pairs) for pairs in groups.values()],
        "per_pair": [summary_row([pair]) | {"pair": pair.pair} for pair in judged],
        "reliability": {
            name: calibration.reliability_rows(calibration.joined([pair.calibration for pair in pairs]))
            for name, pairs in groups.items()
        },
        "failed": progress.failed,
    }
    return report, judged


def _without_paths(benchmark: ConfidenceBenchmark) -> dict[str, Any]:
    """Return the settings; paths belong to the machine, and the names of the files tell what was measured."""
    settings = asdict(benchmark)
    for name in ("root", "model", "settings"):
        if settings[name] is not None:
            settings[name] = Path(settings[name]).name
    return settings


def evaluate(
    benchmark: ConfidenceBenchmark, descriptor: Descriptor, progress: Progress
) -> Iterator[JudgedPair]:
    """Run and judge pair by pair; a pair that is damaged or has no known pixel is told and left out."""
    for pair in benchmark.pairs():
        with progress.trying(f"{pair.dataset} {pair.name}"):
            frames = load_frames(pair)
            settings = benchmark.settings_for(pair.dataset)
            result = estimate_flow(
                frames.image1, frames.image2, descriptor, settings=settings, precision=benchmark.precision
            )
            judged = judge_pair(pair, frames.truth, result)
            progress.tell({descriptor.name: judged.figures["Fl"]})
            yield judged


def judge_pair(pair: FlowPair, truth: Truth, result: FlowResult) -> JudgedPair:
    """Compare a result with the truth, on the pixels that have one; Sintel's `invalid` ones do not count.

    Raises
    ------
    PatchBatchError
        If no pixel is known.
    """
    region = truth.valid if truth.invalid is None else truth.valid & ~truth.invalid
    if not region.any():
        raise PatchBatchError("no pixel has a known motion; leave the pair out")
    error = endpoint_error(result.flow, truth.flow)
    outlier = is_outlier(error, truth.flow)
    known = result.confidence[region], error[region], outlier[region]
    detection, source = None, ""
    unseen = occlusion.unseen_of(truth)
    if unseen is not None and result.occluded is not None:
        detection = occlusion.detection_of(result.occluded[region], unseen.mask[region])
        source = unseen.source
    return JudgedPair(
        pair.dataset,
        pair.name,
        calibration.calibration_of(*known),
        detection,
        source,
        ranking_figures(*known) | wrong_by_cause(truth, outlier, region),
        sampled(risk_curve(known[0], known[2])),
        sampled(ideal_curve(known[2])),
    )


def by_dataset(judged: Sequence[JudgedPair]) -> dict[str, list[JudgedPair]]:
    """Return the pairs of each data set, in the order they were run."""
    groups: dict[str, list[JudgedPair]] = {}
    for pair in judged:
        groups.setdefault(pair.dataset, []).append(pair)
    return groups


def summary_row(pairs: Sequence[JudgedPair]) -> dict[str, Any]:
    """Join the pairs of a data set, each weighing the same.

    Shares of all pixels and areas are means over the pairs; `ECE` and ratios of shares are made of means.
    """
    detections = [pair.detection for pair in pairs if pair.detection is not None]
    return {
        "dataset": pairs[0].dataset,
        "pairs": len(pairs),
        **{name: _mean([pair.figures[name] for pair in pairs]) for name in pairs[0].figures},
        **calibration.calibration_figures(calibration.joined([pair.calibration for pair in pairs])),
        "occlusion": {
            "truth": next((pair.unseen for pair in pairs if pair.unseen), ""),
            **occlusion.occlusion_figures(occlusion.joined(detections) if detections else None),
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def mean_curves(pairs: Sequence[JudgedPair]) -> tuple[Values, Values]:
    """Return the means over pairs of both risk curves."""
    return np.mean([pair.risk for pair in pairs], axis=0), np.mean(
        [pair.ideal_risk for pair in pairs], axis=0
    )
