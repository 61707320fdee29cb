"""What can be chosen about the interpolation, and what the choices are called."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from patchbatch.errors import PatchBatchError

ESTIMATORS = ("affine", "nadaraya-watson", "robust")


@dataclass(frozen=True)
class InterpolationSettings:
    """How far a match speaks, and which matches are believed.

    The defaults are those of EpicFlow without a preset. Distances are geodesic: the sum of edge strength plus
    `cost_floor` over the pixels of a path.
    """

    neighbours: int = 100  # matches per local fit, itself included; more are smoother and slower
    kernel_decay: float = (
        0.8  # per unit of geodesic distance; higher lets edges cut harder, 0 ignores distance
    )
    prefilter_neighbours: int = 25  # other matches that judge each match beforehand; 0 is off
    consistency_px: float = 5.0  # px from the judges' mean at which a match is dropped; infinite is off
    saliency: float = 0.045  # Lab units per px, matches on flatter spots are dropped; 0 is off
    smallest_island: int = 1  # matches that must agree in one piece to be kept; 1 is off
    island_tolerance_px: float = 3.0  # px by which matches of touching cells may differ in one island
    cost_floor: float = (
        0.001  # cost of a pixel without edge, above 0; higher prefers close matches in flat areas
    )
    estimator: str = "affine"  # or "robust" (bears more wrong matches, slower), "nadaraya-watson" (no slopes)
    truncation_px: float = 3.0  # px off a robust model at which a neighbour counts as wrong; lower bears more
    confidence_power: float = 0.0  # of a match's confidence, its weight in the fits; 0 weighs all the same
    range_margin_px: float = (
        math.inf
    )  # px that the flow may leave the range of its neighbours' vectors; infinite is off
    extrapolation_px: float = (
        math.inf
    )  # px from the match at which the local model has given way to the region's; infinite is off

    motion_edges: float = 0.0  # share of edges a second pass drops where the first moves smoothly; 0: off

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise PatchBatchError(
                f"no estimator is called {self.estimator!r}; use one of {', '.join(ESTIMATORS)}"
            )
        for name in ("neighbours", "smallest_island"):
            if getattr(self, name) < 1:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not (math.isfinite(self.cost_floor) and self.cost_floor > 0):
            raise PatchBatchError(f"cost_floor is {self.cost_floor}; it must be above 0")
        for name in ("extrapolation_px", "truncation_px"):
            if not getattr(self, name) > 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.motion_edges <= 1:
            raise PatchBatchError(f"motion_edges is {self.motion_edges}; it must be from 0 to 1")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; it must be 0 or more")


_NOT_NEGATIVE = (
    "kernel_decay",
    "prefilter_neighbours",
    "consistency_px",
    "saliency",
    "island_tolerance_px",
    "confidence_power",
    "range_margin_px",
)


_ROBUST = InterpolationSettings(
    neighbours=160,
    kernel_decay=1.1,
    cost_floor=0.01,
    estimator="robust",
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
            neighbours=200,
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
        `"robust"` comes with the project's settings, `"affine"` and `"nadaraya-watson"` with EpicFlow's.
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
        raise PatchBatchError(f"no preset is called {preset!r}; use one of {', '.join(PRESETS)}")
    return replace((ROBUST_PRESETS if estimator == "robust" else PRESETS)[preset], estimator=estimator)
