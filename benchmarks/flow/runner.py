"""Run methods over the pairs of a data set and gather their figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tqdm import tqdm

from benchmarks.environment import describe_environment
from benchmarks.flow.methods import Method, PatchBatchSettings, StageResult, patchbatch_method
from benchmarks.flow.peers import peer_method
from benchmarks.metrics import DENSITY, Tally, score, summarise
from patchbatch.data.datasets.pairs import FlowPair, Truth, find_pairs, load_truth
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class FlowBenchmark:
    """What is measured.

    Attributes
    ----------
    dataset, root, rendering
        Which pairs, as for `patchbatch.data.datasets.pairs.find_pairs`.
    methods
        `"patchbatch"`, keys of `benchmarks.flow.peers.PEERS`, `NAME=FOLDER`.
    models
        Networks that `"patchbatch"` is run with, one after the other.
    patchbatch
        How the pipeline is run.
    limit
        Only the first so many pairs; None = all.
    keep_invalid
        Count the pixels of Sintel's `invalid` mask too.
    """

    dataset: str
    root: str
    rendering: str = "final"
    methods: tuple[str, ...] = ("patchbatch",)
    models: tuple[str, ...] = ("compact",)
    patchbatch: PatchBatchSettings = field(default_factory=PatchBatchSettings)
    limit: int | None = None
    keep_invalid: bool = False


@dataclass(frozen=True)
class StageScore:
    """The tallies of one stage of one method on one pair, with the seconds to get there."""

    method: str
    model: str | None
    stage: str
    pair: str
    tallies: dict[str, Tally]
    seconds: Mapping[str, float | None]


def run(benchmark: FlowBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `benchmark`, `dataset`, `root`, `environment` (with the resolved `settings`), `rows` (one per
        method, model and stage) and `per_pair`, ready for JSON.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or methods, or a method fails on a pair.
    """
    pairs = find_pairs(benchmark.dataset, benchmark.root, rendering=benchmark.rendering)[: benchmark.limit]
    methods = load_methods(benchmark)
    scores = list(evaluate(pairs, methods, keep_invalid=benchmark.keep_invalid))
    # The device of the networks is the one that matters when methods without one run beside them.
    device = next((method.device for method in methods if method.model is not None), "cpu")
    settings = asdict(benchmark)
    settings["patchbatch"]["preset"] = benchmark.patchbatch.preset_for(benchmark.dataset)
    return {
        "benchmark": "flow",
        "dataset": benchmark.dataset,
        "root": benchmark.root,
        "environment": describe_environment(device) | {"settings": settings},
        "rows": summary_rows(scores),
        "per_pair": [_pair_row(entry) for entry in scores],
    }


def load_methods(benchmark: FlowBenchmark) -> list[Method]:
    """Make the methods ready; networks are loaded once, before the first pair."""
    methods = []
    for spec in dict.fromkeys(benchmark.methods):
        if spec == "patchbatch":
            methods += [patchbatch_method(m, benchmark.patchbatch) for m in dict.fromkeys(benchmark.models)]
        else:
            methods.append(peer_method(spec))
    return methods


def evaluate(
    pairs: Sequence[FlowPair], methods: Sequence[Method], *, keep_invalid: bool = False
) -> Iterator[StageScore]:
    """Run every method on every pair and score each stage; the progress goes to stderr, on a terminal only.

    Raises
    ------
    PatchBatchError
        If a file is damaged or a result has the wrong size; names the method and the pair.
    """
    with tqdm(total=len(pairs) * len(methods), unit="pair", disable=None) as progress:
        for pair in pairs:
            truth = load_truth(pair)
            for method in methods:
                progress.set_postfix_str(f"{method.name} {pair.name}")
                try:
                    yield from _scored_stages(method, pair, truth, keep_invalid)
                except PatchBatchError as error:
                    raise PatchBatchError(f"{method.name} on {pair.dataset} {pair.name}: {error}") from error
                progress.update()


def _scored_stages(method: Method, pair: FlowPair, truth: Truth, keep_invalid: bool) -> Iterable[StageScore]:
    def scored(stage: str, result: StageResult) -> StageScore:
        tallies = score(pair.dataset, truth, result.flow, result.valid, keep_invalid=keep_invalid)
        return StageScore(method.name, method.model, stage, pair.name, tallies, result.seconds)

    return [scored(stage, result) for stage, result in method.run(pair).items()]


def summary_rows(scores: Sequence[StageScore]) -> list[dict[str, Any]]:
    """Join the pairs: one row per method, model and stage, in the order they were run."""
    groups: dict[tuple[str, str | None, str], list[StageScore]] = {}
    for entry in scores:
        groups.setdefault((entry.method, entry.model, entry.stage), []).append(entry)
    return [_summary_row(group) for group in groups.values()]


def _figures(tallies: Sequence[dict[str, Tally]]) -> dict[str, Any]:
    figures = summarise(tallies)
    return {"density": figures.pop(DENSITY, None), "metrics": figures}


def _summary_row(group: Sequence[StageScore]) -> dict[str, Any]:
    first = group[0]
    return {
        "method": first.method,
        "model": first.model,
        "stage": first.stage,
        "pairs": len(group),
        **_figures([entry.tallies for entry in group]),
        "seconds": {step: _median([entry.seconds.get(step) for entry in group]) for step in first.seconds},
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _pair_row(entry: StageScore) -> dict[str, Any]:
    return {
        "method": entry.method,
        "model": entry.model,
        "stage": entry.stage,
        "pair": entry.pair,
        **_figures([entry.tallies]),
        "seconds": dict(entry.seconds),
    }
