"""Score the matches of one pair against its truth, on the grid of seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import endpoint_error
from flow.matching.confidence import confidence_features
from flow.matching.filtering import two_way_error
from flow.matching.seeds import DenseMatches
from flow.matching.settings import MatchingSettings
from flow.matching.stage import judge
from patchbatch.data.datasets.pairs import Truth

Mask = NDArray[np.bool_]

WRONG_PX = (3, 1)
FIGURES = ("coverage", "wrong>3px", "wrong>1px", "seen-coverage", "seen-wrong>3px", "seen-wrong>1px")


@dataclass(frozen=True)
class JudgedPair:
    """The answer of one method for one pair, seed by seed; all arrays are `(G, W)`.

    Attributes
    ----------
    dataset, pair, method
        Names.
    error
        px from the truth, 0 where that is not known.
    whole_error
        The same for the whole pixel nearest to each match: what it was before the fraction was fitted.
    known, seen
        Seeds whose truth is known; of these, those that both images show.
    found, kept
        Seeds with a match; with one that the matching stage believes.
    confidence
        In [0, 1], and the three features that it is a function of, `(G, W, 3)`.
    seconds
        "describe" and "match".
    """

    dataset: str
    pair: str
    method: str
    error: NDArray[np.float64]
    whole_error: NDArray[np.float64]
    known: Mask
    seen: Mask
    found: Mask
    kept: Mask
    confidence: NDArray[np.float32]
    features: NDArray[np.float64]
    seconds: dict[str, float]

    @property
    def right(self) -> Mask:
        """Known seeds whose match is within 3 px of the truth."""
        return self.known & (self.error <= WRONG_PX[0])


def judge_pair(
    labels: tuple[str, str, str], dense: DenseMatches, truth: Truth, seconds: dict[str, float],
    settings: MatchingSettings | None = None,
) -> JudgedPair:  # fmt: skip
    """Compare the answer for a pair with its truth.

    Parameters
    ----------
    labels
        Data set, pair and method.
    dense
        Both directions, the seeds of the full image.
    truth
        Of the same size. Pixels of Sintel's `invalid` mask do not count.
    seconds
        See `JudgedPair`.
    settings
        What decides about belief and confidence; None takes the defaults.
    """
    settings = settings or MatchingSettings()
    forward = dense.forward
    x, y = np.moveaxis(forward.points.astype(np.intp), -1, 0)
    known, seen = (mask[y, x] for mask in known_and_seen(truth))
    kept, confidence = judge(dense, settings)
    features = confidence_features(
        forward.cost, forward.second_cost, two_way_error(forward, dense.backward, settings.check_reach)
    )
    error, whole_error = (
        np.where(known, endpoint_error(vectors, truth.flow[y, x]), 0)
        for vectors in (forward.vectors, np.rint(forward.vectors))
    )
    found = np.isfinite(forward.cost)
    return JudgedPair(*labels, error, whole_error, known, seen, found, kept, confidence, features, seconds)


def known_and_seen(truth: Truth) -> tuple[Mask, Mask]:
    """Return which pixels have truth, and which of them the second image shows as well, both `(H, W)`.

    Where the data set does not tell what is hidden, a target inside the second image counts as seen.
    """
    known = truth.valid if truth.invalid is None else truth.valid & ~truth.invalid
    visible = known if truth.visible is None else known & truth.visible
    height, width = known.shape
    y, x = np.mgrid[:height, :width]
    x2, y2 = x + truth.flow[..., 0], y + truth.flow[..., 1]
    inside = (x2 >= 0) & (y2 >= 0) & (x2 <= width - 1) & (y2 <= height - 1)
    return known, visible & inside


def pair_figures(judged: JudgedPair, chosen: Mask) -> dict[str, float | None]:
    """Return `FIGURES` of the chosen matches in percent; None for a share of nothing.

    `coverage` is a share of the whole grid and `wrong` of the matches with known truth, hidden pixels
    included, as the figures of the original coarse-to-fine program are counted; the `seen` ones keep to
    what both images show.
    """
    wrong = [judged.error > limit for limit in WRONG_PX]
    return {
        "coverage": percent(chosen, np.ones_like(chosen)),
        "wrong>3px": percent(wrong[0], chosen & judged.known),
        "wrong>1px": percent(wrong[1], chosen & judged.known),
        "seen-coverage": percent(chosen, judged.seen),
        "seen-wrong>3px": percent(wrong[0], chosen & judged.seen),
        "seen-wrong>1px": percent(wrong[1], chosen & judged.seen),
    }


def percent(mask: Mask, of: Mask) -> float | None:
    """Return the share of a region in percent that a mask holds; None of an empty region."""
    return 100 * float(mask[of].mean()) if of.any() else None


def mean_figures(figures: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the means over pairs of all figures, of the pairs that have them."""
    means: dict[str, float | None] = {}
    for name in figures[0]:
        values = [value for pair in figures if (value := pair[name]) is not None]
        means[name] = statistics.fmean(values) if values else None
    return means


def threshold_for(pairs: Sequence[JudgedPair], coverage: float) -> float:
    """Return the confidence that leaves a mean coverage of the grids of at least so many percent.

    Of the matches that are believed; 0 where there are too few of them.
    """
    confidence = np.concatenate([pair.confidence[pair.kept] for pair in pairs])
    share = np.concatenate([np.full(pair.kept.sum(), 100 / pair.kept.size / len(pairs)) for pair in pairs])
    order = np.argsort(-confidence, kind="stable")
    reached = np.searchsorted(np.cumsum(share[order]), coverage - 1e-9)
    return float(confidence[order[reached]]) if reached < len(order) else 0.0
