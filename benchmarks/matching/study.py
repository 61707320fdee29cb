"""Match the pairs of data sets in several ways, on the same descriptors, and gather the figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor
from tqdm import tqdm

from benchmarks.descriptors.rows import DescriptorBenchmark, find_datasets
from benchmarks.environment import describe_environment
from benchmarks.matching.command import DEFAULT_METHODS
from benchmarks.matching.confidence import confidence_report, fit_report
from benchmarks.matching.figures import (
    JudgedPair,
    Mask,
    judge_pair,
    mean_figures,
    pair_figures,
    threshold_for,
)
from benchmarks.matching.methods import search_of
from benchmarks.matching.subpixel import subpixel_rows
from flow.matching.settings import MatchingSettings
from flow.pipeline import pyramid_levels
from patchbatch.data.datasets.pairs import FlowPair, load_truth
from patchbatch.data.images import load_image, to_grey
from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_model

# The coverage of the original coarse-to-fine program's matches on KITTI 2015 and on Sintel.
COVERAGE = {"kitti2015": 66.0, "kitti2012": 66.0}
USUAL_COVERAGE = 90.0


@dataclass(frozen=True)
class MatchingBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names as of the command; empty = all that are there.
    model
        A shipped network or a weights file.
    methods
        Keys of `benchmarks.matching.methods.SEARCHES`.
    limit
        Only the first so many pairs of each data set; None = all.
    fit
        Fit the confidence of the default method to the pairs.
    device, precision
        Of the network.
    """

    root: str
    datasets: tuple[str, ...] = ()
    model: str = "compact"
    methods: tuple[str, ...] = DEFAULT_METHODS
    limit: int | None = None
    fit: bool = False
    device: str = "auto"
    precision: str = "auto"


def run(benchmark: MatchingBenchmark) -> tuple[dict[str, Any], list[JudgedPair]]:
    """Measure, and return the report and the matches of the default method.

    Returns
    -------
    report
        `benchmark`, `root`, `environment` (with the `settings`), `rows` (one per data set, method and choice
        of matches: means over its pairs), `per_pair`, and `confidence`, how well that of the default
        method keeps its word, with the new weights where a fit was asked for, and `subpixel`, what the
        fraction of a pixel brings it. Ready for JSON.
    judged
        Seed by seed, of the default method; empty if it was not run.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or methods, or a pair is damaged, or a fit is asked for without the
        default method.
    """
    default = MatchingSettings().method
    if benchmark.fit and default not in benchmark.methods:
        raise PatchBatchError(f"the confidence is that of {default}; add it to --method to fit it")
    device = str(resolve_device(benchmark.device))
    every = list(evaluate(benchmark, load_model(benchmark.model, device)))
    judged = [pair for pair in every if pair.method == default]
    confidence = confidence_report(judged) if judged else {}
    if benchmark.fit:
        confidence["fit"] = fit_report(judged)
    report = {
        "benchmark": "matching",
        "root": benchmark.root,
        "environment": describe_environment(device) | {"settings": asdict(benchmark)},
        "rows": summary_rows(every, default),
        "per_pair": [row | {"pair": pair.pair} for pair in every for row in _rows([pair])],
        "confidence": confidence,
        "subpixel": subpixel_rows(judged),
    }
    return report, judged


def evaluate(benchmark: MatchingBenchmark, model: PatchNet) -> Iterator[JudgedPair]:
    """Match and judge pair by pair, all methods on each; progress goes to stderr, on a terminal only."""
    searches = {name: search_of(name) for name in dict.fromkeys(benchmark.methods)}
    datasets = find_datasets(DescriptorBenchmark(benchmark.root, benchmark.datasets, limit=benchmark.limit))
    jobs = [(name, pair) for name, pairs in datasets.items() for pair in pairs]
    with tqdm(total=len(jobs) * len(searches), unit="match", disable=None) as progress:
        for dataset, pair in jobs:
            try:
                truth = load_truth(pair)
                start = time.perf_counter()
                pyramid1, pyramid2 = _describe(pair, truth.valid.shape, model, benchmark.precision)
                described = time.perf_counter() - start
                for name, search in searches.items():
                    progress.set_postfix_str(f"{dataset} {pair.name} {name}")
                    start = time.perf_counter()
                    dense = search(dataset, pyramid1, pyramid2)
                    seconds = {"describe": described, "match": time.perf_counter() - start}
                    yield judge_pair((dataset, pair.name, name), dense, truth, seconds)
                    progress.update()
            except PatchBatchError as error:
                raise PatchBatchError(f"{dataset} {pair.name}: {error}") from error


def _describe(
    pair: FlowPair, size: tuple[int, ...], model: PatchNet, precision: str
) -> tuple[list[Tensor], list[Tensor]]:
    image1, image2 = (to_grey(load_image(path)) for path in (pair.image1, pair.image2))
    if not image1.shape == image2.shape == size:
        raise PatchBatchError(
            f"{pair.image1}, {pair.image2} and {pair.flow} differ in size; use files of one data set"
        )
    levels = pyramid_levels(image1.shape)
    first = describe_pyramid(image1, model, levels, precision)
    second = describe_pyramid(image2, model, levels, precision)
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
