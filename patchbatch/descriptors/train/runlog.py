"""The record of a training run: a CSV that survives stops, and a picture of it."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

HEADER = ("step", "loss", "rank1_3px_percent", "pairs_per_second")


@dataclass(frozen=True)
class Row:
    """One line: running mean of the loss, held-out score (percent, or None), crop pairs per second."""

    step: int
    loss: float
    score: float | None
    rate: float

    def __str__(self) -> str:
        score = "" if self.score is None else f"  rank-1 at 3 px {self.score:.2f} %"
        return f"step {self.step}  loss {self.loss:.4f}{score}  {self.rate:.2f} pairs/s"


def append(path: Path, row: Row) -> None:
    """Add a row; a new file gets a header."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(HEADER)
        score = "" if row.score is None else f"{row.score:.2f}"
        writer.writerow([row.step, f"{row.loss:.5f}", score, f"{row.rate:.2f}"])


def forget_after(path: Path, step: int) -> None:
    """Drop the rows after a step: a run that goes on from a checkpoint writes them anew."""
    if path.exists():
        header, *rows = path.read_text().splitlines()
        kept = [row for row in rows if int(row.split(",")[0]) <= step]
        path.write_text("\n".join([header, *kept]) + "\n")


def draw(path: Path, picture: Path) -> None:
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
    scored = [r for r in rows if r["rank1_3px_percent"]]
    scores = losses.twinx()
    percent = [float(r["rank1_3px_percent"]) for r in scored]
    scores.plot([int(r["step"]) for r in scored], percent, "o-", color="tab:orange")
    scores.set(ylabel="held-out rank-1 at 3 px, % (orange)")
    figure.savefig(picture, dpi=110)
