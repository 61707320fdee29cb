"""Two images in, a flow field out: the one place that knows the whole order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flow.cost import Meter, StageCost
from flow.interpolation import ROBUST_PRESETS, InterpolationSettings, interpolate
from flow.matching import Matches, MatchingSettings, match
from flow.matching_cost import product_flop
from flow.refinement.stage import TRUSTING_PRESETS, RefinementSettings, refine
from patchbatch.data.images import as_float, read_image, to_grey
from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_model

# The coarsest level is searched exhaustively, so it may have about this many pixels.
TOP_LEVEL_PIXELS = 10_000


@dataclass(frozen=True)
class Preset:
    """Settings of the dense stages for one kind of images."""

    interpolation: InterpolationSettings
    refinement: RefinementSettings


PRESETS = MappingProxyType(
    {
        name: Preset(ROBUST_PRESETS[name], TRUSTING_PRESETS[name])
        for name in ("default", "kitti", "sintel", "middlebury")
    }
)

ImageLike = str | PathLike[str] | NDArray[Any]
Field = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class FlowResult:
    """What `estimate_flow` returns.

    Attributes
    ----------
    flow
        `(H, W, 2)` float32: u to the right and v downward in pixels, from image 1 to image 2.
    valid
        `(H, W)` bool, where `flow` has a value: everywhere, but for sparse results.
    confidence
        `(H, W)` float32 in [0, 1]; 0 where there is no value.
    matches
        The checked matches that the flow was made from.
    seconds
        Wall time by stage ("describe", "match", "interpolate", "refine") and of the whole ("total").
    costs
        The same stages with arithmetic and peak memory.
    stages
        With `keep_stages`: (flow, valid) after "matches", "interpolated" and "refined".
    descriptors
        With `keep_stages`: the descriptors of image 1, `(H, W, D)`.
    """

    flow: NDArray[np.float32]
    valid: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    matches: Matches
    seconds: dict[str, float]
    costs: dict[str, StageCost] = field(default_factory=dict)
    stages: dict[str, Field] = field(default_factory=dict)
    descriptors: Tensor | None = None


def estimate_flow(
    image1: ImageLike,
    image2: ImageLike,
    model: str | PathLike[str] | PatchNet = "compact",
    *,
    preset: str = "default",
    device: str = "auto",
    precision: str = "auto",
    interpolate: bool = True,
    refine: bool = True,
    seed: int = 0,
    edges: NDArray[np.float32] | None = None,
    keep_stages: bool = False,
    matching: MatchingSettings | None = None,
    interpolation: InterpolationSettings | None = None,
    refinement: RefinementSettings | None = None,
    on_stage: Callable[[str, StageCost], None] | None = None,
    per_stage_memory: bool = False,
) -> FlowResult:
    """Estimate the motion from image 1 to image 2.

    Parameters
    ----------
    image1, image2
        Paths, or arrays `(H, W)` or `(H, W, 3)` RGB (uint8, uint16, or float in [0, 1]), of one size.
    model
        A shipped model's name, a weights file, or a network from `load_model`.
    preset
        "default", "kitti", "sintel" or "middlebury": settings of interpolation and refinement.
    device, precision
        See `patchbatch.devices`. A network that is handed in stays on its device, and `device` is not used.
    interpolate
        False: stop at the matches; `flow` is then valid at matched pixels only.
    refine
        False: leave the variational step out.
    seed
        Of the matcher's random search; the same seed gives the same flow on the same machine.
    edges
        `(H, W)` float32 in [0, 1], strength of motion borders in image 1; None takes `gradient_edges`.
    keep_stages
        Keep what each stage made, and the descriptors.
    matching, interpolation, refinement
        Settings in place of the preset's.
    on_stage
        Called with the name and cost of each stage when it is done.
    per_stage_memory
        Measure the peak memory of each stage by itself, see `flow.cost.Meter`.

    Returns
    -------
    FlowResult

    Raises
    ------
    PatchBatchError
        For files that cannot be read, images of two sizes, and unknown names.

    Examples
    --------
    >>> from flow.synthetic import demo_scene
    >>> scene = demo_scene(64, 96)
    >>> result = estimate_flow(scene.image1, scene.image2)
    >>> result.flow.shape
    (64, 96, 2)
    """
    first, second = _load_pair(image1, image2)
    if preset not in PRESETS:
        raise PatchBatchError(f"unknown preset {preset!r}; use one of {', '.join(PRESETS)}")
    net = model if isinstance(model, PatchNet) else load_model(str(model), device)
    meter = Meter(on_stage, per_stage_memory)
    descriptors: Tensor | None
    matches, descriptors = _find_matches(first, second, net, precision, _matching(matching, seed), meter)
    if not keep_stages:
        descriptors = None  # half a gigabyte of a KITTI image, free for the dense stages
    stages: dict[str, Field] = {"matches": sparse_field(matches, first.shape[:2])}
    result, confidence = stages["matches"], _sparse_confidence(matches, first.shape[:2])
    if interpolate:
        with meter.stage("interpolate"):
            chosen = interpolation or PRESETS[preset].interpolation
            flow, confidence = _interpolate(matches, first, edges, chosen)
        result = stages["interpolated"] = (flow, np.ones(flow.shape[:2], np.bool_))
    if interpolate and refine:
        with meter.stage("refine"):
            flow = _refine(result[0], first, second, refinement or PRESETS[preset].refinement, confidence)
        result = stages["refined"] = (flow, result[1])
    return FlowResult(
        *result, confidence, matches, meter.seconds(), meter.costs,
        stages if keep_stages else {}, descriptors,
    )  # fmt: skip


# The public function takes switches of these names.
_interpolate, _refine = interpolate, refine


def _load_pair(image1: ImageLike, image2: ImageLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read and check both images; colour only if both have it."""
    first, second = _load(image1, "image 1"), _load(image2, "image 2")
    if first.shape[:2] != second.shape[:2]:
        raise PatchBatchError(
            f"{_called(image1, 'image 1')} is {first.shape[1]}x{first.shape[0]} but "
            f"{_called(image2, 'image 2')} is {second.shape[1]}x{second.shape[0]}; crop or resize one"
        )
    if first.ndim == second.ndim:
        return first, second
    return to_grey(first), to_grey(second)


