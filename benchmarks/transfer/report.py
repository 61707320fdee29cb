"""Table and pictures of the study of transfer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import markdown
from benchmarks.transfer.settings import PICTURES, SHOWN
from patchbatch.data.files import atomic_path
from patchbatch.transfer.spectra import plot_spectra

FIGURES = {"source-error": 3, "cosine": 3, "cosine-centred": 3, "jb": 3, "effective-rank": 1, "fisher-sum": 1}
"""Columns of the table, and their decimals."""
PAIRED = ("source-error", "cosine", "jb")
"""Columns of the second table: what a kind differs by from one copy of the same seed."""

Row = dict[str, Any]


def format_tables(rows: Sequence[Row]) -> str:
    """Return the means over the seeds with their spread, then the paired differences to one copy."""
    kinds = list(dict.fromkeys((row["copies"], row["orthogonality"]) for row in rows))
    groups = {kind: [row for row in rows if (row["copies"], row["orthogonality"]) == kind] for kind in kinds}
    cells = [
        [_label(kind), str(len(group)),
         *(_mean([row[name] for row in group], decimals) for name, decimals in FIGURES.items()),
         f"{statistics.fmean(row['agreement'] for row in group):.3f}"]
        for kind, group in groups.items()
    ]  # fmt: skip
    tables = [markdown(["head", "seeds", *FIGURES, "agreement"], cells)]
    alone = {row["seed"]: row for row in rows if row["copies"] == 1}
    differences = [
        [_label(kind), *(_difference(group, alone, name) for name in PAIRED)]
        for kind, group in groups.items() if kind[0] > 1
    ]  # fmt: skip
    if alone and differences:
        heading = "Difference to M1 of the same seed, mean ± deviation over the seeds"
        tables.append(markdown(["head", *PAIRED], differences, heading=heading))
    return "\n\n".join(tables)


def _label(kind: tuple[int, str]) -> str:
    return f"M{kind[0]}" + (" (S_w)" if kind[1] == "within" else "")


def _mean(values: Sequence[float], decimals: int) -> str:
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{decimals}f}"


def _difference(group: Sequence[Row], alone: dict[int, Row], name: str) -> str:
    values = [row[name] - alone[row["seed"]][name] for row in group if row["seed"] in alone]
    if not values:
        return ""
    mean = f"{statistics.fmean(values):+.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Draw singular values and Fisher spectra of the first seed, in the style of the talk: M5, M3, M1."""
    first = [row for row in rows if row["seed"] == rows[0]["seed"] and row["orthogonality"] == "plain"]
    by_copies = {row["copies"]: row for row in first}
    shown = [m for m in SHOWN if m in by_copies] or sorted(by_copies, reverse=True)[:3]
    for file, name, words in zip(
        PICTURES, ("singular-values", "fisher"), ("singular value", "Fisher ratio γ"), strict=True
    ):
        axes = plot_spectra({f"M{m}": by_copies[m][name] for m in shown}, ylabel=words)
        with atomic_path(folder / file) as temporary:
            axes.figure.savefig(temporary, dpi=110)
