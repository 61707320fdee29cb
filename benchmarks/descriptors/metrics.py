"""How well descriptors find the true match: figures of one pair, on points drawn once for all descriptors.

Distances are L2. They come from float32 matrix products of the stored descriptors (integers such as
SIFT's or census bits stay exact), and of equal distances the lowest pixel index is taken as the nearest.
The figures, all in percent; the match is the pixel of image 2 nearest to the truth:

=============  ===================================================================================
`rank1@Tpx`    the nearest descriptor among all pixels of image 2 within 64 px of the match, on both
               axes, lies at most T px from the truth; higher is better
`fpr95`        negatives (10 per point, uniform, at least 10 px from the truth) no farther than the
               distance that 95 % of the matches reach: false positives at 95 % recall
`near-miss`    pixels of image 2 that are 2 to 8 px from the truth and yet no farther in descriptor
               space than the match, of all such pixels
`raw-error`    the nearest descriptor in the whole image 2, or in a window around the point itself,
               lies more than 3 px from the truth
=============  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.metrics import endpoint_error
from flow.matching.exact.search import squared_distances
from patchbatch.data.datasets.pairs import Truth
from patchbatch.errors import PatchBatchError

RANK_WINDOW_PX = 64
RANK_THRESHOLDS_PX = (1, 2, 3)
RECALL = 0.95
NEGATIVES_PER_POINT = 10
NEGATIVE_LEAST_PX = 10.0
NEAR_MISS_PX = (2.0, 8.0)
RAW_ERROR_PX = 3.0
FIGURES = (*(f"rank1@{threshold}px" for threshold in RANK_THRESHOLDS_PX), "fpr95", "near-miss", "raw-error")

# In smaller images too few pixels are far enough away to serve as negatives.
LEAST_SIDE = 32
# Distances of so many points to all pixels live at once (240 MB for a KITTI image), ...
POINTS_AT_ONCE = 128
# ... computed from so many pixels at a time, which is what is widened to float32 (64 MB for 512 numbers).
PIXELS_AT_ONCE = 32768

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Scored:
    """How one descriptor did on one pair: `FIGURES` in percent, and `(N,)` bool, the raw errors."""

    figures: dict[str, float]
    wrong: NDArray[np.bool_]


@dataclass(frozen=True)
class Samples:
    """Points of one pair with what is true about them.

    Attributes
    ----------
    points
        `(N, 2)` int64, x then y in image 1.
    targets
        `(N, 2)` float64, x then y, the true places in image 2.
    negatives
        `(N, NEGATIVES_PER_POINT, 2)` int64, x then y of pixels of image 2 that are not the match.
    """

    points: NDArray[np.int64]
    targets: NDArray[np.float64]
    negatives: NDArray[np.int64]

    @cached_property
    def matches(self) -> NDArray[np.int64]:
        """`(N, 2)` int64, x then y of the pixel of image 2 nearest to the truth."""
        return np.rint(self.targets).astype(np.int64)


def draw_samples(truth: Truth, count: int, seed: int) -> Samples:
    """Draw points whose true match is seen in image 2.

    Parameters
    ----------
    truth
        Ground truth `(H, W)`. Occluded points are left out where the data set tells them, pixels of the
        `invalid` mask and targets outside image 2 always.
    count
        How many points; all of them where there are fewer.
    seed
        The same seed draws the same points and negatives.

    Raises
    ------
    PatchBatchError
        If no point is left, or a side of the image is below `LEAST_SIDE`.
    """
    height, width = truth.valid.shape
    if min(height, width) < LEAST_SIDE:
        raise PatchBatchError(f"an image of {width}x{height} is too small; use {LEAST_SIDE} px or more")
    y, x = np.nonzero(_usable(truth))
    if not x.size:
        raise PatchBatchError("no pixel with ground truth is seen in the second image; leave this pair out")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(x.size, min(count, x.size), replace=False))
    points = np.stack([x[chosen], y[chosen]], axis=1)
    targets = (points + truth.flow[points[:, 1], points[:, 0]]).astype(np.float64)
    return Samples(points, targets, _draw_negatives(targets, (height, width), rng))


def _usable(truth: Truth) -> NDArray[np.bool_]:
    usable = truth.valid if truth.visible is None else truth.visible
    if truth.invalid is not None:
        usable = usable & ~truth.invalid
    height, width = usable.shape
    y, x = np.mgrid[:height, :width]
    x2, y2 = x + truth.flow[..., 0], y + truth.flow[..., 1]
    inside = (x2 >= 0) & (y2 >= 0) & (x2 <= width - 1) & (y2 <= height - 1)
    return np.asarray(usable & inside)


def _draw_negatives(
    targets: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw uniform pixels, those that are too close to the truth again until none is."""
    truth = np.repeat(targets, NEGATIVES_PER_POINT, axis=0)
    negatives = np.zeros(truth.shape, np.int64)
    left = np.arange(len(truth))
    while left.size:
        negatives[left] = rng.integers(0, (size[1], size[0]), (left.size, 2))
        left = left[endpoint_error(negatives[left].astype(np.float64), truth[left]) < NEGATIVE_LEAST_PX]
    return negatives.reshape(-1, NEGATIVES_PER_POINT, 2)


