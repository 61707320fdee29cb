"""What `python -m benchmarks stages` changes: settings of the dense stages, or the matches they are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flow.completion.settings import PRESETS as COMPLETION_PRESETS
from flow.completion.settings import CompletionSettings
from flow.completion.table import DENSE_METHODS
from flow.interpolation.settings import ROBUST_PRESETS, InterpolationSettings
from flow.interpolation.table import ESTIMATORS
from flow.matching.matches import Matches
from flow.matching.search_settings import CoarseToFineSettings
from flow.matching.seeds import seed_grid
from flow.presets import PRESETS
from flow.refinement.settings import PRESETS as EPICFLOW_REFINEMENT
from flow.refinement.settings import RefinementSettings
from flow.refinement.table import REFINEMENTS
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import Truth

DEFAULT = "default"
WRONG_PX = 3.0  # a match farther from the truth is called wrong
_SECOND_PASS = 0.5  # the best share of those tried
_REACH_PX = 2.0  # corrections beyond it are taken back
NOISE_PX = 0.5  # standard deviation of each component
GRID_STEP = CoarseToFineSettings().step
# Truth may be taken from within half a cell of the seed grid, so that every seed keeps a place of its own.
_SAME_CELL_PX = GRID_STEP // 2 * math.sqrt(2)


@dataclass(frozen=True)
class Variant:
    """One change from the default of a data set.

    Attributes
    ----------
    part, name
        The stage that is changed, and to what.
    interpolation, completion, refinement
        Settings; no refinement leaves the dense flow as it is.
    edges
        `"default"`, `"gradient"`, `"uniform"` (none at all) or `"network"`.
    """

    part: str
    name: str
    interpolation: InterpolationSettings
    completion: CompletionSettings
    refinement: RefinementSettings | None
    edges: str = DEFAULT


def variants_of(preset: str, default: FlowSettings, network: bool) -> Iterator[Variant]:
    """Yield the default of a data set and the ablation: one part changed at a time.

    Parameters
    ----------
    preset, default
        Name of its preset, and its settings.
    network
        Whether an edge network is at hand.
    """
    yield Variant(DEFAULT, DEFAULT, default.interpolation, default.completion, default.refinement)
    for part, name, interpolation, edges in _interpolations(default.interpolation, network):
        yield Variant(part, name, interpolation, default.completion, default.refinement, edges)
    for name, completion in _completions(default.completion):
        yield Variant("completion", name, default.interpolation, completion, default.refinement)
    for name, refinement in _refinements(preset, default.refinement):
        yield Variant("refinement", name, default.interpolation, default.completion, refinement)


def _interpolations(
    chosen: InterpolationSettings, network: bool
) -> Iterator[tuple[str, str, InterpolationSettings, str]]:
    """Yield part, name, settings and edges of what is interpolated otherwise."""
    bare = replace(chosen, saliency=0.0, prefilter_neighbours=0, smallest_island=1)
    yield "pruning", "off", bare, DEFAULT
    for estimator in ESTIMATORS:
        if estimator != chosen.estimator:
            yield "estimator", estimator, replace(chosen, estimator=estimator), DEFAULT
    for edges in ("gradient", "uniform", *(["network"] if network else [])):
        yield "edges", edges, chosen, edges
    power = 0.0 if chosen.confidence_power else 1.0
    yield "confidence weights", "on" if power else "off", replace(chosen, confidence_power=power), DEFAULT
    if math.isinf(chosen.extrapolation_px):
        reach = ROBUST_PRESETS[DEFAULT].extrapolation_px
        yield "extrapolation", "on", replace(chosen, extrapolation_px=reach), DEFAULT
    else:
        yield "extrapolation", "off", replace(chosen, extrapolation_px=math.inf), DEFAULT
    again = 0.0 if chosen.motion_edges else _SECOND_PASS
    yield "second pass", "on" if again else "off", replace(chosen, motion_edges=again), DEFAULT


def _completions(chosen: CompletionSettings) -> Iterator[tuple[str, CompletionSettings]]:
    """Yield name and settings of what is completed otherwise; without a choice nothing else matters."""
    changes: list[tuple[str, CompletionSettings]] = [
        (method, replace(chosen, method=method)) for method in DENSE_METHODS
    ]
    if chosen.method == "chosen":
        planes = ("no planes", 0) if chosen.planes else ("planes", COMPLETION_PRESETS["kitti"].planes)
        changes += [("no rounds", replace(chosen, rounds=0)), (planes[0], replace(chosen, planes=planes[1]))]
        changes += [(f"settled from {share}", replace(chosen, settled=share)) for share in (0.5, 0.9)]
    yield from ((name, settings) for name, settings in changes if settings != chosen)


def _refinements(preset: str, chosen: RefinementSettings) -> Iterator[tuple[str, RefinementSettings | None]]:
    """Yield name and settings of what is refined otherwise."""
    yield "off", None
    for name in REFINEMENTS:
        own = EPICFLOW_REFINEMENT[PRESETS[preset].kind]  # EpicFlow's are variational
        other = own if name == own.method else RefinementSettings(method=name)
        if other != chosen:
            yield name, other
    held = math.isinf(chosen.reach_px)
    name = f"within {_REACH_PX:g} px" if held else "any reach"
    yield name, replace(chosen, reach_px=_REACH_PX if held else math.inf)


def error_px(matches: Matches, truth: Truth) -> NDArray[np.float64]:
    """Return how far each match is from the truth of its pixel, `(N,)` px; NaN where that is not known."""
    x, y = np.rint(matches.points1).astype(np.intp).T
    error = np.linalg.norm(matches.vectors.astype(np.float64) - truth.flow[y, x], axis=1)
    return np.where(truth.valid[y, x], error, np.nan)


def _as_they_are(matches: Matches, truth: Truth) -> Matches:
    return matches


def _without_wrong(matches: Matches, truth: Truth) -> Matches:
    return matches.select(~(error_px(matches, truth) > WRONG_PX))


def _wrong_mended(matches: Matches, truth: Truth) -> Matches:
    wrong = error_px(matches, truth) > WRONG_PX
    return _joined(matches.select(~wrong), true_matches(matches.points1[wrong], truth))


def _true_in_place(matches: Matches, truth: Truth) -> Matches:
    return true_matches(matches.points1, truth)


def _noisy_in_place(matches: Matches, truth: Truth) -> Matches:
    exact = true_matches(matches.points1, truth)
    noise = np.random.default_rng(0).normal(0, NOISE_PX, exact.points2.shape).astype(np.float32)
    return replace(exact, points2=exact.points2 + noise)


def _true_everywhere(matches: Matches, truth: Truth) -> Matches:
    height, width = truth.valid.shape
    return true_matches(seed_grid(height, width, GRID_STEP).reshape(-1, 2), truth)


SUBSTITUTES: MappingProxyType[str, Callable[[Matches, Truth], Matches]] = MappingProxyType(
    {
        "own": _as_they_are,
        "wrong removed": _without_wrong,
        "wrong mended": _wrong_mended,
        "true in place, 0.5 px noise": _noisy_in_place,
        "true in place": _true_in_place,
        "true everywhere": _true_everywhere,
    }
)
"""Matches handed to the interpolation, made of the kept matches and the truth.

