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


TRAINING = ("kitti2015", "kitti2012", "sintel-final", "sintel-clean", "middlebury", "chairs")
HEIGHTS, WIDTH = (4, 8), 10  # of the two pairs of a training tree
MOTION = (6.0, 8.0)  # of every pixel, 10 px long


def make_training(root: Path, dataset: str) -> Path:
    """Make a tree with truth: two pairs that move by `MOTION`, with the masks that the data set has.

    The left half is foreground, or occluded; the top half is visible in both frames of KITTI.
    """
    for number, height in enumerate(HEIGHTS, 1):
        frame1, frame2, flow = _training_files(root, dataset, number)
        truth = np.full((height, WIDTH, 2), MOTION, np.float32)
        left = np.zeros((height, WIDTH, 3), np.uint8)
        left[:, : WIDTH // 2] = 255
        for path in (frame1, frame2, flow):
            path.parent.mkdir(parents=True, exist_ok=True)
        for path in (frame1, frame2):
            write_frame(path, left)
        write_flow(flow, truth)
        if dataset.startswith("kitti"):
            masks = {"flow_noc": None, "obj_map": left[..., 0]}
        else:
            masks = {"occlusions": left[..., 0]} if dataset.startswith("sintel") else {}
        for name, mask in masks.items():
            path = Path(str(flow).replace("flow_occ", name).replace("training/flow/", f"training/{name}/"))
            path = path.with_suffix(".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            if mask is None:
                write_flow(path, truth, np.arange(height)[:, None].repeat(WIDTH, 1) < height // 2)
            else:
                write_frame(path, mask)
    return root


def _training_files(root: Path, dataset: str, number: int) -> tuple[Path, Path, Path]:
    """Return where both frames and the truth of a pair lie."""
    if dataset.startswith("kitti"):
        base, images = root / dataset / "training", "image_2" if dataset == "kitti2015" else "image_0"
        name = f"{number:06d}_10.png"
        return base / images / name, base / images / f"{number:06d}_11.png", base / "flow_occ" / name
    if dataset.startswith("sintel"):
        base, scene = root / "sintel/training", f"scene_{number}"
        frames = base / dataset.removeprefix("sintel-") / scene
        return frames / "frame_0001.png", frames / "frame_0002.png", base / "flow" / scene / "frame_0001.flo"
    if dataset == "middlebury":
        frames = root / dataset / f"other-data/Scene{number}"
        truth = root / dataset / f"other-gt-flow/Scene{number}/flow10.flo"
        return frames / "frame10.png", frames / "frame11.png", truth
    base = root / dataset / "data"
    return base / f"{number:05d}_img1.ppm", base / f"{number:05d}_img2.ppm", base / f"{number:05d}_flow.flo"