def _load(image: ImageLike, name: str) -> NDArray[np.float32]:
    if not isinstance(image, np.ndarray):
        return as_float(read_image(image))
    try:
        return as_float(image)
    except PatchBatchError as error:
        raise PatchBatchError(f"{name}: {error}") from error


def _called(image: ImageLike, name: str) -> str:
    return name if isinstance(image, np.ndarray) else str(image)


def _matching(settings: MatchingSettings | None, seed: int) -> MatchingSettings:
    settings = settings or MatchingSettings()
    return replace(settings, coarse_to_fine=replace(settings.coarse_to_fine, seed=seed))


def _find_matches(
    first: NDArray[np.float32], second: NDArray[np.float32], net: PatchNet, precision: str,
    settings: MatchingSettings, meter: Meter,
) -> tuple[Matches, Tensor]:  # fmt: skip
    """Describe both images and match them; the descriptors of the second image end here."""
    levels = pyramid_levels(first.shape[:2]) if settings.method != "exact" else 1
    with meter.stage("describe") as cost:
        pyramid1, pyramid2 = (
            describe_pyramid(to_grey(image), net, levels, precision) for image in (first, second)
        )
        cost.gflop = 2 * net.flop(first.shape[:2], levels) / 1e9
    with meter.stage("match") as cost:
        matches = match(pyramid1, pyramid2, settings)
        cost.gflop = product_flop(pyramid1, pyramid2, settings) / 1e9
    return matches, pyramid1[0]


def pyramid_levels(shape: tuple[int, ...]) -> int:
    """Return the number of levels until an image `(H, W)` has at most about `TOP_LEVEL_PIXELS` pixels."""
    return 1 + max(0, math.ceil(math.log(shape[0] * shape[1] / TOP_LEVEL_PIXELS, 4)))


def sparse_field(matches: Matches, shape: tuple[int, ...]) -> Field:
    """Draw matches into an empty field: flow `(H, W, 2)` and where it has a value `(H, W)`."""
    flow, valid = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.bool_)
    x, y = np.rint(matches.points1).astype(np.int64).T
    flow[y, x], valid[y, x] = matches.vectors, True
    return flow, valid


def _sparse_confidence(matches: Matches, shape: tuple[int, ...]) -> NDArray[np.float32]:
    confidence = np.zeros(shape, np.float32)
    x, y = np.rint(matches.points1).astype(np.int64).T
    confidence[y, x] = matches.confidence
    return confidence
