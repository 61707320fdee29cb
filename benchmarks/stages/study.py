"""Which stage loses accuracy: the dense stages changed part by part, and handed better matches."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.descriptors.rows import DescriptorBenchmark, find_datasets
from benchmarks.environment import describe_environment
from benchmarks.flow.methods import PRESET_OF_DATASET
from benchmarks.metrics import Tally, score, summarise
from benchmarks.stages.variants import DEFAULT, SUBSTITUTES, WRONG_PX, Variant, error_px, variants_of
from flow.edges.gradient import gradient_edges
from flow.edges.network import network_edges
from flow.interpolation.stage import interpolate
from flow.matching.matches import Matches
from flow.pipeline import PRESETS, estimate_flow
from flow.refinement.stage import refine
from patchbatch.data.datasets.pairs import FlowPair, Truth, load_truth
from patchbatch.data.images import load_image
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_model

FIGURES = ("EPE", "Fl-all-per-image", "Out-All")
MATCHES = "matches"


@dataclass(frozen=True)
class StagesBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names as of the command; empty = all that are there.
    pairs
        Only the pairs of these names; empty = all.
    model
        A shipped network or a weights file.
    edge_network
        Weights of an edge network; None leaves that variant out.
    device, precision
        Of the network.
    """

    root: str
    datasets: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    model: str = "compact"
    edge_network: str | None = None
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class MatchedPair:
    """A pair and what the matcher made of it, with which all variants begin.

    Attributes
    ----------
    dataset, name, scored_as
        Data set as of the command, pair, and the data set whose figures count.
    image1, image2
        `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1].
    truth
        Ground truth.
    matches
        As the pipeline keeps them.
    """

    dataset: str
    name: str
    scored_as: str
    image1: NDArray[np.float32]
    image2: NDArray[np.float32]
    truth: Truth
    matches: Matches


@dataclass(frozen=True)
class StageFigures:
    """What one variant, on one kind of matches, made of a pair."""

    dataset: str
    pair: str
    part: str
    variant: str
    tallies: dict[str, Tally]
    matches: dict[str, float]


