"""What can be chosen about the interpolation, and what the choices are called; nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from flow.interpolation.table import ESTIMATORS
from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting
from patchbatch.tables import unknown


@dataclass(frozen=True)
class InterpolationSettings(Settings):
    """How far a match speaks, and which matches are believed.

    The defaults are those of EpicFlow without a preset. Distances are geodesic: the sum of edge strength plus
    `cost_floor` over the pixels of a path.

    Attributes
    ----------
    neighbours
        Matches per local fit, itself included; more are smoother and slower.
    kernel_decay
        Per unit of geodesic distance; higher lets edges cut harder, 0 ignores distance.
    prefilter_neighbours
        Other matches that judge each match beforehand; 0 is off.
    consistency_px
        Distance from the judges' mean at which a match is dropped, unless the judges' slope explains it;
        infinite is off.
    slope_px
        Distance from the affine model of its neighbours within which a match is kept all the same, since
        motion may have a slope; 0 is off. Small: an affine model comes near much that is wrong, too.
    saliency
        Matches on flatter spots are dropped; 0 is off.
    smallest_island
        Matches that must agree in one piece to be kept; 1 is off.
    island_tolerance_px
        By how much matches of touching cells may differ in one island; more where they lie far apart.
    cost_floor
        Cost of a pixel without edge; higher prefers close matches in flat areas.
    estimator
        A name of `flow.interpolation.table.ESTIMATORS`.
    truncation_px
        Distance off a robust model at which a neighbour counts as wrong; lower bears more wrong ones.
    confidence_power
        Of a match's confidence, its weight in the fits; 0 weighs all the same.
    range_margin_px
        By how much the flow may leave the range of its neighbours' vectors; infinite is off.
    extrapolation_px
        Distance from the match at which the local model has given way to the region's; infinite is off.
    motion_edges
        Share of edges that a second pass drops where the first moves smoothly; 0 is off.
    """

    neighbours: int = setting(100, least=1)
    kernel_decay: float = setting(0.8, least=0)
    prefilter_neighbours: int = setting(25, least=0)
    consistency_px: float = setting(5.0, least=0, infinite=True, unit="px")
    slope_px: float = setting(0.0, least=0, unit="px")
    saliency: float = setting(0.045, least=0, unit="Lab units per px")
    smallest_island: int = setting(1, least=1)
    island_tolerance_px: float = setting(3.0, least=0, infinite=True, unit="px")
    cost_floor: float = setting(0.001, above=0)
    estimator: str = setting("affine")
    truncation_px: float = setting(3.0, above=0, infinite=True, unit="px")
    confidence_power: float = setting(0.0, least=0)
    range_margin_px: float = setting(math.inf, least=0, infinite=True, unit="px")
    extrapolation_px: float = setting(math.inf, above=0, infinite=True, unit="px")
    motion_edges: float = setting(0.0, least=0, most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        ESTIMATORS[self.estimator]  # refuses an unknown one


_ROBUST = InterpolationSettings(
    neighbours=160,
    kernel_decay=1.1,
    cost_floor=0.01,
    estimator="robust",
    slope_px=1.25,
    truncation_px=1.5,
    confidence_power=1.0,
    range_margin_px=20.0,
    extrapolation_px=30.0,
)
_BENCHMARKS = InterpolationSettings(neighbours=160, kernel_decay=1.1)
PRESETS = MappingProxyType(
    {
        "default": InterpolationSettings(),
        "sintel": _BENCHMARKS,
        "kitti": _BENCHMARKS,
        "middlebury": InterpolationSettings(neighbours=65, kernel_decay=0.2, prefilter_neighbours=15),
    }
)
"""The settings of EpicFlow's authors per data set: their estimator, every match weighing the same."""

ROBUST_PRESETS = MappingProxyType(
    {
        "default": _ROBUST,
        "sintel": _ROBUST,
        "kitti": replace(
            _ROBUST,
            neighbours=100,
            kernel_decay=0.3,
            cost_floor=0.02,
            smallest_island=50,
            extrapolation_px=math.inf,
        ),
        "middlebury": _ROBUST,
    }
)
"""Ours: the robust fit, confident matches first, holes filled by the region's motion.

On KITTI most edges are texture, so a match may speak across them, and the motion of the road grows faster
than any affine model of a region, so holes keep the local one. Chosen on the validation pairs.
"""


def interpolation_settings(estimator: str, preset: str) -> InterpolationSettings:
    """Return the settings that belong to an estimator on one kind of images.

    Parameters
    ----------
    estimator
        A name of `ESTIMATORS`: `"robust"` comes with the project's settings, `"affine"` and
        `"nadaraya-watson"` with EpicFlow's.
    preset
        `"default"`, `"kitti"`, `"sintel"` or `"middlebury"`.

    Raises
    ------
    PatchBatchError
        For an unknown name.

    Examples
    --------
    >>> interpolation_settings("affine", "middlebury").neighbours
    65
    """
    if preset not in PRESETS:
        raise PatchBatchError(unknown("preset", preset, PRESETS))
    presets = PRESETS if ESTIMATORS[estimator].epicflow else ROBUST_PRESETS
    return replace(presets[preset], estimator=estimator)
