"""Frames of a texture that moves, and a quick stand-in for the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.matching.matches import Matches
from flow.pipeline import FlowResult
from flow.synthetic import fractal_texture
from patchbatch.data import write_image

STEP = 2  # px to the left, from frame to frame


def moving(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Return frames of a texture that moves to the left by `STEP` px a frame."""
    strip = fractal_texture(height, width + STEP * count, np.random.default_rng(seed))
    pixels = np.rint(255 * strip).astype(np.uint8)
    return [pixels[:, STEP * number : STEP * number + width] for number in range(count)]


def write_frames(folder: Path, count: int, **options: int) -> list[Path]:
    """Write frames as frame0.png, frame1.png ... so that frame10 is not in the order of letters."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"frame{number}.png" for number in range(count)]
    for path, pixels in zip(paths, moving(count, **options), strict=True):
        write_image(path, pixels)
    return paths


def pretended(image1: Any, image2: Any, model: Any, **options: Any) -> FlowResult:
    """Take the place of `estimate_flow`: a flow that depends on the images and on nothing else."""
    shape = image1.shape[:2]
    u = float(image1.mean() - image2.mean()) * 100 + STEP
    flow = np.full((*shape, 2), [-u, 0.5], np.float32)
    none = np.zeros((0, 2), np.float32)
    share = np.full(shape, 0.25, np.float32)
    return FlowResult(
        flow, np.ones(shape, np.bool_), 1 - share, Matches(none, none, none[:, 0], none[:, 0]), True, {},
        occluded=share, matched=0.9,
    )  # fmt: skip