"Wrong" ones are more than 3 px off; "mended" takes the truth in their stead. "In place" is the truth at the
places of the kept matches, so with their density and holes; "everywhere" at every point of the 3-px grid,
hidden ones included. All where the truth is known, see `true_matches`.
"""


def true_matches(places: NDArray[np.number], truth: Truth) -> Matches:
    """Return true matches, sure of themselves, at the known pixels closest to some places.

    Parameters
    ----------
    places
        `(N, 2)`, x then y, px. Where no pixel of the same cell of the seed grid has a known truth (KITTI's
        is sparse) there is no match.
    truth
        Ground truth; Sintel's invalid pixels are as good as any.
    """
    if not len(places) or not truth.valid.any():
        empty = np.zeros((0, 2), np.float32)
        return Matches(empty, empty, empty[:, 0], empty[:, 0])
    distance, nearest = ndimage.distance_transform_edt(~truth.valid, return_indices=True)
    x, y = np.rint(places).astype(np.intp).T
    near = distance[y, x] <= _SAME_CELL_PX
    row, column = nearest[:, y[near], x[near]]
    points = np.stack([column, row], axis=1).astype(np.float32)
    ones = np.ones(len(points), np.float32)
    return Matches(points, points + truth.flow[row, column], 0 * ones, ones)


def _joined(first: Matches, second: Matches) -> Matches:
    return Matches(
        np.concatenate([first.points1, second.points1]),
        np.concatenate([first.points2, second.points2]),
        np.concatenate([first.cost, second.cost]),
        np.concatenate([first.confidence, second.confidence]),
    )
