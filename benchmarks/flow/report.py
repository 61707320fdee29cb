"""The figures of flow as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.flow.printing.columns import decimals_of, figures_shown, title_of
from benchmarks.flow.printing.forms import FORMATS, Shown
from benchmarks.flow.printing.published import PUBLISHED
from benchmarks.models import short_name
from benchmarks.report import number

_LABELS = ("method", "model", "stage")
_DENSE = 100.0


def format_table(
    dataset: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    columns: str = "papers",
    form: str = "markdown",
    published: bool = False,
    times: bool = True,
) -> str:
    """Return the rows of a report as a table: method, number of pairs, errors, running time.

    Parameters
    ----------
    dataset
        Whose papers say which figures are shown.
    rows
        As `benchmarks.flow.runner.run` returns them.
    columns
        A name of `benchmarks.flow.printing.columns.COLUMNS`.
    form
        A name of `benchmarks.flow.printing.forms.FORMATS`.
    published
        Add the rows of `PUBLISHED`, and lines that say what they are.
    times
        Whether the last column is the seconds.
    """
    text: str = FORMATS[form].load()(shown_table(dataset, rows, columns, published, times=times))
    return text


def shown_table(
    dataset: str, rows: Sequence[Mapping[str, Any]], columns: str = "papers", published: bool = False,
    *, times: bool = True,
) -> Shown:  # fmt: skip
    """Return the cells of `format_table`."""
    figures = figures_shown(dataset, rows, columns)
    others = PUBLISHED[dataset] if published else ()
    figures = [*dict.fromkeys(one.figure for one in others if one.figure not in figures), *figures]
    # A sparse field without errors beside it has nothing but its density to be told by.
    density = columns == "all" or not figures
    titles = [title_of(dataset, figure, columns) for figure in figures]
    header = [*_LABELS, "pairs", *(["density"] if density else []), *titles, "seconds"]
    cells = [
        [
            row["method"],
            "" if row["model"] is None else short_name(row["model"]),
            _stage(row),
            str(row["pairs"]),
            *([number(row["density"], 1)] if density else []),
            *(number(row["metrics"].get(figure), decimals_of(figure)) for figure in figures),
            _seconds(row["seconds"]["total"]),
        ]
        for row in rows
    ]
    cells += [
        [
            row.method, "", "", one.where, *([""] if density else []),
            *(number(row.error if figure == one.figure else None, decimals_of(figure)) for figure in figures),
            _seconds(row.seconds),
        ]
        for one in others
        for row in one.rows
    ]  # fmt: skip
    if not times:
        header, cells = header[:-1], [row[:-1] for row in cells]
    return Shown(header, cells, len(_LABELS), [one.note for one in others])


def _stage(row: Mapping[str, Any]) -> str:
    """Return the name of a stage; of a sparse one that errors count pixels which it has no value for."""
    density = row["density"]
    if density is None or density == _DENSE or not row["metrics"]:
        return str(row["stage"])
    return f"{row['stage']} ({density:.1f} %, holes filled)"


def _seconds(value: float | None) -> str:
    """Return a time to the millisecond below a second, to a tenth of a second above."""
    return number(value, 3 if value is not None and value < 1 else 1)
