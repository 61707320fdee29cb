"""What the figures of single pairs come to: means over data sets, common errors, errors by motion."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.descriptors.metrics import FIGURES, Scored

# Raw errors are also counted by length of the motion, from each of these to the next.
MOTION_PX = (0, 10, 20, 40, 80)


@dataclass(frozen=True)
class PairScore:
    """How one descriptor did on one pair, with the seconds to describe all pixels of image 2."""

    descriptor: str
    dataset: str
    pair: str
    dimension: int
    scored: Scored
    motion: NDArray[np.floating]  # (N,), px, of the points
    seconds: float

    @property
    def points(self) -> int:
        """Number of points."""
        return len(self.scored.wrong)


def summary_rows(scores: Sequence[PairScore]) -> list[dict[str, Any]]:
    """Join the pairs: one row per data set and descriptor, in the order they were run."""
    return [_row(group) for group in _grouped(scores).values()]


def per_pair(scores: Sequence[PairScore]) -> list[dict[str, Any]]:
    """Return a row for every pair and descriptor."""
    return [_row([score], pair=score.pair) for score in scores]


def _grouped(scores: Sequence[PairScore]) -> dict[tuple[str, str], list[PairScore]]:
    groups: dict[tuple[str, str], list[PairScore]] = {}
    for score in scores:
        groups.setdefault((score.dataset, score.descriptor), []).append(score)
    return groups


def all_wrong(scores: Sequence[PairScore]) -> dict[str, float]:
    """Return by data set how many points (percent, mean over pairs) no descriptor gets right.

    What a better descriptor of this kind can still gain lies between this and its raw error.
    """
    pairs: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for score in scores:
        known = pairs.setdefault((score.dataset, score.pair), score.scored.wrong)
        pairs[score.dataset, score.pair] = known & score.scored.wrong
    shares: dict[str, list[float]] = {}
    for (dataset, _), wrong in pairs.items():
        shares.setdefault(dataset, []).append(100 * float(wrong.mean()))
    return {dataset: statistics.fmean(values) for dataset, values in shares.items()}


def by_motion(scores: Sequence[PairScore]) -> list[dict[str, Any]]:
    """Return raw errors by length of the true motion, a row per data set and descriptor.

    A row holds a list for each of "points", their share of all (percent), and "raw-error" (percent of them,
    None where there are none), in the order of the ranges of `MOTION_PX`. Points of all pairs together.
    """
    rows = []
    for (dataset, descriptor), group in _grouped(scores).items():
        lengths = np.concatenate([score.motion for score in group])
        wrong = np.concatenate([score.scored.wrong for score in group])
        ranges = [(lengths >= low) & (lengths < high) for low, high in pairwise((*MOTION_PX, np.inf))]
        rows.append(
            {
                "descriptor": descriptor,
                "dataset": dataset,
                "points": [100 * float(chosen.mean()) for chosen in ranges],
                "raw-error": [100 * float(wrong[c].mean()) if c.any() else None for c in ranges],
            }
        )
    return rows


def _row(group: Sequence[PairScore], **more: str) -> dict[str, Any]:
    first = group[0]
    return {
        "descriptor": first.descriptor,
        "dataset": first.dataset,
        **more,
        "points": sum(score.points for score in group),
        "dimension": first.dimension,
        **{name: statistics.fmean(score.scored.figures[name] for score in group) for name in FIGURES},
        "seconds": statistics.fmean(score.seconds for score in group),
    }