def run(benchmark: StagesBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `benchmark`, `environment` (with the `settings`), `rows` (one per data set and variant: means over its
        pairs) and `per_pair`, ready for JSON. A row holds `dataset`, `part`, `variant`, `pairs`, `EPE` (px),
        `Fl-all-per-image`, `Out-All` (percent), `matches` (their number) and `wrong` (percent of those with
        known truth that are over 3 px off).

    Raises
    ------
    PatchBatchError
        If there are no such pairs, or a file is damaged.
    """
    device = str(resolve_device(benchmark.device))
    jobs = _jobs(benchmark)
    net = load_model(benchmark.model, device)
    figures = []
    for dataset, pair in tqdm(jobs, unit="pair", disable=None):
        try:
            figures += list(figures_of(_matched(dataset, pair, net, benchmark), benchmark.edge_network))
        except PatchBatchError as error:
            raise PatchBatchError(f"{dataset} {pair.name}: {error}") from error
    # Paths belong to the machine; what was measured is told by the names of the files.
    settings = asdict(benchmark) | {"root": Path(benchmark.root).name, "model": Path(benchmark.model).name}
    if benchmark.edge_network is not None:
        settings["edge_network"] = Path(benchmark.edge_network).name
    return {
        "benchmark": "stages",
        "environment": describe_environment(device) | {"settings": settings},
        "rows": _summary_rows(figures),
        "per_pair": [_row([entry]) | {"pair": entry.pair} for entry in figures],
    }


def _jobs(benchmark: StagesBenchmark) -> list[tuple[str, FlowPair]]:
    found = find_datasets(DescriptorBenchmark(benchmark.root, benchmark.datasets))
    jobs = [(name, pair) for name, pairs in found.items() for pair in pairs]
    unknown = set(benchmark.pairs) - {pair.name for _, pair in jobs}
    if unknown:
        there = ", ".join(dict.fromkeys(pair.name for _, pair in jobs))
        raise PatchBatchError(f"no pair {min(unknown)!r} in {benchmark.root}: there are {there}")
    return [job for job in jobs if not benchmark.pairs or job[1].name in benchmark.pairs]


def _matched(dataset: str, pair: FlowPair, net: PatchNet, benchmark: StagesBenchmark) -> MatchedPair:
    image1, image2, truth = load_image(pair.image1), load_image(pair.image2), load_truth(pair)
    result = estimate_flow(image1, image2, net, precision=benchmark.precision, interpolate=False)
    return MatchedPair(dataset, pair.name, pair.dataset, image1, image2, truth, result.matches)


def figures_of(pair: MatchedPair, edge_network: str | None = None) -> Iterator[StageFigures]:
    """Yield the figures of every variant on the pair's matches, then of the default on better matches.

    Parameters
    ----------
    pair
        With its matches.
    edge_network
        Weights of an edge network; None leaves that variant out.
    """
    preset = PRESET_OF_DATASET.get(pair.scored_as, DEFAULT)
    default, *others = variants_of(preset, PRESETS[preset], edge_network is not None)
    edges = {
        DEFAULT: None,
        "gradient": gradient_edges(pair.image1),
        "uniform": np.zeros(pair.image1.shape[:2], np.float32),
    }
    if edge_network is not None:
        edges["network"] = network_edges(pair.image1, edge_network)
    # What follows the interpolation need not interpolate again.
    start = interpolate(pair.matches, pair.image1, edges[DEFAULT], default.interpolation)
    for variant in (default, *others):
        same = variant.edges == DEFAULT and variant.interpolation == default.interpolation
        field = (
            start
            if same
            else interpolate(pair.matches, pair.image1, edges[variant.edges], variant.interpolation)
        )
        yield _figures(pair, (variant.part, variant.name), pair.matches, _refined(field, pair, variant))
    for name, substitute in SUBSTITUTES.items():
        matches = substitute(pair.matches, pair.truth)
        same = matches is pair.matches
        field = start if same else interpolate(matches, pair.image1, edges[DEFAULT], default.interpolation)
        yield _figures(pair, (MATCHES, name), matches, _refined(field, pair, default))


def _refined(
    field: tuple[NDArray[np.float32], NDArray[np.float32]], pair: MatchedPair, variant: Variant
) -> NDArray[np.float32]:
    flow, confidence = field
    if variant.refinement is None:
        return flow
    return refine(flow, pair.image1, pair.image2, variant.refinement, confidence)


def _figures(
    pair: MatchedPair, labels: tuple[str, str], matches: Matches, flow: NDArray[np.float32]
) -> StageFigures:
    error = error_px(matches, pair.truth)
    known = error[np.isfinite(error)]
    wrong = 100 * float((known > WRONG_PX).mean()) if len(known) else 0.0
    tallies = score(pair.scored_as, pair.truth, flow)
    return StageFigures(pair.dataset, pair.name, *labels, tallies, {"matches": len(matches), "wrong": wrong})


def _summary_rows(figures: Sequence[StageFigures]) -> list[dict[str, Any]]:
    """Join the pairs: one row per data set and variant, in the order they were run."""
    groups: dict[tuple[str, str, str], list[StageFigures]] = {}
    for entry in figures:
        groups.setdefault((entry.dataset, entry.part, entry.variant), []).append(entry)
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[StageFigures]) -> dict[str, Any]:
    first, figures = group[0], summarise([entry.tallies for entry in group])
    labels = {"dataset": first.dataset, "part": first.part, "variant": first.variant, "pairs": len(group)}
    means = {name: statistics.fmean(entry.matches[name] for entry in group) for name in ("matches", "wrong")}
    return labels | {name: figures[name] for name in FIGURES} | means


def format_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return two Markdown tables: the ablation, and the default on better matches.

    A line per variant; a cell per data set: EPE in px, and in percent Fl-all as the mean of images.
    """
    parts = [row for row in rows if row["part"] != MATCHES], [row for row in rows if row["part"] == MATCHES]
    return "\n\n".join(_format_table(part) for part in parts)


def _format_table(rows: Sequence[dict[str, Any]]) -> str:
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        shown = f"{row['EPE']:.3f} / {row['Fl-all-per-image']:.2f}"
        cells.setdefault((row["part"], row["variant"]), {})[row["dataset"]] = shown
    lines = [f"| part | variant | {' | '.join(datasets)} |", "| --- | --- |" + " ---: |" * len(datasets)]
    for (part, variant), shown_of in cells.items():
        figures = " | ".join(shown_of.get(dataset, "") for dataset in datasets)
        lines.append(f"| {part} | {variant} | {figures} |")
    return "\n".join(lines)
