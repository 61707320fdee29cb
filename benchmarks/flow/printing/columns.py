"""Which figures a table shows, and what they are called there; nothing here is slow to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from patchbatch.data.datasets.table import DATASETS
from patchbatch.tables import Entry, Table

COLUMNS = Table(
    "choice of columns",
    [
        Entry("papers", "those that the papers of the data set print"),
        Entry("all", "every figure there is"),
    ],
)

# What the papers of a data set call a figure, where it is not the name that it has here.
_SINTEL_TITLES = {"EPE-pooled": "EPE all", "EPE-matched": "EPE matched", "EPE-unmatched": "EPE unmatched"}
_TITLES: Mapping[str, Mapping[str, str]] = {"sintel": _SINTEL_TITLES, "chairs": {"EPE-pooled": "EPE"}}


def figures_shown(dataset: str, rows: Sequence[Mapping[str, Any]], columns: str = "papers") -> list[str]:
    """Return the figures that a table of these rows shows, in their order: those that any row has.

    Parameters
    ----------
    dataset
        A name of `DATASETS`.
    rows
        Of a report, with `metrics`.
    columns
        A name of `COLUMNS`.
    """
    there = dict.fromkeys(name for row in rows for name in row["metrics"])
    papers = [name for name in DATASETS[dataset].figures if name in there]
    return papers if columns == "papers" else [*papers, *(name for name in there if name not in papers)]


def title_of(dataset: str, figure: str, columns: str = "papers") -> str:
    """Return what a figure is called in a table; among all figures each has its own name."""
    titles = _TITLES.get(DATASETS[dataset].judged_as, {}) if columns == "papers" else {}
    return titles.get(figure, figure)


def decimals_of(figure: str) -> int:
    """Return how many decimals of a figure mean something: shares in percent have two, pixels three."""
    return 2 if figure.startswith(("Fl-", "Out-", "R", "AAE")) else 3
