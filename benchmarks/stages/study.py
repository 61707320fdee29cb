"""Which stage loses accuracy: the dense stages changed part by part, and handed better matches."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import load_frames
from benchmarks.environment import describe_environment
from benchmarks.metrics import Tally, score, summarise
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown
from benchmarks.stages.best import best_of_candidates
from benchmarks.stages.settings import PARTS, StagesBenchmark
from benchmarks.stages.variants import DEFAULT, SUBSTITUTES, WRONG_PX, Variant, error_px, variants_of
from flow.completion.scene import scene_of
from flow.completion.stage import Completion
from flow.cost import Meter
from flow.dense import Found, make_dense
from flow.edges.gradient import gradient_edges
from flow.edges.network import network_edges
from flow.inputs import load_pair
from flow.interpolation.stage import fit_cells
from flow.matching.matches import Matches
from flow.pipeline import find_matches
from flow.refinement.stage import refine
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import FlowPair, Truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.models import load_descriptor
from patchbatch.runs.journal import plain

FIGURES = ("EPE", "Fl-all-per-image", "Out-All")
MATCHES = "matches"


@dataclass(frozen=True)
class MatchedPair:
    """A pair and what the matcher made of it, with which all variants begin.

    Attributes
    ----------
    dataset, name
        Data set and pair.
    image1, image2
        `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1].
    truth
        Ground truth.
    found
        As the pipeline finds and keeps the matches.
    """

    dataset: str
    name: str
    image1: NDArray[np.float32]
    image2: NDArray[np.float32]
    truth: Truth
    found: Found


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
        `benchmark`, `environment` (with the `settings`, and the default by data set as `flow-settings`),
        `rows` (one per data set and variant: means over its pairs), `per_pair` and `failed`, pairs that could
        not be run, ready for JSON. A row holds `dataset`, `part`, `variant`, `pairs`, `EPE` (px),
        `Fl-all-per-image`, `Out-All` (percent), `matches` (their number) and `wrong` (percent of those with
        known truth that are over 3 px off).

    Raises
    ------
    PatchBatchError
        If there are no such pairs, or every pair fails.
    """
    descriptor = load_descriptor(benchmark.model, benchmark.device)
    figures: list[StageFigures] = []
    tables, pairs = {}, benchmark.jobs()
    with Progress(len(pairs), figure=Figure("EPE", "px", 3)) as progress:
        for pair in pairs:
            settings = benchmark.settings_for(pair.dataset)
            tables[pair.dataset] = plain(settings.to_table())
            with progress.trying(f"{pair.dataset} {pair.name}"):
                matched = _matched(pair, descriptor, settings, benchmark.precision)
                found = list(figures_of(matched, settings, benchmark.edge_network, benchmark.parts))
                progress.tell({found[0].variant: summarise([found[0].tallies])["EPE"]})
                figures += found
    environment = describe_environment(str(descriptor.device))
    return {
        "benchmark": "stages",
        "environment": environment | {"settings": _without_paths(benchmark), "flow-settings": tables},
        "rows": _summary_rows(figures),
        "per_pair": [_row([entry]) | {"pair": entry.pair} for entry in figures],
        "failed": progress.failed,
    }


def _without_paths(benchmark: StagesBenchmark) -> dict[str, Any]:
    """Return the settings; paths belong to the machine, and the names of the files tell what was measured."""
    settings = asdict(benchmark)
    for name in ("root", "model", "edge_network", "settings"):
        if settings[name] is not None:
            settings[name] = Path(settings[name]).name
    return settings


def _matched(pair: FlowPair, descriptor: Descriptor, settings: FlowSettings, precision: str) -> MatchedPair:
    frames = load_frames(pair)
    image1, image2 = load_pair(frames.image1, frames.image2)
    found = find_matches(image1, image2, descriptor, precision, settings.matching, Meter(None, False))
    return MatchedPair(pair.dataset, pair.name, image1, image2, frames.truth, found)


def figures_of(
    pair: MatchedPair, settings: FlowSettings, edge_network: str | None = None, parts: Sequence[str] = PARTS
) -> Iterator[StageFigures]:
    """Yield the figures of every variant on the pair's matches, then of the default on better matches.

    Parameters
    ----------
    pair
        With its matches.
    settings
        The default, which is changed part by part.
    edge_network
        Weights of an edge network; None leaves that variant out.
    parts
        Which are changed; empty = all.
    """
    parts = parts or PARTS
    default, *others = variants_of(DATASETS[pair.dataset].preset, settings, edge_network is not None)
    edges = {
        DEFAULT: None,
        "gradient": gradient_edges(pair.image1),
        "uniform": np.zeros(pair.image1.shape[:2], np.float32),
    }
    if edge_network is not None:
        edges["network"] = network_edges(pair.image1, edge_network)
    # What follows the dense flow need not be made dense again.
    start = _dense(pair, pair.found.matches, edges[DEFAULT], default, settings)
    for variant in (default, *(other for other in others if other.part in parts)):
        same = (variant.edges, variant.interpolation, variant.completion) == (
            DEFAULT, default.interpolation, default.completion
        )  # fmt: skip
        made = start if same else _dense(pair, pair.found.matches, edges[variant.edges], variant, settings)
        labels = variant.part, variant.name
        yield _figures(pair, labels, pair.found.matches, _refined(made, pair, variant))
    if "completion" in parts and default.completion.method == "chosen" and pair.found.judged is not None:
        labels = "completion", "best candidate (truth)"
        yield _figures(pair, labels, pair.found.matches, _refined(_best(pair, default), pair, default))
    for name, substitute in SUBSTITUTES.items() if MATCHES in parts else ():
        matches = substitute(pair.found.matches, pair.truth)
        same = matches is pair.found.matches
        made = start if same else _dense(pair, matches, edges[DEFAULT], default, settings)
        yield _figures(pair, (MATCHES, name), matches, _refined(made, pair, default))


def _dense(
    pair: MatchedPair, matches: Matches, edges: NDArray[np.float32] | None, variant: Variant,
    settings: FlowSettings,
) -> Completion:  # fmt: skip
    found = replace(pair.found, matches=matches)
    changed = replace(settings, interpolation=variant.interpolation, completion=variant.completion)
    interpolated, chosen = make_dense(found, pair.image1, pair.image2, edges, changed, Meter(None, False))
    return chosen or interpolated


def _best(pair: MatchedPair, variant: Variant) -> Completion:
    """Return what the completion would reach if it knew which candidate to choose."""
    found = pair.found
    cells = fit_cells(found.matches, pair.image1, None, variant.interpolation)
    described = found.descriptors1, found.descriptors2
    if cells is None or found.judged is None or described[0] is None or described[1] is None:
        nothing = np.zeros(pair.image1.shape[:2], np.float32)
        return Completion(np.zeros((*nothing.shape, 2), np.float32), nothing, nothing)
    scene = scene_of(pair.image1, pair.image2, described[0], described[1], found.judged, cells)
    return best_of_candidates(scene, variant.completion, pair.truth)


def _refined(made: Completion, pair: MatchedPair, variant: Variant) -> NDArray[np.float32]:
    if variant.refinement is None:
        return made.flow
    return refine(made.flow, pair.image1, pair.image2, variant.refinement, made.confidence)


def _figures(
    pair: MatchedPair, labels: tuple[str, str], matches: Matches, flow: NDArray[np.float32]
) -> StageFigures:
    error = error_px(matches, pair.truth)
    known = error[np.isfinite(error)]
    wrong = 100 * float((known > WRONG_PX).mean()) if len(known) else 0.0
    tallies = score(DATASETS[pair.dataset].judged_as, pair.truth, flow)
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
    lines = [
        [part, variant, *(shown_of.get(dataset) for dataset in datasets)]
        for (part, variant), shown_of in cells.items()
    ]
    return markdown(["part", "variant", *datasets], lines, labels=2)
