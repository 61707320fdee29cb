"""Tables as Markdown, LaTeX and plain text, and CSV files; nothing here is slow to import."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import markdown
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.tables import Entry, Table

_PLACE = "benchmarks.flow.printing.forms"
FORMATS = Table(
    "format",
    [
        Entry("markdown", "a table of a README", f"{_PLACE}:as_markdown"),
        Entry("latex", "a tabular of a paper", f"{_PLACE}:as_latex"),
        Entry("terminal", "plain text", f"{_PLACE}:as_text"),
    ],
)

_LATEX = str.maketrans(
    {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}",
     "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A table as words.

    Attributes
    ----------
    header, rows
        Names of the columns, and as many cells a row.
    labels
        So many first columns are words, the others figures.
    notes
        Lines below the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int
    notes: Sequence[str] = ()


def as_markdown(shown: Shown) -> str:
    """Return a Markdown table, aligned in the source too."""
    table = markdown(shown.header, shown.rows, labels=shown.labels)
    return "\n\n".join([table, *shown.notes])


def as_latex(shown: Shown) -> str:
    r"""Return a tabular that needs no package.

    Examples
    --------
    >>> print(as_latex(Shown(["method", "Fl-all"], [["dis_fast", "9.10"]], 1)))
    \begin{tabular}{lr}
    \hline
    method & Fl-all \\
    \hline
    dis\_fast & 9.10 \\
    \hline
    \end{tabular}
    """
    lines = [
        " & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in (shown.header, *shown.rows)
    ]
    kinds = "l" * shown.labels + "r" * (len(shown.header) - shown.labels)
    notes = [note.translate(_LATEX) for note in shown.notes]
    table = [rf"\begin{{tabular}}{{{kinds}}}", r"\hline", lines[0], r"\hline", *lines[1:], r"\hline"]
    return "\n".join([*table, r"\end{tabular}", *(f"\n{note}" for note in notes)])


def as_text(shown: Shown) -> str:
    """Return plain text in columns, figures to the right.

    Examples
    --------
    >>> print(as_text(Shown(["method", "EPE"], [["zero", "4.25"], ["farneback", "1.67"]], 1)))
    method      EPE
    ---------------
    zero       4.25
    farneback  1.67
    """
    lines = [shown.header, *shown.rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(shown.header))]
    said = [
        "  ".join(
            cell.ljust(width) if at < shown.labels else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([said[0], rule, *said[1:], *(f"\n{note}" for note in shown.notes)])


ALL_PAIRS = "all"
_WORDS = ("method", "model", "stage", "pair")


def csv_text(report: Mapping[str, Any]) -> str:
    """Return all figures of a report, a line a method, stage and pair; pair "all" has those of the data set.

    Parameters
    ----------
    report
        As `benchmarks.flow.runner.run` returns it.
    """
    rows = [dict(row, pair=ALL_PAIRS) for row in report["rows"]] + list(report["per_pair"])
    figures = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    steps = list(dict.fromkeys(step for row in rows for step in row["seconds"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_WORDS, "density", *figures, *(f"seconds {step}" for step in steps)])
    for row in rows:
        cells = [row[word] for word in _WORDS] + [row["density"]]
        writer.writerow(
            cells
            + [row["metrics"].get(name) for name in figures]
            + [row["seconds"].get(step) for step in steps]
        )
    return text.getvalue()


def write_csv(path: FilePath, report: Mapping[str, Any]) -> None:
    """Write `csv_text`, whole or not at all.

    Raises
    ------
    PatchBatchError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(csv_text(report), encoding="utf-8")
