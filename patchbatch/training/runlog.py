"""The record of a training run: a CSV that survives stops, and a picture of it."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


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
        Head of the held-out score in the CSV, unit included, such as "rank1_3px_percent".
    score
        The same in words, as the picture and the log have it, such as "rank-1 at 3 px".
    unit
        What a batch is made of, such as "pairs".
    """

    column: str
    score: str
    unit: str

    def told(self, row: Row) -> str:
        """Return a row as a line of the log."""
        score = "" if row.score is None else f"  {self.score} {row.score:.2f} %"
        return f"step {row.step}  loss {row.loss:.4f}{score}  {row.rate:.2f} {self.unit}/s"

    def append(self, path: Path, row: Row) -> None:
        """Add a row; a new file gets a header."""
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("step", "loss", self.column, f"{self.unit}_per_second"))
            score = "" if row.score is None else f"{row.score:.2f}"
            writer.writerow([row.step, f"{row.loss:.5f}", score, f"{row.rate:.2f}"])

    def draw(self, path: Path, picture: Path) -> None:
        """Draw losses and held-out scores over the steps; without matplotlib or rows there is no picture."""
        if not path.exists():
            return
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 (an extra, and slow to import)
        except ImportError:
            log.debug("no picture of the losses without matplotlib")
            return
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


def forget_after(path: Path, step: int) -> None:
    """Drop the rows after a step: a run that goes on from a checkpoint writes them anew."""
    if path.exists():
        header, *rows = path.read_text().splitlines()
        kept = [row for row in rows if int(row.split(",")[0]) <= step]
        path.write_text("\n".join([header, *kept]) + "\n")
