"""The report of a benchmark as a Markdown table and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from patchbatch.data.files import FilePath, atomic_path

# Shown if any row has them; the JSON file has all.
_COMMON = ("EPE", "Fl-all", "Fl-all-per-image", "Out-All", "Out-Noc", "EPE (submitted)", "Fl-all (submitted)")
_OF_DATASET = {
    "kitti2015": ("Fl-bg", "Fl-fg"),
    "sintel": ("EPE-matched", "EPE-unmatched", "s0-10", "s10-40", "s40+"),
    "middlebury": ("AAE", "R0.5", "R1", "R2"),
    "chairs": ("EPE-pooled",),
}
_LABELS = ("method", "model", "stage")


def format_table(dataset: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of a report as a Markdown table, columns aligned.

    Parameters
    ----------
    dataset
        Its own figures are shown beside the common ones.
    rows
        As `benchmarks.flow.runner.run` returns them.
    """
    wanted = (*_COMMON, *_OF_DATASET.get(dataset, ()))
    names = [name for name in wanted if any(name in row["metrics"] for row in rows)]
    header = [*_LABELS, "pairs", "density", *names, "seconds"]
    lines = [header, *(_cells(row, names) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width if i < len(_LABELS) else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(_aligned(line, widths) for line in (header, rule, *lines[1:]))


def _cells(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    labels = [row[label] or "" for label in _LABELS]
    figures = [_number(row["metrics"].get(name), _decimals(name)) for name in names]
    density, total = _number(row["density"], 1), _number(row["seconds"]["total"], 3)
    return [*labels, str(row["pairs"]), density, *figures, total]


def _decimals(name: str) -> int:
    """Return how many decimals mean something: shares in percent have two, pixels three."""
    return 2 if name.startswith(("Fl-", "Out-", "R", "AAE")) else 3


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if i < len(_LABELS) else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def write_json(path: FilePath, report: dict[str, Any]) -> None:
    """Write a report as JSON, whole or not at all.

    Raises
    ------
    PatchBatchError
        If the file cannot be written.
    """
    text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
