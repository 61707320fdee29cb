"""Data sets of tiny frames in the folder trees of the real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from patchbatch.data.formats import write_flow

SIZE = (24, 32)


def make_chairs(root: Path, count: int, size: tuple[int, int] = SIZE) -> Path:
    """Make FlyingChairs of so many pairs; pair n moves n px to the right."""
    folder = root / "chairs" / "data"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(1, count + 1):
        for frame in ("img1", "img2"):
            write_frame(folder / f"{number:05d}_{frame}.ppm", rng.integers(0, 256, (*size, 3), np.uint8))
        write_flow(folder / f"{number:05d}_flow.flo", np.full((*size, 2), (number, 0), np.float32))
    return root / "chairs"


def make_kitti_testing(root: Path, dataset: str, count: int) -> Path:
    """Make the testing tree of KITTI 2012 or 2015."""
    images = root / dataset / "testing" / {"kitti2012": "image_0", "kitti2015": "image_2"}[dataset]
    images.mkdir(parents=True)
    for number in range(count):
        for frame in ("10", "11"):
            write_frame(
                images / f"{number:06d}_{frame}.png", np.full((6, 9 + number % 2, 3), number, np.uint8)
            )
    return root / dataset


def make_sintel_testing(root: Path, scenes: int, frames: int) -> Path:
    """Make the testing tree of Sintel, both renderings, with so many frames a scene."""
    for rendering in ("clean", "final"):
        for scene in range(scenes):
            folder = root / "sintel" / "test" / rendering / f"scene_{scene}"
            folder.mkdir(parents=True)
            for number in range(1, frames + 1):
                write_frame(folder / f"frame_{number:04d}.png", np.full((5, 8, 3), number, np.uint8))
    return root / "sintel"


def write_frame(path: Path, image: np.ndarray) -> None:
    """Write an image file."""
    assert cv2.imwrite(str(path), image)
