"""Match the pairs of data sets in several ways, on the same descriptors, and gather the figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from benchmarks.datasets import Frames, load_frames
from benchmarks.environment import describe_environment
from benchmarks.matching.confidence import confidence_report, fit_report
from benchmarks.matching.figures import (
    JudgedPair,
    Mask,
    judge_pair,
    mean_figures,
    pair_figures,
    threshold_for,
)
from benchmarks.matching.settings import MatchingBenchmark
from benchmarks.matching.subpixel import subpixel_rows
from benchmarks.progress import Figure, Progress
from flow.matching.confidence import FITTED
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match_both_ways
from flow.matching.table import DEFAULT_MATCHER
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.descriptors.description import pyramid_levels
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.models import load_descriptor
from patchbatch.runs.journal import plain

# The coverage of the original coarse-to-fine program's matches on KITTI 2015 and on Sintel.
COVERAGE = {"kitti2015": 66.0, "kitti2012": 66.0}
USUAL_COVERAGE = 90.0
WRONG = Figure("wrong>3px")


def run(benchmark: MatchingBenchmark) -> tuple[dict[str, Any], list[JudgedPair]]:
    """Measure, and return the report and the matches of the default method.

    Returns
    -------
    report
        `benchmark`, `root`, `environment` (with the `settings`, and those of every method as
        `flow-settings`), `rows` (one per data set, method and choice of matches: means over its pairs),
        `per_pair`, `confidence`, by method how well it keeps its word, with the new weights where a fit was
        asked for, `subpixel`, what the fraction of a pixel brings the default method, and `failed`, pairs
        that could not be matched. Ready for JSON.
    judged
        Seed by seed, of the default method; empty if it was not run.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or methods, or every pair fails.
    """
    descriptor = load_descriptor(benchmark.model, benchmark.device)
    with Progress(len(benchmark.pairs()), figure=WRONG) as progress:
        every = list(evaluate(benchmark, descriptor, progress))
    judged = [pair for pair in every if pair.method == DEFAULT_MATCHER]
    report = {
        "benchmark": "matching",
        "root": benchmark.root,
        "environment": describe_environment(str(descriptor.device))
        | {"settings": asdict(benchmark), "flow-settings": _settings_of_methods(benchmark)},
        "rows": summary_rows(every, DEFAULT_MATCHER),
        "per_pair": [row | {"pair": pair.pair} for pair in every for row in _rows([pair])],
        "confidence": _confidence(benchmark, every, descriptor.name),
        "subpixel": subpixel_rows(judged),
        "failed": progress.failed,
    }
    return report, judged


def _settings_of_methods(benchmark: MatchingBenchmark) -> dict[str, Any]:
    """Return the settings of matching by method, and by data set where they depend on it."""
    datasets = dict.fromkeys(pair.dataset for pair in benchmark.pairs())
    found = {}
    for name, method in benchmark.chosen().items():
        tables = {dataset: plain(method.settings_for(dataset).to_table()) for dataset in datasets}
        found[name] = tables if method.matching is None else next(iter(tables.values()))
    return found


def _confidence(benchmark: MatchingBenchmark, every: Sequence[JudgedPair], model: str) -> dict[str, Any]:
    """Report by method how well the confidence keeps its word, and fit it anew where that is asked for."""
    reports = {}
    for name, method in benchmark.chosen().items():
        judged = [pair for pair in every if pair.method == name]
        reports[name] = confidence_report(judged)
        if benchmark.fit:
            matcher = method.settings_for(judged[0].dataset).method
            reports[name]["fit"] = {"key": [model, matcher], **fit_report(judged)}
    return reports


def evaluate(
    benchmark: MatchingBenchmark, descriptor: Descriptor, progress: Progress
) -> Iterator[JudgedPair]:
    """Match and judge pair by pair, all methods on each; a pair that fails is told and left out by all."""
    for pair in benchmark.pairs():
        with progress.trying(f"{pair.dataset} {pair.name}"):
            judged = list(_judge(pair, benchmark, descriptor))
            progress.tell({one.method: pair_figures(one, one.kept)["wrong>3px"] for one in judged})
            yield from judged


def _judge(pair: FlowPair, benchmark: MatchingBenchmark, descriptor: Descriptor) -> Iterator[JudgedPair]:
    frames = load_frames(pair)
    start = time.perf_counter()
    described = _describe(frames, descriptor, benchmark.precision)
    describing = time.perf_counter() - start
    for name, method in benchmark.chosen().items():
        settings = _with_confidence(method.settings_for(pair.dataset), descriptor.name)
        start = time.perf_counter()
        dense = match_both_ways(*described, settings)
        seconds = {"describe": describing, "match": time.perf_counter() - start}
        yield judge_pair((pair.dataset, pair.name, name), dense, frames.truth, seconds, settings)


def _with_confidence(settings: MatchingSettings, model: str) -> MatchingSettings:
    """Fill in the confidence that was fitted for a model, by its name, as `estimate_flow` does."""
    return replace(settings, confidence=settings.confidence or FITTED.get((model, settings.method)))


def _describe(frames: Frames, descriptor: Descriptor, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    levels = pyramid_levels(frames.truth.valid.shape)
    first, second = (descriptor.describe_pyramid(image, levels, precision) for image in frames.grey())
    second[-1][-1, -1, -1].item()  # waits for a GPU
    return first, second


def summary_rows(judged: Sequence[JudgedPair], default: str) -> list[dict[str, Any]]:
    """Join the pairs: the rows of each data set and method, and one for the default method's confidence."""
    groups: dict[tuple[str, str], list[JudgedPair]] = {}
    for pair in judged:
        groups.setdefault((pair.dataset, pair.method), []).append(pair)
    rows = []
    for (dataset, method), pairs in groups.items():
        rows += _rows(pairs)
        if method == default:
            rows.append(_confident_row(pairs, COVERAGE.get(dataset, USUAL_COVERAGE)))
    return rows


def _rows(pairs: Sequence[JudgedPair]) -> list[dict[str, Any]]:
    """Return the figures of all matches, and of those that are believed."""
    return [
        _row("none", pairs, [pair.found for pair in pairs]),
        _row("two-way", pairs, [pair.kept for pair in pairs]),
    ]


def _confident_row(pairs: Sequence[JudgedPair], coverage: float) -> dict[str, Any]:
    threshold = threshold_for(pairs, coverage)
    chosen = [pair.kept & (pair.confidence >= threshold) for pair in pairs]
    return _row(f">= {threshold:.3f}", pairs, chosen) | {"threshold": threshold}


def _row(check: str, pairs: Sequence[JudgedPair], chosen: Sequence[Mask]) -> dict[str, Any]:
    first = pairs[0]
    return {
        "dataset": first.dataset,
        "method": first.method,
        "check": check,
        "pairs": len(pairs),
        **mean_figures([pair_figures(pair, mask) for pair, mask in zip(pairs, chosen, strict=True)]),
        **{step: statistics.median(pair.seconds[step] for pair in pairs) for step in first.seconds},
    }
