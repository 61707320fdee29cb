"""The numbers behind the charts: small ones for a pair, which add up to those of any number of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.confidence.causes import motion_border
from benchmarks.confidence.ranking import CURVE_POINTS, ideal_curve, risk_curve, sampled
from benchmarks.metrics import Field, counted_pixels, dense_result, endpoint_error, is_outlier
from patchbatch.data.datasets.pairs import Truth

Values = NDArray[np.float64]
Indices = NDArray[np.intp]

# Quarter octaves from 1/16 to 64 px; 3 px, the limit of the KITTI programs, is added to them.
THRESHOLDS_PX = np.sort(np.append(2.0 ** (np.arange(-16, 25) / 4), 3.0))
# Where the steps of true length and of distance to a motion border begin; the last one has no end.
LENGTHS_PX = (0, 1, 2, 5, 10, 20, 40, 80, 160)
DISTANCES_PX = (0, 1, 2, 5, 10, 20, 40, 80)
COVERAGE = np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
SEEN = ("seen", "not seen")


@dataclass(frozen=True)
class Groups:
    """The pixels of a pair that count, N of them, and the groups they belong to; the same for all methods.

    Attributes
    ----------
    counted
        `(H, W)` bool.
    steps
        By the name of a chart, `(N,)`, the step that a pixel belongs to, and how many steps there are.
        `"length"` and `"border"`; where the data set tells also `"seen"`: 0 in the second frame too, 1 not.
    """

    counted: NDArray[np.bool_]
    steps: dict[str, tuple[Indices, int]]


def groups_of(truth: Truth, *, keep_invalid: bool = False) -> Groups:
    """Sort the pixels of a pair by true length, distance to the nearest motion border, and visibility."""
    counted = counted_pixels(truth, keep_invalid=keep_invalid)
    length = endpoint_error(truth.flow, np.zeros_like(truth.flow))[counted]
    steps = {
        "length": (_step(length, LENGTHS_PX), len(LENGTHS_PX)),
        "border": (_step(_border_distance(truth)[counted], DISTANCES_PX), len(DISTANCES_PX)),
    }
    if truth.visible is not None:
        steps["seen"] = ((~truth.visible[counted]).astype(np.intp), len(SEEN))
    return Groups(counted, steps)


def _step(values: Values, starts: Sequence[float]) -> Indices:
    return np.asarray(np.digitize(values, starts) - 1, np.intp)


def _border_distance(truth: Truth) -> Field:
    """Return the distance to the nearest motion border in px, `(H, W)`; infinite where there is none."""
    border = motion_border(truth.flow, truth.valid)
    if not border.any():
        return np.full(border.shape, np.inf)
    distance: Field = ndimage.distance_transform_edt(~border)
    return distance


@dataclass(frozen=True)
class PairCurves:
    """What one result on one pair adds to the charts; lists of numbers, ready for JSON.

    Attributes
    ----------
    epe
        Mean error in px; None if no pixel counts, as the curves then.
    within
        Share of the pixels whose error is at most `THRESHOLDS_PX`.
    steps
        By the name of a chart, the sum of errors in px and the number of pixels of every step.
    risk, ideal
        Share of outliers by KITTI's rule among the most confident pixels at `COVERAGE`, and the lowest there
        can be; None without a confidence.
    """

    epe: float | None
    within: list[float] | None
    steps: dict[str, list[list[float]]]
    risk: list[float] | None = None
    ideal: list[float] | None = None


def curves_of(
    truth: Truth,
    groups: Groups,
    flow: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
    confidence: NDArray[np.floating] | None = None,
) -> PairCurves:
    """Measure a result on the pixels that count; holes are filled as the tables fill them.

    Parameters
    ----------
    truth, groups
        Of the pair.
    flow, valid
        As for `benchmarks.metrics.score`.
    confidence
        `(H, W)`, higher is surer; None where there is none.

    Raises
    ------
    PatchBatchError
        If the result has not the size of the truth.
    """
    filled, _ = dense_result(truth, flow, valid)
    error_map = endpoint_error(filled, truth.flow)
    error = error_map[groups.counted]
    if not len(error):
        return PairCurves(None, None, {})
    within = np.searchsorted(np.sort(error), THRESHOLDS_PX, side="right") / len(error)
    steps = {
        name: np.stack([np.bincount(step, error, count), np.bincount(step, minlength=count)], axis=1).tolist()
        for name, (step, count) in groups.steps.items()
    }
    measured = float(error.mean()), within.tolist(), steps
    if confidence is None:
        return PairCurves(*measured)
    outlier = is_outlier(error_map, truth.flow)[groups.counted]
    risk = sampled(risk_curve(confidence[groups.counted], outlier))
    return PairCurves(*measured, risk.tolist(), sampled(ideal_curve(outlier)).tolist())


class CurveSum:
    """The curves of many pairs, added one by one.

    Curves over thresholds and coverage are means over the pairs that have them, every pair weighing the same.
    The mean errors of steps pool the pixels of all pairs, as Sintel's figures by speed do: a pair with three
    fast pixels says little about fast pixels.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Values] = {}
        self._pairs: dict[str, int] = {}
        self._steps: dict[str, Values] = {}

    def add(self, curves: PairCurves) -> None:
        """Add one pair."""
        for name in ("within", "risk", "ideal"):
            values = getattr(curves, name)
            if values is not None:
                self._sums[name] = self._sums.get(name, 0.0) + np.asarray(values, np.float64)
                self._pairs[name] = self._pairs.get(name, 0) + 1
        for name, parts in curves.steps.items():
            self._steps[name] = self._steps.get(name, 0.0) + np.asarray(parts, np.float64)

    def mean(self, name: str) -> list[float] | None:
        """Return "within", "risk" or "ideal" of the mean pair; None if no pair has it."""
        return (self._sums[name] / self._pairs[name]).tolist() if name in self._sums else None

    def errors(self, name: str) -> list[float | None] | None:
        """Return the mean error in px of every step of a chart, None for an empty one; None without any."""
        if name not in self._steps:
            return None
        return [total / pixels if pixels else None for total, pixels in self._steps[name].tolist()]

    def shares(self, name: str) -> list[float] | None:
        """Return the share of the pixels that each step has, in [0, 1]; None without any."""
        if name not in self._steps:
            return None
        pixels = self._steps[name][:, 1]
        shares: list[float] = (pixels / pixels.sum()).tolist()
        return shares
