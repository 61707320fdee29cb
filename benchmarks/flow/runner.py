"""Run methods over the pairs of a data set and gather their figures."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.environment import describe_environment
from benchmarks.flow.methods import Method, matches_method
from benchmarks.flow.peers import peer_method
from benchmarks.flow.running.fingerprint import fingerprint
from benchmarks.flow.running.processes import in_processes
from benchmarks.flow.running.progress import Progress, closing_lines
from benchmarks.flow.running.scoring import Outcome, measure
from benchmarks.flow.running.store import Store
from benchmarks.flow.running.summary import pair_rows, summary_rows
from benchmarks.flow.settings import FlowBenchmark, Running
from benchmarks.flow.table import METHODS, OWN, Label
from benchmarks.flow.upload.fields import Fields
from benchmarks.pages.recorder import Recorder, recorder_for
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import plain
from patchbatch.runs.processes import Group


@dataclass(frozen=True)
class Task:
    """One pair, and the methods that are still to be run on it."""

    pair: FlowPair
    labels: tuple[Label, ...]


@dataclass
class Worker:
    """What a process needs to measure pairs; models are loaded once, before the first pair.

    Parameters
    ----------
    benchmark, running
        What is measured, and how.
    number
        Of this process among those of its machine; several GPUs are dealt out by it.
    """

    benchmark: FlowBenchmark
    running: Running
    number: int = 0
    methods: dict[Label, Method] | None = None

    def __call__(self, task: Task) -> Iterator[Outcome]:
        """Measure the methods of a task, one after the other."""
        if self.methods is None:
            methods = load_methods(replace(self.benchmark, device=self._device()))
            self.methods = {method.label: method for method in methods}
        chosen = [self.methods[label] for label in task.labels]
        yield from measure(
            task.pair, chosen, keep_invalid=self.benchmark.keep_invalid, fields=fields_of(self.running),
            watch=recorder_of(self.benchmark, self.running),
        )  # fmt: skip

    def _device(self) -> str:
        device = self.benchmark.device
        if device not in ("auto", "cuda") or OWN not in self.benchmark.methods:
            return device
        import torch  # noqa: PLC0415 - a run of other methods does not have to wait for it

        count = torch.cuda.device_count()
        return f"cuda:{self.number % count}" if count > 1 else device


def run(benchmark: FlowBenchmark) -> dict[str, Any]:
    """Measure in this process, keeping nothing, and return the report of `run_shared`.

    Raises
    ------
    PatchBatchError
        As `run_shared`, and if any pair fails.
    """
    report = run_shared(benchmark, Running(), Group())
    if report is None or report["failed"]:
        raise PatchBatchError(report["failed"][0]["error"] if report else "no pair could be scored")
    return report


def run_shared(benchmark: FlowBenchmark, running: Running, group: Group) -> dict[str, Any] | None:
    """Measure, and return the report; only the first of the processes of torchrun returns it.

    Parameters
    ----------
    benchmark, running
        What is measured, and how.
    group
        The processes that share the pairs, of which this is one.

    Returns
    -------
    dict
        `benchmark`, `dataset`, `root`, `environment` (with the `settings`, and those of every stage of
        "patchbatch" as `flow-settings`), `rows` (one per
        method, model and stage), `per_pair` and `failed` (pairs that could not be scored, and why), ready
        for JSON. None in the other processes of torchrun.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or methods, or every pair fails.
    """
    pairs = benchmark.pairs()
    outcomes = group.gathered(_measured(benchmark, running, group.share(pairs), group))
    if group.rank > 0:
        return None
    # Whatever the order they were made in, the report has them pair by pair, method by method.
    places = {pair.name: at for at, pair in enumerate(pairs)}
    order = {label: at for at, label in enumerate(benchmark.labels())}
    outcomes.sort(key=lambda outcome: (places[outcome.pair], order[outcome.label]))
    if not any(outcome.stages for outcome in outcomes):
        raise PatchBatchError(f"no pair could be scored; the first: {outcomes[0].error}")
    for line in closing_lines(benchmark.dataset, outcomes):
        print(line, file=sys.stderr)
    return {
        "benchmark": "flow",
        "dataset": benchmark.dataset,
        "root": benchmark.root,
        "environment": _environment(benchmark, outcomes),
        "rows": summary_rows(outcomes),
        "per_pair": pair_rows(outcomes),
        "failed": [
            {"pair": one.pair, **one.label._asdict(), "error": one.error} for one in outcomes if one.error
        ],
    }


def _measured(
    benchmark: FlowBenchmark, running: Running, pairs: Sequence[FlowPair], group: Group
) -> list[Outcome]:
    """Return the outcomes of the pairs of this process: those kept from before, and those made now."""
    store = None
    if running.folder is not None:
        store = Store(Path(running.folder), fingerprint(benchmark), group.rank)
    labels, fields, recorder = benchmark.labels(), fields_of(running), recorder_of(benchmark, running)
    kept: list[Outcome] = []
    tasks: list[Task] = []
    for pair in pairs:
        known = [one for one in _known(store, fields, pair, labels) if _is_drawn(recorder, one)]
        kept += known
        missing = tuple(label for label in labels if label not in {one.label for one in known})
        tasks += [Task(pair, missing)] if missing else []
    progress = Progress(benchmark.dataset, labels, len(pairs), group.rank)
    outcomes = list(kept)
    try:
        progress.know(kept)
        for outcome in _work(benchmark, running, tasks, group):
            if store is not None and outcome.error is None:
                store.add(outcome)
            outcomes.append(outcome)
            progress.tell(outcome)
    finally:
        progress.close()
        if store is not None:
            store.close()
    return outcomes


def _known(
    store: Store | None, fields: Fields | None, pair: FlowPair, labels: Sequence[Label]
) -> list[Outcome]:
    """Return what an earlier run left of a pair; a field that is asked for and not there is made anew."""
    found = [] if store is None else [store.outcomes.get((pair.name, label)) for label in labels]
    return [
        one
        for one in found
        if one is not None and (fields is None or fields.are_there(pair, one.label, one.stages))
    ]


def _is_drawn(recorder: Recorder | None, outcome: Outcome) -> bool:
    """Whether a report that is asked for has its part of a result; without it the result is made anew."""
    return recorder is None or recorder.has(outcome.pair, *outcome.label)


def _work(
    benchmark: FlowBenchmark, running: Running, tasks: Sequence[Task], group: Group
) -> Iterator[Outcome]:
    jobs = min(running.jobs, len(tasks))
    if jobs > 1:
        for outcomes in in_processes(_work_on, tasks, jobs, _prepare, benchmark, running):
            yield from outcomes
    else:
        worker = Worker(benchmark, running, group.local_rank)
        for task in tasks:
            yield from worker(task)


_WORKERS: list[Worker] = []
"""Of a process of --jobs: its one worker, which keeps the models from pair to pair."""


def _prepare(number: int, benchmark: FlowBenchmark, running: Running) -> None:
    _WORKERS.append(Worker(benchmark, running, number))


def _work_on(task: Task) -> list[Outcome]:
    return list(_WORKERS[0](task))


def fields_of(running: Running) -> Fields | None:
    """Return where fields are written; None where they are not wanted."""
    return None if running.write is None else Fields(Path(running.write), running.suffix)


def recorder_of(benchmark: FlowBenchmark, running: Running) -> Recorder | None:
    """Return what draws the pictures of a report; None where none is wanted."""
    return recorder_for(running.report, keep_invalid=benchmark.keep_invalid, pictures=running.pictures)


def load_methods(benchmark: FlowBenchmark) -> list[Method]:
    """Make the methods ready; models are loaded once, before the first pair."""
    methods = []
    for word in dict.fromkeys(benchmark.methods):
        if word in METHODS and METHODS[word].models:
            make = METHODS[word].load()
            methods += [make(model, benchmark) for model in dict.fromkeys(benchmark.models)]
        else:
            methods.append(peer_method(word))
    for word in dict.fromkeys(benchmark.matches):
        name, _, folder = word.partition("=")
        methods.append(matches_method(name, Path(folder), benchmark))
    return methods


def _environment(benchmark: FlowBenchmark, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Describe what the pairs were measured on, which may not be this process, or not this machine."""
    scored = [one for one in outcomes if one.stages]
    # The device of the networks is the one that matters when methods without one run beside them.
    first = next((one for one in scored if one.label.model is not None), scored[0])
    ran_on = {"cpu": first.cpu, "threads": first.threads, "device": first.device}
    environment = describe_environment("cpu") | ran_on | {"settings": asdict(benchmark)}
    if benchmark.needs_pipeline:
        environment["flow-settings"] = plain(benchmark.flow_settings().to_table())
    others = {(one.cpu, one.threads) for one in scored if one.label == first.label}
    if len(others) > 1:
        # Times of several machines are joined in a row's median; say so beside it.
        environment["machines"] = sorted(f"{cpu}, {threads} threads" for cpu, threads in others)
    return environment
