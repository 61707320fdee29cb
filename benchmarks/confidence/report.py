"""The figures of confidence and occlusion as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.confidence.causes import CAUSES
from benchmarks.report import Cell, markdown, number

TRUST = ("Fl", "ECE", "sure", "sure-wrong>3px", "sure-Fl", "AURC", "AURC-ideal", "AUSE")
OCCLUSION = ("unseen", "precision", "recall", "F", "best-F", "best-at")
WRONG = ("Fl", *CAUSES)
_DECIMALS = {"AUSE": 3, "best-at": 2, **dict.fromkeys(("precision", "recall", "F", "best-F"), 1)}


def format_tables(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return three Markdown tables with a heading each: confidence, occlusion, wrong pixels by cause.

    Parameters
    ----------
    rows
        As `benchmarks.confidence.study.run` returns them. Figures are in percent, but for AUSE and the
        threshold; what is not known is an empty cell.
    """
    labels = [[row["dataset"], row["pairs"]] for row in rows]
    trust = [[*label, *_cells(row, TRUST)] for label, row in zip(labels, rows, strict=True)]
    occluded = [
        [label[0], row["occlusion"]["truth"] or "none", label[1], *_cells(row["occlusion"], OCCLUSION)]
        for label, row in zip(labels, rows, strict=True)
    ]
    wrong = [[*label, *_cells(row, WRONG)] for label, row in zip(labels, rows, strict=True)]
    return "\n\n".join(
        (
            markdown(("dataset", "pairs", *TRUST), trust, heading="confidence"),
            markdown(("dataset", "truth", "pairs", *OCCLUSION), occluded, labels=2, heading="occlusion"),
            markdown(("dataset", "pairs", *WRONG), wrong, heading="wrong pixels by cause"),
        )
    )


def _cells(figures: Mapping[str, Any], names: Sequence[str]) -> list[Cell]:
    return [number(figures[name], _DECIMALS.get(name, 2)) for name in names]
