"""One method on one pair: its fields, scored; a damaged pair is an outcome too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.bar import hearing
from benchmarks.environment import cpu_model, device_name, thread_count
from benchmarks.flow.methods import Method, StageResult
from benchmarks.flow.names import FINAL
from benchmarks.flow.table import Label
from benchmarks.flow.upload.fields import Fields
from benchmarks.metrics import DENSITY, Tally, score, tally
from patchbatch.data.datasets.pairs import FlowPair, Truth, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError

Tallies = dict[str, Tally]
Watch = Callable[[FlowPair, Truth, Method, Mapping[str, StageResult]], None]
"""Sees every result as it is made: the pair, its truth, the method, the fields by stage."""


@dataclass(frozen=True)
class StageScore:
    """The tallies of one stage, with the seconds to get there; see `benchmarks.metrics` and `StageResult`."""

    tallies: Tallies
    seconds: Mapping[str, float | None]


@dataclass(frozen=True)
class Outcome:
    """What came of one method on one pair.

    Attributes
    ----------
    pair
        Its name.
    label
        The method.
    stages
        By name, in their order; none if it failed.
    device, cpu, threads
        What it ran on, as in `benchmarks.environment`.
    error
        Why it failed, one line that names the method and the pair; None if it did not.
    """

    pair: str
    label: Label
    stages: dict[str, StageScore] = field(default_factory=dict)
    device: str = "cpu"
    cpu: str = ""
    threads: int = 1
    error: str | None = None

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON holds it; every number comes back exactly."""
        stages = {
            stage: {"tallies": one.tallies, "seconds": dict(one.seconds)}
            for stage, one in self.stages.items()
        }
        machine = {"device": self.device, "cpu": self.cpu, "threads": self.threads}
        return {"pair": self.pair, **self.label._asdict(), "stages": stages, **machine}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Outcome:
        """Return what `to_record` was made of; raises KeyError and TypeError for anything else."""
        stages = {
            stage: StageScore({name: Tally(*two) for name, two in one["tallies"].items()}, one["seconds"])
            for stage, one in record["stages"].items()
        }
        label = Label(record["method"], record["model"])
        return cls(record["pair"], label, stages, record["device"], record["cpu"], record["threads"])


def measure(
    pair: FlowPair, methods: Sequence[Method], *, keep_invalid: bool = False, fields: Fields | None = None,
    watch: Watch | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """Run methods on a pair and score every stage, one after the other.

    Parameters
    ----------
    pair
        Without truth only the density is scored.
    methods
        As `benchmarks.flow.runner.load_methods` makes them.
    keep_invalid
        Count the pixels of Sintel's invalid mask too.
    fields
        Where the fields are written, None for nowhere.
    watch
        Called with every result of a pair with truth, outside what is timed.

    Yields
    ------
    Outcome
        One a method; a damaged file, and a result of the wrong size, fail and stop nothing else.
    """
    try:
        truth = None if pair.flow is None else load_truth(pair)
    except PatchBatchError as error:
        for method in methods:
            yield Outcome(pair.name, method.label, error=f"{pair.dataset} {pair.name}: {error}")
        return
    for method in methods:
        outcome = Outcome(pair.name, method.label, device=device_name(method.device), cpu=cpu_model())
        try:
            with hearing(f"{method.name} on {pair.name}"):
                stages = method.run(pair)
            _check_final(stages[FINAL])
            scored = {stage: _scored(pair, truth, one, keep_invalid) for stage, one in stages.items()}
            if fields is not None:
                fields.write(pair, method.label, stages)
            if watch is not None and truth is not None:
                watch(pair, truth, method, stages)
        except PatchBatchError as error:
            yield replace(outcome, error=f"{method.name} on {pair.dataset} {pair.name}: {error}")
        else:
            yield replace(outcome, stages=scored, threads=thread_count())


def _check_final(result: StageResult) -> None:
    """Refuse a result without any value: its holes would be filled with no motion, and that be scored."""
    if not (result.valid & np.isfinite(result.flow).all(axis=-1)).any():
        raise PatchBatchError("no pixel has a value, so there is nothing to score; leave the pair out")


def _scored(pair: FlowPair, truth: Truth | None, result: StageResult, keep_invalid: bool) -> StageScore:
    if truth is not None:
        judged_as = DATASETS[pair.dataset].judged_as
        tallies = score(judged_as, truth, result.flow, result.valid, keep_invalid=keep_invalid)
        return StageScore(tallies, result.seconds)
    size = read_image(pair.image1).shape[:2]
    if result.flow.shape != (*size, 2):
        rows, columns = result.flow.shape[:2]
        raise PatchBatchError(
            f"the flow is {rows}x{columns} but the frame {size[0]}x{size[1]}; compute it at full size"
        )
    submitted = result.valid & np.isfinite(result.flow).all(axis=-1)
    return StageScore({DENSITY: tally(submitted, np.ones(size, np.bool_))}, result.seconds)
