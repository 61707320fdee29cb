"""The figures of descriptors as Markdown tables and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from benchmarks.descriptors.metrics import FIGURES
from benchmarks.report import markdown, number, require_matplotlib
from patchbatch.data.files import FilePath, atomic_path

# Strong ones first, then the pale ones of matplotlib's "tab20".
COLOURS = (*(f"C{number}" for number in range(10)), *("#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5"))
HEADER = ("descriptor", "dimension", *FIGURES, "seconds")


def format_tables(
    rows: Sequence[dict[str, Any]], all_wrong: dict[str, float], window: int | None = None
) -> str:
    """Return one Markdown table per data set, columns aligned, with a heading each.

    Parameters
    ----------
    rows, all_wrong
        As `benchmarks.descriptors.rows.run` returns them.
    window
        Of the raw error, px; None = the whole image.
    """
    tables = []
    for dataset, share in all_wrong.items():
        of_it = [row for row in rows if row["dataset"] == dataset]
        table = _format_table(of_it, window)
        if len(of_it) > 1:
            table += f"\n\nAll {len(of_it)} are wrong at {share:.2f} % of the points."
        tables.append(table)
    return "\n\n".join(tables)


def format_motion(rows: Sequence[dict[str, Any]], limits: Sequence[float]) -> str:
    """Return the raw errors by length of the motion as one Markdown table per data set.

    Parameters
    ----------
    rows
        As `benchmarks.descriptors.summary.by_motion` returns them.
    limits
        Where the ranges begin, px.
    """
    ends = [*(f"{low:g}-{high:g} px" for low, high in pairwise(limits)), f"from {limits[-1]:g} px"]
    tables = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of_it = [row for row in rows if row["dataset"] == dataset]
        lines = [_percents("share of the points", of_it[0]["points"])]
        lines += [_percents(row["descriptor"], row["raw-error"]) for row in of_it]
        tables.append(markdown(["raw-error by motion", *ends], lines, heading=f"{dataset}:"))
    return "\n\n".join(tables)


def _percents(name: str, values: Sequence[float | None]) -> list[str]:
    return [name, *(number(value, 1) for value in values)]


def searched(window: int | None) -> str:
    """Say where the raw error's nearest neighbour is looked for."""
    return "over the whole image" if window is None else f"within {window} px of the point"


def _format_table(rows: Sequence[dict[str, Any]], window: int | None) -> str:
    first = rows[0]
    heading = f"{first['dataset']}: {first['points']} points, percent, raw-error {searched(window)}"
    return markdown(HEADER, [_cells(row) for row in rows], heading=heading)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = (number(row[name], 2) for name in (*FIGURES, "seconds"))
    return (row["descriptor"], str(row["dimension"]), *figures)


def write_figure(path: FilePath, rows: Sequence[dict[str, Any]], window: int | None = None) -> None:
    """Draw the raw errors as bars, a group per data set and a colour per descriptor, into a `.png`.

    Bars far longer than the others are cut off, with their value beside them, so that the others can be told
    apart.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing or the file cannot be written.
    """
    require_matplotlib("--figure")
    from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    names = list(dict.fromkeys(row["descriptor"] for row in rows))
    errors = {(row["dataset"], row["descriptor"]): row["raw-error"] for row in rows}
    figure = Figure(figsize=(2 + 1.6 * len(datasets), 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    top = highest_bar(list(errors.values()))
    for index, name in enumerate(names):
        places = [group + (index - (len(names) - 1) / 2) * width for group in range(len(datasets))]
        heights = [errors[dataset, name] for dataset in datasets]
        axes.bar(places, heights, width, label=name, color=COLOURS[index % len(COLOURS)])
        for place, height in zip(places, heights, strict=True):
            if height > top:
                axes.annotate(f"{height:.0f} %", (place, top), ha="center", va="bottom", fontsize="small")
    axes.set_xticks(range(len(datasets)), datasets)
    axes.set_ylabel(f"raw error in %\n(> 3 px, {searched(window)})")
    axes.set_ylim(0, top)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def highest_bar(values: Sequence[float]) -> float:
    """Return where the axis of bars ends, so that a few far longer ones do not press all others flat.

    Bars are far longer if they stand above a gap to the next shorter one that is as long as that one.

    Examples
    --------
    >>> round(highest_bar([4.0, 16.0, 36.0, 91.0, 97.0]), 1), round(highest_bar([4.0, 6.0, 9.0]), 2)
    (37.8, 9.45)
    """
    rising = sorted(values)
    for shorter, longer in pairwise(rising):
        if shorter >= rising[len(rising) // 2] and longer > 2 * shorter:
            return 1.05 * shorter
    return 1.05 * rising[-1]
