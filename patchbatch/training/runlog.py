"""The record of a training run: a CSV that survives stops, a picture of it, and what `--log` names."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbatch.training.logs import CSV, LOGS, is_there


@dataclass(frozen=True)
class Row:
    """One line: running mean of the loss, held-out score (or None), samples per second."""

    step: int
    loss: float
    score: float | None
    rate: float


@dataclass(frozen=True)
class RunLog:
    """How the record of a kind of run looks.

    Attributes
    ----------
    column
        Head of the score in the CSV, unit included, such as "rank1_3px_percent"; empty: there is none.
    score
        The same in words, as the picture and the log have it, such as "rank-1 at 3 px".
    unit
        What a batch is made of, such as "pairs".
    lower
        Whether less of the score is better.
    """

    column: str
    score: str
    unit: str
    lower: bool = False

    def told(self, row: Row, first_loss: float) -> str:
        """Return a row as a line of the log, with how far the loss has come since the first line.

        Examples
        --------
        >>> RunLog("", "rank-1 at 3 px", "pairs").told(Row(40, 5198.16, 7.5, 12), 5198.3)
        'step 40  loss 5198.2 (-0.0027 %)  rank-1 at 3 px 7.50 %  12.00 pairs/s'
        """
        score = "" if row.score is None else f"  {self.score} {row.score:.2f} %"
        change = 100 * (row.loss / first_loss - 1) if first_loss else 0.0
        return f"step {row.step}  loss {row.loss:.5g} ({change:+.2g} %){score}  {row.rate:.2f} {self.unit}/s"

    def is_better(self, score: float, other: float) -> bool:
        """Tell whether a score is better than another."""
        return score < other if self.lower else score > other

    def figures(self, row: Row) -> dict[str, float | None]:
        """Return the figures of a row under the heads of the CSV; None is a score that was not taken."""
        score = {self.column: row.score} if self.column else {}
        return {"loss": row.loss, **score, f"{self.unit}_per_second": row.rate}

    def append(self, path: Path, row: Row) -> None:
        """Add a row; a new file gets a header."""
        new, figures = not path.exists(), self.figures(row)
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("step", *figures))
            decimals = {"loss": 5}
            cells = (
                "" if value is None else f"{value:.{decimals.get(name, 2)}f}"
                for name, value in figures.items()
            )
            writer.writerow([row.step, *cells])

    def draw(self, path: Path, picture: Path) -> None:
        """Draw losses and held-out scores over the steps; without matplotlib or rows there is no picture."""
        if not path.exists() or not can_draw():
            return
        from matplotlib.figure import Figure  # noqa: PLC0415 (an extra, and slow to import)

        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        figure = Figure(figsize=(7, 4), layout="constrained")
        losses = figure.subplots()
        losses.plot([int(r["step"]) for r in rows], [float(r["loss"]) for r in rows], color="tab:blue")
        losses.set(xlabel="step", ylabel="training loss (blue)")
        scored = [r for r in rows if r[self.column]]
        scores = losses.twinx()
        percent = [float(r[self.column]) for r in scored]
        scores.plot([int(r["step"]) for r in scored], percent, "o-", color="tab:orange")
        scores.set(ylabel=f"held-out {self.score}, % (orange)")
        figure.savefig(picture, dpi=110)


def can_draw() -> bool:
    """Tell whether matplotlib is installed."""
    return is_there("matplotlib")


class Record:
    """Keeps the figures of a run: in a CSV file always, and where `--log` says.

    Parameters
    ----------
    look
        How the record of this kind of run looks.
    file
        The CSV.
    log
        A name of `LOGS`.
    events
        The folder of what is not in the CSV.
    """

    def __init__(self, look: RunLog, file: Path, log: str = CSV, events: Path | None = None):
        self.look, self.file, self.log = look, file, log
        self.events = events or file.parent / "events"
        self._more: Any = None

    def begin(self, step: int) -> None:
        """Begin after a step; what is there of later ones is dropped: it will be written anew."""
        forget_after(self.file, step)
        if LOGS[self.log].target:
            self._more = LOGS[self.log].load()(self.events, step)

    def add(self, row: Row) -> None:
        """Write a row."""
        self.look.append(self.file, row)
        if self._more is not None:
            self._more.add(row.step, self.look.figures(row))

    def close(self) -> None:
        """Close what is open."""
        if self._more is not None:
            self._more.close()
            self._more = None


def forget_after(path: Path, step: int) -> None:
    """Drop the rows after a step: a run that goes on from a checkpoint writes them anew."""
    if path.exists():
        header, *rows = path.read_text().splitlines()
        kept = [row for row in rows if int(row.split(",")[0]) <= step]
        path.write_text("\n".join([header, *kept]) + "\n")
