"""How well a probability finds the pixels that the second image does not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Mask
from patchbatch.data.datasets.pairs import Truth

Values = NDArray[np.float64]

STEPS = 100
THRESHOLDS = np.arange(STEPS + 1) / STEPS
MIDDLE = STEPS // 2
NO_TRUTH, NOC, MASK = "", "noc", "mask + frame"


class Unseen(NamedTuple):
    """Pixels that the second image does not show, `(H, W)` bool, and whose word that is."""

    mask: Mask
    source: str


@dataclass(frozen=True)
class Detection:
    """What is told at each threshold, of one pair or of several that weigh the same; shares of all pixels.

    Attributes
    ----------
    told
        `(STEPS + 1,)`, pixels whose probability is at least `THRESHOLDS`.
    right
        `(STEPS + 1,)`, those of them that are not seen.
    unseen
        Pixels that are not seen.
    """

    told: Values
    right: Values
    unseen: float


def leaves_frame(flow: NDArray[np.floating]) -> Mask:
    """Tell which pixels a flow `(H, W, 2)` takes out of the frame, `(H, W)` bool."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    x2, y2 = x + flow[..., 0], y + flow[..., 1]
    inside = (x2 >= 0) & (y2 >= 0) & (x2 <= width - 1) & (y2 <= height - 1)
    return np.asarray(~inside)


def unseen_of(truth: Truth) -> Unseen | None:
    """Return what the data set says is not seen; None where it says nothing.

    KITTI: the pixels of `flow_occ` that are not in `flow_noc`. Sintel: its occlusion mask, and what the true
    flow takes out of the frame, of which the mask marks a part only.
    """
    if truth.noc is not None:
        return Unseen(truth.valid & ~truth.noc, NOC)
    if truth.occluded is not None:
        return Unseen(truth.occluded | leaves_frame(truth.flow), MASK)
    return None


def detection_of(probability: NDArray[np.floating], unseen: Mask) -> Detection:
    """Compare the probability of some pixels, `(N,)` in [0, 1], with the truth `(N,)`; N is at least 1."""
    # In float32 some thresholds lie a little below themselves.
    level = np.floor(np.clip(probability.astype(np.float64), 0, 1) * STEPS + 1e-5).astype(np.intp)
    told, right = (
        np.bincount(level, weights, STEPS + 1)[::-1].cumsum()[::-1] / len(level)
        for weights in (np.ones(len(level)), unseen.astype(np.float64))
    )
    return Detection(told, right, float(unseen.mean()))


def joined(parts: Sequence[Detection]) -> Detection:
    """Join pairs, each weighing the same."""
    told, right = (np.mean([getattr(part, name) for part in parts], axis=0) for name in ("told", "right"))
    return Detection(told, right, float(np.mean([part.unseen for part in parts])))


def f_measure(detection: Detection) -> Values:
    """Return the harmonic mean of precision and recall at each threshold, 0 where nothing is found."""
    total = detection.told + detection.unseen
    return np.divide(2 * detection.right, total, out=np.zeros_like(total), where=total > 0)


def occlusion_figures(detection: Detection | None) -> dict[str, float | None]:
    """Return the figures in percent, but for the threshold `best-at`; all None without truth.

    Returns
    -------
    dict
        `unseen`, the share of pixels; `precision`, `recall` and `F` at a probability of one half; `best-F`,
        the highest over all thresholds, and `best-at`, the lowest threshold that has it.
    """
    names = ("unseen", "precision", "recall", "F", "best-F", "best-at")
    if detection is None or not detection.unseen:
        return dict.fromkeys(names) | {"unseen": None if detection is None else 0.0}
    measures = f_measure(detection)
    best, told, right = int(measures.argmax()), detection.told[MIDDLE], detection.right[MIDDLE]
    figures = (
        100 * detection.unseen,
        100 * float(right / told) if told else None,
        100 * float(right / detection.unseen),
        100 * float(measures[MIDDLE]),
        100 * float(measures[best]),
        float(THRESHOLDS[best]),
    )
    return dict(zip(names, figures, strict=True))