@torch.inference_mode()
def score_descriptors(
    samples: Samples, described1: Tensor, described2: Tensor, window: int | None = None
) -> Scored:
    """Return the figures of one descriptor on one pair, see the top of this module.

    Parameters
    ----------
    samples
        The points.
    described1
        `(N, D)`, any floating type: the descriptors of the points of image 1.
    described2
        `(H, W, D)`, on the same device: those of all pixels of image 2.
    window
        Pixels on both axes between a point and the farthest match that `raw-error` lets it take; None
        searches the whole image.

    Returns
    -------
    Scored
        Its figures have the names of `FIGURES`.
    """
    height, width = described2.shape[:2]
    tallies = [
        _tally_point(distances.view(height, width), samples, point, window)
        for point, distances in _distance_maps(described1, described2.flatten(0, 1))
    ]
    nearest, best, positives, negatives, misses = (np.array(part) for part in zip(*tallies, strict=True))
    in_window = endpoint_error(nearest, samples.targets)
    figures = {f"rank1@{limit}px": _percent(in_window <= limit) for limit in RANK_THRESHOLDS_PX}
    figures["fpr95"] = false_positive_rate(positives, negatives)
    figures["near-miss"] = 100 * float(misses[:, 0].sum() / misses[:, 1].sum())
    wrong = endpoint_error(best, samples.targets) > RAW_ERROR_PX
    figures["raw-error"] = _percent(wrong)
    return Scored(figures, wrong)


def _percent(values: NDArray[np.bool_]) -> float:
    return 100 * float(values.mean())


def false_positive_rate(
    positives: NDArray[np.floating], negatives: NDArray[np.floating], recall: float = RECALL
) -> float:
    """Return the share of negatives that pass the threshold at which `recall` of the positives do.

    Parameters
    ----------
    positives, negatives
        Distances, any shape, in one unit; a pair passes when it is no farther than the threshold, and the
        threshold is the smallest positive distance that reaches the recall.
    recall
        In (0, 1].

    Returns
    -------
    float
        In percent.
    """
    ordered = np.sort(positives, axis=None)
    threshold = ordered[int(np.ceil(recall * ordered.size)) - 1]
    return _percent(negatives <= threshold)


def _distance_maps(described1: Tensor, described2: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield each point's index and its squared distances `(P,)` to all P pixels."""
    pixels = described2.shape[0]
    starts = range(0, pixels, PIXELS_AT_ONCE)
    norms = torch.cat([described2[i : i + PIXELS_AT_ONCE].float().square().sum(dim=1) for i in starts])
    distances = torch.empty(POINTS_AT_ONCE, pixels, device=described2.device)
    for start in range(0, described1.shape[0], POINTS_AT_ONCE):
        queries = described1[start : start + POINTS_AT_ONCE].float()
        query_norms = queries.square().sum(dim=1)
        for left in starts:
            part = slice(left, left + PIXELS_AT_ONCE)
            block = described2[part].float()
            distances[: len(queries), part] = squared_distances(queries, block, query_norms, norms[part])
        for row in range(len(queries)):
            yield start + row, distances[row]


def _tally_point(
    distances: Tensor, samples: Samples, point: int, window: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], float, NDArray[np.float32], tuple[int, int]]:
    """Read from one distance map: two nearest pixels, the match's and negatives' distance, near misses."""
    match = samples.matches[point]
    nearest = _nearest_pixel(distances, _around(match, RANK_WINDOW_PX))
    everywhere = (slice(None), slice(None))
    best = _nearest_pixel(distances, everywhere if window is None else _around(samples.points[point], window))
    x, y = torch.from_numpy(samples.negatives[point].T).to(distances.device)
    true_distance = distances[match[1], match[0]]
    misses = _near_misses(distances, samples.targets[point], match, true_distance)
    return nearest, best, float(true_distance), distances[y, x].cpu().numpy(), misses


def _around(pixel: NDArray[np.int64], radius: int) -> Window:
    """Return the rows and columns within a radius of a pixel; slices end at the image by themselves."""
    x, y = (int(value) for value in pixel)
    rows, columns = (slice(max(0, value - radius), value + radius + 1) for value in (y, x))
    return rows, columns


def _nearest_pixel(distances: Tensor, window: Window) -> NDArray[np.int64]:
    part = distances[window].cpu()
    row, column = divmod(_first_lowest(part), part.shape[1])
    return np.array([column + (window[1].start or 0), row + (window[0].start or 0)])


def _first_lowest(values: Tensor) -> int:
    """Return the flat index of the first minimum; torch leaves open which of equal ones it returns."""
    return int(np.argmin(values.numpy()))


def _near_misses(
    distances: Tensor, target: NDArray[np.float64], match: NDArray[np.int64], true_distance: Tensor
) -> tuple[int, int]:
    """Count the pixels around the truth that look no less like the point than the match, and all of them."""
    closest, farthest = NEAR_MISS_PX
    rows, columns = _around(match, int(farthest) + 1)
    part = distances[rows, columns]
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    away = np.hypot(x + columns.start - target[0], y + rows.start - target[1])
    ring = (away >= closest) & (away <= farthest)
    fooled = (part <= true_distance).cpu().numpy() & ring
    return int(np.count_nonzero(fooled)), int(np.count_nonzero(ring))
