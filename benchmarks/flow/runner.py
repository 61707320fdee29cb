"""Run methods over the pairs of a data set and gather their figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from benchmarks.environment import describe_environment
from benchmarks.flow.methods import Method, StageResult
from benchmarks.flow.peers import peer_method
from benchmarks.flow.settings import FlowBenchmark
from benchmarks.flow.table import METHODS, OWN
from benchmarks.metrics import DENSITY, Tally, score, summarise
from benchmarks.report import plain
from patchbatch.data.datasets.pairs import FlowPair, Truth, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.errors import PatchBatchError

# Sees every result as it is made: the pair, its truth, the method, the fields by stage.
Watch = Callable[[FlowPair, Truth, Method, Mapping[str, StageResult]], None]


@dataclass(frozen=True)
class StageScore:
    """The tallies of one stage of one method on one pair, with the seconds to get there."""

    method: str
    model: str | None
    stage: str
    pair: str
    tallies: dict[str, Tally]
    seconds: Mapping[str, float | None]


def run(benchmark: FlowBenchmark, watch: Watch | None = None) -> dict[str, Any]:
    """Measure, and return the report.

    Parameters
    ----------
    benchmark
        What is measured.
    watch
        Called with every result, outside what is timed.

    Returns
    -------
    dict
        `benchmark`, `dataset`, `root`, `environment` (with the `settings`, and those of every stage of
        "patchbatch" as `flow-settings`), `rows` (one per
        method, model and stage) and `per_pair`, ready for JSON.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or methods, or a method fails on a pair.
    """
    pairs = benchmark.pairs()
    methods = load_methods(benchmark)
    scores = list(evaluate(pairs, methods, keep_invalid=benchmark.keep_invalid, watch=watch))
    # The device of the networks is the one that matters when methods without one run beside them.
    device = next((method.device for method in methods if method.model is not None), "cpu")
    environment = describe_environment(device) | {"settings": asdict(benchmark)}
    if OWN in benchmark.methods:
        environment["flow-settings"] = plain(benchmark.flow_settings().to_table())
    return {
        "benchmark": "flow",
        "dataset": benchmark.dataset,
        "root": benchmark.root,
        "environment": environment,
        "rows": summary_rows(scores),
        "per_pair": [_pair_row(entry) for entry in scores],
    }


def load_methods(benchmark: FlowBenchmark) -> list[Method]:
    """Make the methods ready; models are loaded once, before the first pair."""
    methods = []
    for word in dict.fromkeys(benchmark.methods):
        if word in METHODS and METHODS[word].models:
            make = METHODS[word].load()
            methods += [make(model, benchmark) for model in dict.fromkeys(benchmark.models)]
        else:
            methods.append(peer_method(word))
    return methods


def evaluate(
    pairs: Sequence[FlowPair],
    methods: Sequence[Method],
    *,
    keep_invalid: bool = False,
    watch: Watch | None = None,
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
                    yield from _scored_stages(method, pair, truth, keep_invalid, watch)
                except PatchBatchError as error:
                    raise PatchBatchError(f"{method.name} on {pair.dataset} {pair.name}: {error}") from error
                progress.update()


def _scored_stages(
    method: Method, pair: FlowPair, truth: Truth, keep_invalid: bool, watch: Watch | None
) -> Iterable[StageScore]:
    benchmark = DATASETS[pair.dataset].judged_as

    def scored(stage: str, result: StageResult) -> StageScore:
        tallies = score(benchmark, truth, result.flow, result.valid, keep_invalid=keep_invalid)
        return StageScore(method.name, method.model, stage, pair.name, tallies, result.seconds)

    stages = method.run(pair)
    scores = [scored(stage, result) for stage, result in stages.items()]
    if watch is not None:
        watch(pair, truth, method, stages)
    return scores


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
