"""What the fraction of a pixel brings: errors of matches with the quadratic fit and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.matching.figures import WRONG_PX, JudgedPair
from benchmarks.report import markdown, number

FIGURES = ("whole-mean", "fit-mean", "whole-median", "fit-median")


def subpixel_rows(judged: Sequence[JudgedPair]) -> list[dict[str, Any]]:
    """Return a row per data set: end-point errors in px with the fit ("fit") and before it ("whole").

    They are those of the believed matches with known truth whose whole-pixel match is within 3 px of it, the
    means and medians of a pair averaged over the pairs; "matches" is the sum of their numbers.
    """
    rows = []
    for name in dict.fromkeys(pair.dataset for pair in judged):
        pairs = [pair for pair in judged if pair.dataset == name]
        chosen = [pair.kept & pair.known & (pair.whole_error <= WRONG_PX[0]) for pair in pairs]
        figures = [_figures(pair, mask) for pair, mask in zip(pairs, chosen, strict=True) if mask.any()]
        means = np.mean(figures, axis=0).tolist() if figures else [None] * len(FIGURES)
        matches = sum(int(mask.sum()) for mask in chosen)
        rows.append(
            {"dataset": name, "pairs": len(pairs), "matches": matches}
            | dict(zip(FIGURES, means, strict=True))
        )
    return rows


def _figures(pair: JudgedPair, mask: NDArray[np.bool_]) -> list[float]:
    whole, fit = pair.whole_error[mask], pair.error[mask]
    return [whole.mean(), fit.mean(), float(np.median(whole)), float(np.median(fit))]


def format_subpixel(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    heading = (
        "end-point error in px of the default method's believed matches within 3 px, "
        "in whole pixels and with the quadratic fit"
    )
    header = ("data set", "matches", "mean, whole", "mean, fit", "median, whole", "median, fit")
    cells = [[row["dataset"], row["matches"], *(number(row[name], 3) for name in FIGURES)] for row in rows]
    return markdown(header, cells, heading=heading)
