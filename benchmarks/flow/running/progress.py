"""How far a run is: a bar on a terminal, elsewhere a line a pair, and lines at the end; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from benchmarks.flow.names import FINAL, folder_name
from benchmarks.flow.printing.columns import title_of
from benchmarks.flow.running.scoring import Outcome
from benchmarks.flow.table import Label
from benchmarks.metrics import Tally, rule_of
from patchbatch.data.datasets.table import DATASETS
from patchbatch.progress import in_time


@dataclass
class RunningError:
    """The error of one method so far, by the rule of its figure, with the best and the worst pair.

    Attributes
    ----------
    dataset, figure
        Of what: a name of `DATASETS`, and a published name such as "Fl-all".
    pairs
        How many were taken in.
    best, worst
        Error and name of a pair.
    """

    dataset: str
    figure: str
    pairs: int = 0
    total: float = 0.0
    weight: float = 0.0
    best: tuple[float, str] = (float("inf"), "")
    worst: tuple[float, str] = (-1.0, "")

    def add(self, pair: str, tallies: Mapping[str, Tally]) -> float | None:
        """Take a pair in and return its own error; None where it has no pixels for the figure."""
        name, pools = rule_of(self.figure)
        counted = tallies.get(name)
        if counted is None or not counted.pixels:
            return None
        error = counted.total / counted.pixels
        self.total += counted.total if pools else error
        self.weight += counted.pixels if pools else 1
        self.pairs += 1
        self.best, self.worst = min(self.best, (error, pair)), max(self.worst, (error, pair))
        return error

    @property
    def value(self) -> float:
        """The figure over the pairs so far."""
        return self.total / self.weight

    @property
    def title(self) -> str:
        """What the figure is called in papers of the data set."""
        return title_of(self.dataset, self.figure)

    def words(self, error: float) -> str:
        """Return an error with its unit."""
        return f"{error:.2f} %" if self.figure.startswith(("Fl-", "Out-")) else f"{error:.3f} px"

    def __str__(self) -> str:
        return f"{self.title} {self.words(self.value)}"


@dataclass
class Progress:
    """Tells how a run goes.

    Parameters
    ----------
    dataset
        Whose leading figure is told.
    labels
        What is run on every pair.
    pairs
        Number of pairs of this process.
    rank
        Of this process; only the first draws a bar.
    """

    dataset: str
    labels: Sequence[Label]
    pairs: int
    rank: int = 0
    errors: dict[Label, RunningError] = field(default_factory=dict)
    done: int = 0
    told: str | None = None

    def __post_init__(self) -> None:
        self._left: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._start, self._done_before = time.monotonic(), 0
        self._terminal = sys.stderr.isatty()
        hidden = not self._terminal or self.rank > 0
        self._bar = tqdm(total=self.pairs, unit="pair", disable=hidden, dynamic_ncols=True)

    def know(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what an earlier run left, without a word a pair."""
        for outcome in outcomes:
            self._take(outcome)
        if self.done and not self._terminal:
            _say(f"{self.done} of {self.pairs} pairs are there from before")
        self._start, self._done_before = time.monotonic(), self.done
        self._bar.unpause()

    def tell(self, outcome: Outcome) -> None:
        """Take in what was just made; when all methods are through a pair, say so."""
        if outcome.error is not None and outcome.error != self.told:
            # Truth that cannot be read fails for every method in the same words.
            self.told = outcome.error
            self._write(f"failed: {outcome.error}")
        words = self._take(outcome)
        if words is not None and not self._terminal:
            _say(f"{self.done}/{self.pairs} {outcome.pair}{words}; {self._time_left()}")

    def _take(self, outcome: Outcome) -> str | None:
        """Return what is to be said of a pair whose last method this is; None while some are missing."""
        error = _take_in(self.errors, self.dataset, outcome)
        if error is not None:
            known, name = self.errors[outcome.label], folder_name(outcome.label)
            words = f", {name} {known.title} {known.words(error)} (so far {known.words(known.value)})"
            self._words[outcome.pair] = self._words.get(outcome.pair, "") + words
        left = self._left[outcome.pair] = self._left.get(outcome.pair, len(self.labels)) - 1
        if left:
            return None
        del self._left[outcome.pair]
        self.done += 1
        self._bar.set_postfix_str(", ".join(f"{folder_name(label)} {e}" for label, e in self.errors.items()))
        self._bar.update()
        return self._words.pop(outcome.pair, "")

    def _time_left(self) -> str:
        gone = time.monotonic() - self._start
        left = gone / max(1, self.done - self._done_before) * (self.pairs - self.done)
        return f"{in_time(gone)} gone, {in_time(left)} left"

    def _write(self, line: str) -> None:
        """Write a line that does not run into the bar."""
        tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def closing_lines(dataset: str, outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line a method: its leading error over all pairs, the best and the worst pair."""
    errors: dict[Label, RunningError] = {}
    for outcome in outcomes:
        _take_in(errors, dataset, outcome)
    return [
        f"{folder_name(label)}: {one} over {one.pairs} pairs; "
        f"best {one.best[1]} ({one.words(one.best[0])}), worst {one.worst[1]} ({one.words(one.worst[0])})"
        for label, one in errors.items()
    ]


def _take_in(errors: dict[Label, RunningError], dataset: str, outcome: Outcome) -> float | None:
    """Take the result of a pair into the error of its method; return the pair's own error, if it has one."""
    final = outcome.stages.get(FINAL)
    known = errors.get(outcome.label)
    figure = known.figure if known else leading_figure(dataset, final.tallies if final else ())
    if final is None or figure is None:
        return None
    known = known or RunningError(dataset, figure)
    error = known.add(outcome.pair, final.tallies)
    if error is not None:
        errors[outcome.label] = known
    return error


def leading_figure(dataset: str, names: Iterable[str]) -> str | None:
    """Return the figure by which methods are compared, of those that can be made of these tallies or figures.

    Examples
    --------
    >>> leading_figure("kitti2012", ["EPE", "Out-All"]), leading_figure("kitti2012", ["density"])
    ('Out-All', None)
    """
    there, kind = set(names), DATASETS[dataset]
    return next((one for one in (kind.lead, *kind.figures) if {rule_of(one)[0], one} & there), None)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
