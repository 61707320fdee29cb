"""How far a run is, by outcomes of methods on pairs; see `benchmarks.progress`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.bar import Bar
from benchmarks.flow.names import FINAL, folder_name
from benchmarks.flow.printing.columns import title_of
from benchmarks.flow.running.scoring import Outcome
from benchmarks.flow.table import Label
from benchmarks.metrics import rule_of
from benchmarks.progress import Figure, Running
from patchbatch.data.datasets.table import DATASETS


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

    def __init__(self, dataset: str, labels: Sequence[Label], pairs: int, rank: int = 0):
        self.dataset, self.labels = dataset, labels
        self.bar = Bar(pairs, "pair", quiet=rank > 0)
        self._errors = Errors(dataset)
        self._left: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._told: str | None = None

    def know(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what an earlier run left, without a word a pair."""
        for outcome in outcomes:
            self._take(outcome)
        if self.bar.done and self.bar.lines:
            self.bar.write(f"{self.bar.done} of {self.bar.total} pairs are there from before")
        self.bar.start()

    def tell(self, outcome: Outcome) -> None:
        """Take in what was just made; when all methods are through a pair, say so."""
        if outcome.error is not None and outcome.error != self._told:
            # Truth that cannot be read fails for every method in the same words.
            self._told = outcome.error
            self.bar.write(f"failed: {outcome.error}")
        words = self._take(outcome)
        if words is not None:
            self.bar.say(outcome.pair, words)

    def _take(self, outcome: Outcome) -> str | None:
        """Return what is to be said of a pair whose last method this is; None while some are missing."""
        error = self._errors.add(outcome)
        if error is not None:
            known, name = self._errors.running[outcome.label], folder_name(outcome.label)
            words = known.figure.words
            told = f", {name} {known.figure.title} {words(error)} (so far {words(known.value)})"
            self._words[outcome.pair] = self._words.get(outcome.pair, "") + told
        left = self._left[outcome.pair] = self._left.get(outcome.pair, len(self.labels)) - 1
        if left:
            return None
        del self._left[outcome.pair]
        self.bar.advance(", ".join(f"{folder_name(label)} {e}" for label, e in self._errors.running.items()))
        return self._words.pop(outcome.pair, "")

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


class Errors:
    """The leading error of every method so far, by the rule of its figure.

    Parameters
    ----------
    dataset
        Whose leading figure it is.

    Attributes
    ----------
    running
        By method, of those that have any.
    """

    def __init__(self, dataset: str):
        self.dataset = dataset
        self.running: dict[Label, Running] = {}
        self._figures: dict[Label, str] = {}

    def add(self, outcome: Outcome) -> float | None:
        """Take in the result of a pair; return the pair's own error, None where it has none."""
        final = outcome.stages.get(FINAL)
        if final is None:
            return None
        figure = self._figures.get(outcome.label) or leading_figure(self.dataset, final.tallies)
        if figure is None:
            return None
        name, pools = rule_of(figure)
        tally = final.tallies.get(name)
        if tally is None or not tally.pixels:
            return None
        self._figures[outcome.label] = figure
        running = self.running.setdefault(outcome.label, Running(told_figure(self.dataset, figure)))
        return running.add(outcome.pair, tally.total, tally.pixels, pooled=pools)


def told_figure(dataset: str, figure: str) -> Figure:
    """Return a figure as papers of the data set call it, with its unit."""
    share = figure.startswith(("Fl-", "Out-"))
    return Figure(title_of(dataset, figure), "%" if share else "px", 2 if share else 3)


def closing_lines(dataset: str, outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line a method: its leading error over all pairs, the best and the worst pair."""
    errors = Errors(dataset)
    for outcome in outcomes:
        errors.add(outcome)
    return [running.closing(folder_name(label), "pair") for label, running in errors.running.items()]


def leading_figure(dataset: str, names: Iterable[str]) -> str | None:
    """Return the figure by which methods are compared, of those that can be made of these tallies or figures.

    Examples
    --------
    >>> leading_figure("kitti2012", ["EPE", "Out-All"]), leading_figure("kitti2012", ["density"])
    ('Out-All', None)
    """
    there, kind = set(names), DATASETS[dataset]
    return next((one for one in (kind.lead, *kind.figures) if {rule_of(one)[0], one} & there), None)
