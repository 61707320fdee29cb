"""The figures of descriptors as Markdown tables and as a picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from benchmarks.descriptor_metrics import FIGURES
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError

HEADER = ("descriptor", "dimension", *FIGURES, "seconds")


def format_tables(rows: Sequence[dict[str, Any]], window: int | None = None) -> str:
    """Return one Markdown table per data set, columns aligned, with a heading each.

    Parameters
    ----------
    rows
        As `benchmarks.descriptor_rows.run` returns them.
    window
        Of the raw error, px; None = the whole image.
    """
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    return "\n\n".join(
        _format_table([row for row in rows if row["dataset"] == dataset], window) for dataset in datasets
    )


def searched(window: int | None) -> str:
    """Say where the raw error's nearest neighbour is looked for."""
    return "over the whole image" if window is None else f"within {window} px of the point"


def _format_table(rows: Sequence[dict[str, Any]], window: int | None) -> str:
    first = rows[0]
    heading = f"{first['dataset']}: {first['points']} points, percent, raw-error {searched(window)}"
    lines = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    rule = tuple("-" * widths[0] if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths))
    table = [_aligned(line, widths) for line in (lines[0], rule, *lines[1:])]
    return "\n".join([heading, "", *table])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = (f"{row[name]:.2f}" for name in FIGURES)
    return (row["descriptor"], str(row["dimension"]), *figures, f"{row['seconds']:.2f}")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join(padded) + " |"


def require_matplotlib() -> None:
    """Raise PatchBatchError if there is nothing to draw with."""
    if importlib.util.find_spec("matplotlib") is None:
        raise PatchBatchError("--figure needs matplotlib: pip install 'patchbatch[plots]', or leave it out")


def write_figure(path: FilePath, rows: Sequence[dict[str, Any]], window: int | None = None) -> None:
    """Draw the raw errors as bars, a group per data set and a colour per descriptor, into a `.png`.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing or the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    names = list(dict.fromkeys(row["descriptor"] for row in rows))
    errors = {(row["dataset"], row["descriptor"]): row["raw-error"] for row in rows}
    figure = Figure(figsize=(2 + 1.6 * len(datasets), 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        places = [group + (index - (len(names) - 1) / 2) * width for group in range(len(datasets))]
        heights = [errors[dataset, name] for dataset in datasets]
        axes.bar(places, heights, width, label=name, color=f"C{index % 10}")
    axes.set_xticks(range(len(datasets)), datasets)
    axes.set_ylabel(f"raw error in %\n(> 3 px, {searched(window)})")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
