"""The figures of flow as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.report import markdown, number
from patchbatch.data.datasets.table import DATASETS

# Shown if any row has them; the JSON file has all.
_COMMON = ("EPE", "Fl-all", "Fl-all-per-image", "Out-All", "Out-Noc", "EPE (submitted)", "Fl-all (submitted)")
_LABELS = ("method", "model", "stage")
LABELS = len(_LABELS)


def format_table(dataset: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of a report as a Markdown table.

    Parameters
    ----------
    dataset
        Its own figures are shown beside the common ones.
    rows
        As `benchmarks.flow.runner.run` returns them.
    """
    header, *lines = table_cells(dataset, rows)
    return markdown(header, lines, labels=LABELS)


def table_cells(dataset: str, rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the table cell by cell, its header first; the first `LABELS` cells of a line are words."""
    wanted = (*_COMMON, *DATASETS[dataset].figures)
    names = [name for name in wanted if any(name in row["metrics"] for row in rows)]
    header = [*_LABELS, "pairs", "density", *names, "seconds"]
    return [header, *(_cells(row, names) for row in rows)]


def _cells(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    labels = [row[label] or "" for label in _LABELS]
    figures = [number(row["metrics"].get(name), _decimals(name)) for name in names]
    density, total = number(row["density"], 1), number(row["seconds"]["total"], 3)
    return [*labels, str(row["pairs"]), density, *figures, total]


def _decimals(name: str) -> int:
    """Return how many decimals mean something: shares in percent have two, pixels three."""
    return 2 if name.startswith(("Fl-", "Out-", "R", "AAE")) else 3
