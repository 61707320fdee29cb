"""How benchmarks report: Markdown tables, JSON files, pictures."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError

Cell = str | int | None


def markdown(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], labels: int = 1, heading: str = ""
) -> str:
    """Return a Markdown table whose columns are aligned in the source too.

    Parameters
    ----------
    header, rows
        Names of the columns, and as many cells a row; None is an empty cell.
    labels
        So many first columns are words and stand to the left, all others are figures and stand to the right.
    heading
        A line above the table.

    Examples
    --------
    >>> print(markdown(["method", "EPE"], [["zero", number(4.25, 2)], ["ours", None]], heading="two pairs"))
    two pairs
    <BLANKLINE>
    | method |  EPE |
    | ------ | ---: |
    | zero   | 4.25 |
    | ours   |      |
    """
    lines = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    rule = ["-" * width if i < labels else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    table = "\n".join(_aligned(line, widths, labels) for line in (lines[0], rule, *lines[1:]))
    return f"{heading}\n\n{table}" if heading else table


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).replace("|", "\\|")


def _aligned(cells: Sequence[str], widths: Sequence[int], labels: int) -> str:
    padded = [
        cell.ljust(width) if i < labels else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def number(value: float | None, decimals: int) -> str:
    """Return a figure with so many decimals; nothing for None."""
    return "" if value is None else f"{value:.{decimals}f}"


def significant(value: float | None, digits: int = 3) -> str:
    """Return a figure with so many digits that count; nothing for None."""
    return "" if value is None else f"{value:.{digits}g}"


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


def require_matplotlib(option: str) -> None:
    """Refuse, before the work, a picture that could not be drawn after it.

    Parameters
    ----------
    option
        That asks for the picture, such as "--figure".

    Raises
    ------
    PatchBatchError
        If matplotlib is missing.
    """
    try:
        there = importlib.util.find_spec("matplotlib") is not None
    except ValueError:  # switched off in sys.modules
        there = False
    if not there:
        raise PatchBatchError(f"{option} needs matplotlib: pip install 'patchbatch[plots]', or leave it out")


def check_plot(option: str, path: FilePath | None) -> None:
    """Refuse, before the work, a picture that matplotlib could not write after it.

    Parameters
    ----------
    option
        That asks for the picture, such as "--plot".
    path
        Its file; None: no picture is wanted.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing, or knows no format of that suffix.
    """
    if path is None:
        return
    require_matplotlib(option)
    from matplotlib.backend_bases import FigureCanvasBase  # noqa: PLC0415 (an optional dependency)

    known = FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix.lower().removeprefix(".") not in known:
        raise PatchBatchError(f"{path} has no suffix that pictures can be written in; use .png, .svg or .pdf")
