"""Two images in, a flow field out: the one place that knows the whole order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.alignment.stage import Alignment, find_alignment
from flow.bars import bars
from flow.completion.occlusion import with_what_leaves
from flow.cost import Meter, StageCost, product_flop
from flow.dense import Found, make_dense
from flow.inputs import (
    EdgesLike,
    FlowLike,
    MatchesLike,
    given_edges,
    given_flow,
    given_matches,
    load_pair,
)
from flow.matching.confidence import FITTED
from flow.matching.matches import Matches
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match_and_judge
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from flow.refinement.stage import refine
from flow.results.result import LEAST_MATCHED, Field, FlowResult
from flow.settings import FlowSettings, flow_settings, with_methods
from patchbatch.data.given.images import Image, ImageLike
from patchbatch.data.images import to_grey
from patchbatch.descriptors.checked import as_descriptor, described_pyramid
from patchbatch.descriptors.description import pyramid_levels
from patchbatch.descriptors.network.trunk import PatchTrunk
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.descriptors.remembered import is_remembered
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS, load_descriptor

log = logging.getLogger(__name__)


def estimate_flow(
    image1: ImageLike,
    image2: ImageLike,
    model: str | PathLike[str] | Descriptor | torch.nn.Module | None = None,
    *,
    preset: str = "default",
    settings: FlowSettings | None = None,
    device: str = "auto",
    precision: str = "auto",
    interpolate: bool = True,
    refine: bool = True,
    seed: int | None = None,
    edges: EdgesLike | None = None,
    matches: MatchesLike | None = None,
    initial_flow: FlowLike | None = None,
    keep_stages: bool = False,
    on_stage: Callable[[str, StageCost], None] | None = None,
    per_stage_memory: bool = False,
) -> FlowResult:
    """Estimate the motion from image 1 to image 2.

    Parameters
    ----------
    image1, image2
        Of one size: paths; arrays `(H, W)` or `(H, W, 3)` RGB, tensors `(3, H, W)` on any device (uint8,
        uint16, or float in [0, 1]); pictures of PIL. See `given_image`.
    model
        A shipped model's name, a weights file, `package.module:factory`, a network from `load_model`, any
        other `Descriptor`, or a patch network `(N, 1, P, P) -> (N, D)` with `patch_size`. None takes the
        preset's.
    preset
        A name of `PRESETS`: whose settings are taken.
    settings
        Of every stage, in place of the preset's.
    device, precision
        See `patchbatch.devices`. A model that is handed in stays on its device, and `device` is not used.
    interpolate
        False: stop at the matches; `flow` is then valid at matched pixels only.
    refine
        False: leave the variational step out.
    seed
        Of the matcher's random search, in place of the settings'; the same seed gives the same flow on the
        same machine.
    edges
        `(H, W)` in [0, 1], strength of motion borders in image 1, or a file that `read_edges` reads; None
        takes `gradient_edges`.
    matches
        Matches to go on from, so that nothing is described or matched: `Matches`, an array `(N, 4)` or
        `(N, 5)` of x1, y1, x2, y2 and perhaps confidence, or a file that `read_matches` reads. See
        `given_matches`.
    initial_flow
        A dense flow to go on from, `(H, W, 2)` or a file, which is only refined; its confidence is 1.
    keep_stages
        Keep what each stage made, and the descriptors.
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
        For files that cannot be read, images of two sizes, unknown names, and input that does not fit.

    Examples
    --------
    >>> from flow.synthetic import demo_scene
    >>> scene = demo_scene(64, 96)
    >>> result = estimate_flow(scene.image1, scene.image2)
    >>> result.flow.shape
    (64, 96, 2)
    """
    if initial_flow is not None and matches is not None:
        raise PatchBatchError("matches and an initial flow are both given; leave one of them out")
    chosen = with_methods(settings or flow_settings(preset), preset, seed=seed)
    first, second = load_pair(image1, image2)
    meter = Meter(on_stage, per_stage_memory)
    alignment = None
    if initial_flow is not None:
        return _refined_only(initial_flow, first, second, chosen, refine, keep_stages, meter)
    if matches is not None:
        found = Found(given_matches(matches, first.shape[:2]), False)
    else:
        descriptor = chosen.description.applied_to(
            descriptor_of(PRESETS[preset].model if model is None else model, device)
        )
        found, alignment = _find_aligned(first, second, descriptor, precision, chosen, meter)
        if alignment is not None:
            second = alignment.applied_to(second)
    stages: dict[str, Field] = {"matches": sparse_field(found.matches, first.shape[:2])}
    result, confidence, occluded = stages["matches"], _sparse_confidence(found.matches, first.shape[:2]), None
    if interpolate:
        borders = None if edges is None else given_edges(edges, first.shape[:2])
        interpolated, completed = make_dense(found, first, second, borders, chosen, meter)
        everywhere = np.ones(first.shape[:2], np.bool_)
        # Matches that a caller brings may well move a bar.
        still = bars(first, second) if matches is None and alignment is None else ~everywhere
        for each in (interpolated, completed):
            if each is not None:
                each.hold(still)
        stages["interpolated"] = interpolated.flow, everywhere
        if completed is not None:
            stages["chosen"] = completed.flow, everywhere
        dense = completed or interpolated
        result, confidence = (dense.flow, everywhere), dense.confidence
        occluded = dense.occluded if matches is None else None
    described = (found.descriptors1, found.descriptors2) if keep_stages else (None, None)
    found.descriptors1 = found.descriptors2 = None  # half a gigabyte of a KITTI image, free from here on
    if interpolate and refine:
        with meter.stage("refine"):
            flow = _refine(result[0], first, second, chosen.refinement, confidence)
        flow[still] = 0
        result = stages["refined"] = (flow, result[1])
    if alignment is not None:
        found.matches, stages = _to_image2(alignment, found.matches, stages)
        result = list(stages.values())[-1]
    if occluded is not None:
        occluded = with_what_leaves(occluded, result[0], confidence)
    made = FlowResult(
        *result, confidence, found.matches, found.calibrated, meter.seconds(), meter.costs,
        stages if keep_stages else {}, described[0], occluded, found.matches.matched,
        None if alignment is None else alignment.homography, described[1],
    )  # fmt: skip
    return made if made.reliable else _nothing_known(made)


def _nothing_known(result: FlowResult) -> FlowResult:
    """Take back what was made of matches by chance: no stage is valid anywhere, no confidence is left."""
    flow, nowhere = np.zeros_like(result.flow), np.zeros_like(result.valid)
    doubted = replace(result.matches, confidence=np.zeros_like(result.matches.confidence))
    return replace(
        result, flow=flow, valid=nowhere, confidence=np.zeros_like(result.confidence), matches=doubted,
        stages=dict.fromkeys(result.stages, (flow, nowhere)),
        occluded=None if result.occluded is None else np.full_like(result.confidence, 0.5),
    )  # fmt: skip


# The public function takes a switch of this name.
_refine = refine


def descriptor_of(model: Any, device: str = "auto") -> Descriptor:
    """Return what a caller handed in as a descriptor; names are loaded, networks stay where they are.

    Raises
    ------
    PatchBatchError
        For unknown names, files that cannot be read, and what describes nothing.
    """
    if isinstance(model, str | PathLike):
        return load_descriptor(model, device)
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    on = next((one.device for one in parameters), "cpu")
    return as_descriptor(model, type(model).__name__, on)


def _refined_only(
    initial: FlowLike, first: Image, second: Image, settings: FlowSettings, wanted: bool,
    keep_stages: bool, meter: Meter,
) -> FlowResult:  # fmt: skip
    """Refine a flow that a caller brings."""
    flow = given_flow(initial, first.shape[:2])
    valid, confidence = np.ones(flow.shape[:2], np.bool_), np.ones(flow.shape[:2], np.float32)
    stages: dict[str, Field] = {"initial": (flow, valid)}
    if wanted:
        with meter.stage("refine"):
            flow = _refine(flow, first, second, settings.refinement, confidence)
        stages["refined"] = (flow, valid)
    none = np.zeros((0, 2), np.float32)
    return FlowResult(
        flow, valid, confidence, Matches(none, none, none[:, 0], none[:, 0]), False, meter.seconds(),
        meter.costs, stages if keep_stages else {},
    )  # fmt: skip


def find_matches(
    first: Image, second: Image, descriptor: Descriptor, precision: str,
    settings: MatchingSettings, meter: Meter,
) -> Found:  # fmt: skip
    """Describe both images and match them; of the pyramids only the full images go on.

    Parameters
    ----------
    first, second
        As `load_pair` returns them.
    descriptor, precision
        What describes them, and in which precision, see `patchbatch.devices`.
    settings
        Of the matching.
    meter
        Is told the cost of the stages "describe" and "match".
    """
    levels = levels_for(first.shape[:2], settings)
    fitted = settings.confidence or FITTED.get((_known_name(descriptor), settings.method))
    log.info(
        "describing by %s: %d numbers a pixel, %d px to each side, %d levels, on %s",
        descriptor.name, descriptor.dimension, descriptor.reach, levels, descriptor.device,
    )  # fmt: skip
    with meter.stage("describe") as cost:
        greys = [to_grey(image) for image in (first, second)]
        anew = sum(not is_remembered(grey) for grey in greys)
        pyramid1, pyramid2 = (described_pyramid(descriptor, grey, levels, precision) for grey in greys)
        one = descriptor.flop((first.shape[0], first.shape[1]), levels)
        cost.gflop = None if one is None else anew * one / 1e9
    log.info("matching by %s; confidence %s", settings.method, "fitted" if fitted else "not calibrated")
    with meter.stage("match") as cost:
        judged = match_and_judge(pyramid1, pyramid2, replace(settings, confidence=fitted))
        products = product_flop(pyramid1, pyramid2, settings)
        cost.gflop = None if products is None else products / 1e9
    matches = judged.matches
    log.info("%d matches are believed, %.1f %% of the seeds", len(matches), 100 * matches.matched)
    return Found(matches, fitted is not None, judged, pyramid1[0], pyramid2[0])


def _find_aligned(
    first: Image, second: Image, descriptor: Descriptor, precision: str, settings: FlowSettings, meter: Meter
) -> tuple[Found, Alignment | None]:
    """Match, and where hardly anything is found match again with image 2 turned as image 1 is.

    Returns
    -------
    The better of both, and for the second how it was turned: its matches end in the turned image 2.
    """
    found = find_matches(first, second, descriptor, precision, settings.matching, meter)
    if not found.matches.matched < settings.alignment.below:
        return found, None
    with meter.stage("align"):
        alignment = find_alignment(first, second, settings.alignment)
    if alignment is None:
        return found, None
    seen = alignment.applied_to(second)
    again = find_matches(first, seen, descriptor, precision, settings.matching, meter)
    again.matches = again.matches.select(alignment.inside(again.matches.points2, second.shape))
    if again.matches.matched < max(settings.alignment.gain * found.matches.matched, LEAST_MATCHED):
        return found, None
    log.info("image 2 is turned by %.0f degrees against image 1: matched as if it was not", alignment.degrees)
    return again, alignment


def _to_image2(
    alignment: Alignment, matches: Matches, stages: dict[str, Field]
) -> tuple[Matches, dict[str, Field]]:
    """Return matches and stages with image 2 as it is, from those with the aligned one."""
    there = replace(matches, points2=alignment.points(matches.points2))
    turned = {name: (alignment.flow(flow), valid) for name, (flow, valid) in stages.items()}
    return there, turned | {"matches": sparse_field(there, stages["matches"][1].shape)}


def levels_for(shape: tuple[int, ...], settings: MatchingSettings) -> int:
    """Return how many levels of an image `(H, W)` are described for matching, the image itself included."""
    matcher = MATCHERS[settings.method]
    return max(pyramid_levels(shape), matcher.least_levels) if matcher.pyramid else 1


def describing_gflop(descriptor: Descriptor, shape: tuple[int, int], settings: FlowSettings) -> float | None:
    """Return the GFLOP of describing a pair of images `(H, W)`; None where the descriptor does not know."""
    one = settings.description.applied_to(descriptor).flop(shape, levels_for(shape, settings.matching))
    return None if one is None else 2 * one / 1e9


def _known_name(descriptor: Descriptor) -> str:
    """Return the name by which a descriptor's fitted confidence is found; empty for one that borrows a name.

    Names of models that come as weights stand for those weights alone.
    """
    name = descriptor.name
    borrowed = name in MODELS and not MODELS[name].target and not isinstance(descriptor, PatchTrunk)
    return "" if borrowed else name


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
