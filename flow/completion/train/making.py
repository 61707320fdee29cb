"""Making samples: pairs, made or real, described, matched and judged as the pipeline does it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flow.completion.evidence import gather_evidence
from flow.completion.nodes import find_nodes
from flow.completion.scene import scene_of
from flow.completion.settings import CompletionSettings
from flow.completion.train.samples import Sample, sample_of
from flow.interpolation.stage import fit_cells
from flow.matching.stage import match_and_judge
from flow.matching.table import MATCHERS
from flow.settings import flow_settings
from patchbatch.data.datasets.pairs import FlowPair, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.images import load_image, to_grey, to_rgb
from patchbatch.data.scenes.hard import hard_pair
from patchbatch.data.scenes.photometric import worsen_pair
from patchbatch.descriptors.checked import described_pyramid
from patchbatch.descriptors.description import pyramid_levels
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_descriptor

log = logging.getLogger(__name__)

MODEL = "compact"
"""The descriptor whose matches are learned from."""
VARIANTS = ("as-is", "mirrored", "other-size-upside-down", "other-size")
"""What a real pair is learned from as."""
_PHOTOS, _FRAMES = 10, 3  # that a scene is made of
_STREETS, _LAYERS = 0.5, 0.3  # shares of scenes; of the rest, any kind
_WORSENED, _AS_KITTI = 0.8, 0.7  # shares of scenes, and of streets
_LEAST_OPEN = 50  # a scene with fewer nodes to choose at is made anew
_TRIES = 20
_LARGE_PX = 700  # wide images are made smaller, others larger


@dataclass(frozen=True)
class TruePair:
    """Two images with truth.

    Attributes
    ----------
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1].
    flow, valid
        `(H, W, 2)` float32 px, and `(H, W)` bool, where it is known.
    visible
        `(H, W)` bool, what image 2 shows; None where that is not known.
    preset
        Whose settings it is interpolated by.
    """

    image1: NDArray[np.float32]
    image2: NDArray[np.float32]
    flow: NDArray[np.float32]
    valid: NDArray[np.bool_]
    visible: NDArray[np.bool_] | None
    preset: str


@torch.inference_mode()
def observe(pair: TruePair, descriptor: Descriptor) -> Sample | None:
    """Describe, match and interpolate a pair, and gather what its choices see; None if nothing matches."""
    settings, shape = flow_settings(pair.preset), pair.image1.shape[:2]
    levels = max(pyramid_levels(shape), MATCHERS[settings.matching.method].least_levels)
    first, second = (
        described_pyramid(descriptor, to_grey(image), levels, "auto") for image in (pair.image1, pair.image2)
    )
    judged = match_and_judge(first, second, settings.matching)
    cells = fit_cells(judged.matches, pair.image1, None, settings.interpolation)
    if cells is None:
        return None
    scene = scene_of(pair.image1, pair.image2, first[0], second[0], judged, cells)
    nodes = find_nodes(scene, CompletionSettings().settled, settings.completion.planes)
    evidence = gather_evidence(scene, nodes)
    return sample_of(nodes, evidence, cells.flow, pair.flow, pair.valid, pair.visible)


def scene_sample(
    photos: Sequence[Path], frames: Sequence[Path], seed: int, number: int, device: str
) -> Sample:
    """Return a sample of a made scene; the same seed and number give the same one.

    Raises
    ------
    PatchBatchError
        For images that cannot be read, and if nothing was left to choose in any of twenty scenes.
    """
    for attempt in range(_TRIES):
        generator = np.random.default_rng((seed, number, attempt))
        sample = observe(made_pair(photos, frames, generator), _descriptor(device))
        if sample is not None and sample.open.sum() >= _LEAST_OPEN:
            return sample
    raise PatchBatchError(f"scene {number}: {_TRIES} tries left nothing to choose; give other photographs")


def made_pair(photos: Sequence[Path], frames: Sequence[Path], generator: np.random.Generator) -> TruePair:
    """Render a scene in which much is hidden, leaves the frame or moves far."""
    textures, streets = _some(photos, _PHOTOS, generator), _some(frames, _FRAMES, generator)
    which = generator.random()
    kind = "street" if which < _STREETS else "layers" if which < _STREETS + _LAYERS else None
    pair = hard_pair(textures, streets, frame_size(kind, generator), generator, kind)
    if generator.random() < _WORSENED:
        pair = worsen_pair(pair, textures, generator)
    as_kitti = kind == "street" and generator.random() < _AS_KITTI
    return TruePair(
        pair.image1, pair.image2, pair.flow, np.ones(pair.visible.shape, np.bool_), pair.visible,
        "kitti" if as_kitti else "default",
    )  # fmt: skip


def frame_size(kind: str | None, generator: np.random.Generator) -> tuple[int, int]:
    """Return height and width in px, multiples of 8; streets are wide."""
    (low, high), (narrow, wide) = ((32, 42), (64, 96)) if kind == "street" else ((36, 52), (52, 76))
    return int(generator.integers(low, high)) * 8, int(generator.integers(narrow, wide)) * 8


def _some(files: Sequence[Path], count: int, generator: np.random.Generator) -> list[NDArray[np.float32]]:
    chosen = generator.choice(len(files), min(count, len(files)), replace=False)
    return [to_rgb(load_image(files[k])) for k in chosen]


def pair_sample(pair: FlowPair, variant: str, device: str) -> Sample | None:
    """Return a sample of a real pair in one of `VARIANTS`; None if nothing matches.

    Raises
    ------
    PatchBatchError
        For a damaged file, or sizes that differ.
    """
    return observe(varied(load_true_pair(pair), variant), _descriptor(device))


def load_true_pair(pair: FlowPair) -> TruePair:
    """Read a real pair.

    Raises
    ------
    PatchBatchError
        For a damaged file, or sizes that differ.
    """
    truth = load_truth(pair)
    image1, image2 = load_image(pair.image1), load_image(pair.image2)
    if not image1.shape[:2] == image2.shape[:2] == truth.valid.shape:
        raise PatchBatchError(
            f"{pair.image1}, {pair.image2} and {pair.flow} differ in size; use files of one data set"
        )
    # What is hidden is known of some data sets only, and means another thing in each.
    return TruePair(image1, image2, truth.flow, truth.valid, None, DATASETS[pair.dataset].preset)


def varied(pair: TruePair, variant: str) -> TruePair:
    """Return a pair in one of `VARIANTS`."""
    large = pair.image1.shape[1] > _LARGE_PX
    if variant == "mirrored":
        return flipped(pair, 1)
    if variant == "other-size-upside-down":
        return flipped(resized(pair, 0.7 if large else 1.3), 0)
    return resized(pair, 0.6 if large else 1.5) if variant == "other-size" else pair


def resized(pair: TruePair, scale: float) -> TruePair:
    """Return a pair enlarged by a scale; of truth the nearest pixel is taken."""
    height, width = pair.valid.shape
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    first, second = (
        np.clip(cv2.resize(image, size, interpolation=how), 0, 1).astype(np.float32)
        for image in (pair.image1, pair.image2)
    )
    rows, columns = (
        np.clip(np.rint(np.arange(new) / scale), 0, old - 1).astype(np.intp)
        for new, old in ((size[1], height), (size[0], width))
    )
    at = np.ix_(rows, columns)
    flow = (pair.flow[at] * scale).astype(np.float32)
    visible = None if pair.visible is None else pair.visible[at]
    return TruePair(first, second, flow, pair.valid[at], visible, pair.preset)


def flipped(pair: TruePair, axis: int) -> TruePair:
    """Return a pair upside down (axis 0) or mirrored (axis 1)."""
    first, second = (np.flip(image, axis).copy() for image in (pair.image1, pair.image2))
    flow, valid = np.flip(pair.flow, axis).copy(), np.flip(pair.valid, axis).copy()
    flow[..., 1 - axis] *= -1
    visible = None if pair.visible is None else np.flip(pair.visible, axis).copy()
    return TruePair(first, second, flow, valid, visible, pair.preset)


@cache
def _descriptor(device: str) -> Descriptor:
    return load_descriptor(MODEL, device)
