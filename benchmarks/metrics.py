"""The figures of the official flow benchmarks, as their evaluation programs define them.

Every figure is a sum over pixels divided by a number of pixels. `score` keeps both for one pair, and
`summarise` joins the pairs, either by pooling the pixels of all pairs or as the mean of the pairs'
own figures; which one is fixed per figure, because the official programs differ:

===================================  ========================================================
`EPE`, `Out-*`, `Avg-*`, `AAE`, `R*`  mean over the pairs (KITTI 2012, Middlebury); the density too
`Fl-*`, `EPE-*`, `d*`, `s*`           pooled over the pixels of all pairs (KITTI 2015, Sintel, FlyingChairs)
`Fl-all-per-image`                    the mean over the pairs of what `Fl-all` pools
===================================  ========================================================

Shares are in percent, lengths in pixels, angles in degrees. A figure without any pixel is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.holes import fill_holes
from patchbatch.data.datasets.pairs import Truth
from patchbatch.errors import PatchBatchError

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]

SUBMITTED = " (submitted)"
DENSITY = "density"

KITTI_THRESHOLDS_PX = (1, 2, 3, 4, 5)
OUTLIER_PX = 3.0
OUTLIER_SHARE = 0.05
MIDDLEBURY_THRESHOLDS_PX = (0.5, 1, 2)
# [from, to): the interval ends are our convention, the server's program is not public.
SINTEL_DISTANCES_PX = ((0, 10), (10, 60), (60, 140))
SINTEL_SPEEDS_PX = ((0, 10), (10, 40), (40, np.inf))

_BOTH_RULES = {"EPE": ("EPE", "EPE-pooled"), "Fl-all": ("Fl-all-per-image", "Fl-all")}
_POOLED = re.compile(r"Fl-|EPE-|[ds]\d")


class Tally(NamedTuple):
    """A figure before the division: the sum over `pixels` pixels."""

    total: float
    pixels: int


def tally(values: Field | Mask, region: Mask) -> Tally:
    """Sum `(H, W)` values over a region `(H, W)`; a bool counts 100, so that its share is in percent."""
    chosen = values[region]
    total = 100.0 * np.count_nonzero(chosen) if chosen.dtype == np.bool_ else chosen.sum()
    return Tally(float(total), int(np.count_nonzero(region)))


def endpoint_error(flow: NDArray[np.floating], truth: NDArray[np.floating]) -> Field:
    """Distance between two flows `(..., 2)` in pixels, `(...)` float64."""
    difference = flow.astype(np.float64) - truth
    error: Field = np.hypot(difference[..., 0], difference[..., 1])
    return error


def angular_error(flow: NDArray[np.floating], truth: NDArray[np.floating]) -> Field:
    """Angle between (u, v, 1) and (u', v', 1) in degrees, `(...)` float64.

    Source: Barron, Fleet, Beauchemin 1994, as on the Middlebury page; pixels that truly stand still count.
    """
    a, b = flow.astype(np.float64), truth.astype(np.float64)
    lengths = np.sqrt((1 + (a * a).sum(-1)) * (1 + (b * b).sum(-1)))
    # Rounding takes the cosine of equal vectors a little above 1, where arccos is not defined.
    angle: Field = np.degrees(np.arccos(np.clip((1 + (a * b).sum(-1)) / lengths, -1.0, 1.0)))
    return angle


def is_outlier(error: Field, truth: NDArray[np.floating]) -> Mask:
    """Tell which errors exceed 3 px **and** 5 % of the true length (KITTI 2015), `(H, W)` bool.

    Where the true flow `(H, W, 2)` has length 0 only the 3 px count.
    """
    length = np.hypot(truth[..., 0], truth[..., 1], dtype=np.float64)
    share = np.divide(error, length, out=np.full_like(error, np.inf), where=length > 0)
    outlier: Mask = (error > OUTLIER_PX) & (share > OUTLIER_SHARE)
    return outlier


def occlusion_distance(occluded: Mask) -> Field:
    """Distance of each pixel to the nearest occlusion boundary in pixels, `(H, W)` float64.

    A boundary pixel is one whose label differs from a 4-neighbour's; without any the distance is infinite.
    """
    boundary = np.zeros_like(occluded)
    across, down = occluded[:, 1:] != occluded[:, :-1], occluded[1:] != occluded[:-1]
    boundary[:, 1:] |= across
    boundary[:, :-1] |= across
    boundary[1:] |= down
    boundary[:-1] |= down
    if not boundary.any():
        return np.full(occluded.shape, np.inf)
    distance: Field = ndimage.distance_transform_edt(~boundary)
    return distance


def _common(truth: Truth, error: Field, region: Mask) -> dict[str, Tally]:
    outlier = is_outlier(error, truth.flow)
    tallies = {
        "EPE": tally(error, region),
        "Fl-all": tally(outlier, region),
        "Out-All": tally(error > OUTLIER_PX, region),
    }
    if truth.visible is not None:
        seen = region & truth.visible
        tallies |= {"Out-Noc": tally(error > OUTLIER_PX, seen), "Fl-noc": tally(outlier, seen)}
    return tallies


def _kitti2012(truth: Truth, _flow: Field, error: Field, region: Mask) -> dict[str, Tally]:
    regions = {"All": region} | ({} if truth.noc is None else {"Noc": region & truth.noc})
    tallies = {}
    for name, part in regions.items():
        for threshold in KITTI_THRESHOLDS_PX:
            tallies[f"Out-{name}-{threshold}px"] = tally(error > threshold, part)
        tallies[f"Avg-{name}"] = tally(error, part)
    return tallies


def _kitti2015(truth: Truth, _flow: Field, error: Field, region: Mask) -> dict[str, Tally]:
    if truth.foreground is None:
        return {}
    outlier = is_outlier(error, truth.flow)
    return {
        "Fl-bg": tally(outlier, region & ~truth.foreground),
        "Fl-fg": tally(outlier, region & truth.foreground),
    }


def _sintel(truth: Truth, _flow: Field, error: Field, region: Mask) -> dict[str, Tally]:
    speed = endpoint_error(truth.flow, np.zeros_like(truth.flow))
    tallies = {}
    for low, high in SINTEL_SPEEDS_PX:
        name = f"s{low}-{high}" if np.isfinite(high) else f"s{low}+"
        tallies[name] = tally(error, region & (speed >= low) & (speed < high))
    if truth.occluded is not None:
        tallies["EPE-matched"] = tally(error, region & ~truth.occluded)
        tallies["EPE-unmatched"] = tally(error, region & truth.occluded)
        distance = occlusion_distance(truth.occluded)
        for low, high in SINTEL_DISTANCES_PX:
            tallies[f"d{low}-{high}"] = tally(error, region & (distance >= low) & (distance < high))
    return tallies


def _middlebury(truth: Truth, flow: Field, error: Field, region: Mask) -> dict[str, Tally]:
    tallies = {f"R{threshold}": tally(error > threshold, region) for threshold in MIDDLEBURY_THRESHOLDS_PX}
    return tallies | {"AAE": tally(angular_error(flow, truth.flow), region)}


OFFICIAL = {"kitti2012": _kitti2012, "kitti2015": _kitti2015, "sintel": _sintel, "middlebury": _middlebury}
"""What public benchmarks report besides what all do: (truth, flow, error, region) -> tallies."""


def tallies_of(benchmark: str, truth: Truth, flow: Field, region: Mask) -> dict[str, Tally]:
    """Tally every figure of a public benchmark for one pair.

    Parameters
    ----------
    benchmark
        Its own figures are added to those that all have; one without any is no key of `OFFICIAL`.
    truth
        Ground truth.
    flow
        `(H, W, 2)` float64, pixels; a value everywhere.
    region
        `(H, W)` bool, the pixels that count.
    """
    error = endpoint_error(flow, truth.flow)
    own = OFFICIAL.get(benchmark)
    tallies = _common(truth, error, region)
    return tallies if own is None else tallies | own(truth, flow, error, region)


def counted_pixels(truth: Truth, *, keep_invalid: bool = False) -> Mask:
    """Return the pixels that count, `(H, W)` bool: truth is known, and Sintel does not call it `invalid`.

    With `keep_invalid` the pixels of that mask count too.
    """
    return truth.valid if truth.invalid is None or keep_invalid else truth.valid & ~truth.invalid


def dense_result(truth: Truth, flow: NDArray[np.floating], valid: Mask | None = None) -> tuple[Field, Mask]:
    """Return a result as it is scored, `(H, W, 2)` with its holes filled, and where it had a value `(H, W)`.

    Parameters are those of `score`.

    Raises
    ------
    PatchBatchError
        If the result has not the size of the truth.
    """
    if flow.shape != truth.flow.shape or (valid is not None and valid.shape != truth.valid.shape):
        size, expected = ("x".join(map(str, field.shape[:2])) for field in (flow, truth.flow))
        raise PatchBatchError(f"the flow is {size} but the ground truth {expected}; compute it at full size")
    submitted = np.isfinite(flow).all(axis=-1) if valid is None else valid & np.isfinite(flow).all(axis=-1)
    return fill_holes(flow, submitted), submitted


def score(
    benchmark: str,
    truth: Truth,
    flow: NDArray[np.floating],
    valid: Mask | None = None,
    *,
    keep_invalid: bool = False,
) -> dict[str, Tally]:
    """Tally all figures of one result.

    Each figure is there twice: over all pixels with ground truth, holes filled as the KITTI programs fill
    them, and with `" (submitted)"` behind its name over those of them that the result has a value for.
    Values that are not finite count as not submitted.

    Parameters
    ----------
    benchmark
        Whose figures are wanted, `judged_as` of the data set.
    truth
        Ground truth of the pair.
    flow
        `(H, W, 2)`, the result in pixels.
    valid
        `(H, W)` bool, pixels that the result has a value for; None = all.
    keep_invalid
        Count the pixels of Sintel's `invalid` mask too, as some published validations do.

    Raises
    ------
    PatchBatchError
        If the result has not the size of the truth.
    """
    filled, submitted = dense_result(truth, flow, valid)
    region = counted_pixels(truth, keep_invalid=keep_invalid)
    tallies = {DENSITY: tally(submitted, region)} | tallies_of(benchmark, truth, filled, region)
    on_own_pixels = tallies_of(benchmark, truth, filled, region & submitted)
    return tallies | {name + SUBMITTED: value for name, value in on_own_pixels.items()}


def _names_and_rules(name: str) -> tuple[tuple[str, bool], ...]:
    """Return the published names of a tallied figure, each with whether it pools pixels."""
    base = name.removesuffix(SUBMITTED)
    suffix = name[len(base) :]
    if base in _BOTH_RULES:
        per_image, pooled = _BOTH_RULES[base]
        return ((per_image + suffix, False), (pooled + suffix, True))
    return ((name, _POOLED.match(base) is not None),)


def rule_of(figure: str) -> tuple[str, bool]:
    """Return the tally that a published figure is made of, and whether it pools the pixels of all pairs.

    Examples
    --------
    >>> rule_of("Fl-all"), rule_of("Fl-all-per-image"), rule_of("Out-Noc")
    (('Fl-all', True), ('Fl-all', False), ('Out-Noc', False))
    """
    for name, (per_image, pooled) in _BOTH_RULES.items():
        if figure in (per_image, pooled):
            return name, figure == pooled
    return figure, _POOLED.match(figure) is not None


def summarise(scores: Sequence[dict[str, Tally]]) -> dict[str, float]:
    """Join the tallies of several pairs into the figures of the data set.

    A pair without pixels for a figure does not take part in it. Where every result is dense, the figures
    over submitted pixels are the same as the others and left out.
    """
    figures: dict[str, float] = {}
    for name in dict.fromkeys(name for pair in scores for name in pair):
        parts = [pair[name] for pair in scores if name in pair and pair[name].pixels]
        if not parts:
            continue
        pooled = sum(part.total for part in parts) / sum(part.pixels for part in parts)
        mean = sum(part.total / part.pixels for part in parts) / len(parts)
        for published, pools in _names_and_rules(name):
            figures[published] = pooled if pools else mean
    if figures.get(DENSITY) == 100.0:
        figures = {name: value for name, value in figures.items() if not name.endswith(SUBMITTED)}
    return figures
