"""Frame pairs with ground truth in the folder trees that the data sets are published in.

A tree may be complete or partial: a pair is listed when both frames and the truth are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.datasets.trees import DATASETS, FlowPair
from patchbatch.data.formats import read_flow, read_kitti_disparity, read_middlebury_disparity
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError

__all__ = ["DATASETS", "RENDERINGS", "FlowPair", "Truth", "find_all_pairs", "find_pairs", "load_truth"]

RENDERINGS = ("clean", "final")
# Disparities of the 2003 Middlebury pairs in quarter size are stored four times as large.
MIDDLEBURY_2003_SCALE = 4.0


@dataclass(frozen=True)
class Truth:
    """Ground truth of one pair.

    Attributes
    ----------
    flow
        `(H, W, 2)` float32, u then v in pixels, 0 where unknown.
    valid
        `(H, W)` bool, the pixels whose flow is known.
    noc
        `(H, W)` bool, known and with its target inside the second frame, or None (KITTI).
    foreground
        `(H, W)` bool, moving objects, or None (KITTI 2015).
    occluded, invalid
        `(H, W)` bool, or None (Sintel).
    """

    flow: NDArray[np.float32]
    valid: NDArray[np.bool_]
    noc: NDArray[np.bool_] | None = None
    foreground: NDArray[np.bool_] | None = None
    occluded: NDArray[np.bool_] | None = None
    invalid: NDArray[np.bool_] | None = None

    @property
    def visible(self) -> NDArray[np.bool_] | None:
        """Known pixels that the second frame shows too, `(H, W)` bool; None without any mask for it."""
        if self.noc is not None:
            return self.noc
        return None if self.occluded is None else self.valid & ~self.occluded


def _search(dataset: str, root: Path, rendering: str) -> list[FlowPair]:
    """List the pairs of the root itself, else of the first folder below it that has any."""
    layout = DATASETS[dataset]
    children = sorted(child for child in root.iterdir() if child.is_dir())
    usual = [root / name for name in layout.folders if root / name in children]
    for base in (root, *usual, *children):
        pairs = [pair for pair in layout.pairs(base, rendering) if pair.is_complete()]
        if pairs:
            return sorted(pairs, key=lambda pair: pair.name)
    return []


def _checked_root(root: Path | str, rendering: str) -> Path:
    if rendering not in RENDERINGS:
        raise PatchBatchError(f"unknown Sintel rendering {rendering!r}: choose {' or '.join(RENDERINGS)}")
    folder = Path(root)
    if not folder.is_dir():
        raise PatchBatchError(f"no folder {folder}: give the data set's folder or the one that holds it")
    return folder


def find_pairs(dataset: str, root: Path | str, *, rendering: str = "final") -> list[FlowPair]:
    """List the pairs of one data set.

    Parameters
    ----------
    dataset
        A key of `DATASETS`.
    root
        The data set's own folder, or the folder that holds it.
    rendering
        `"clean"` or `"final"`; only Sintel has the choice.

    Returns
    -------
    list of FlowPair
        Sorted by name, never empty.

    Raises
    ------
    PatchBatchError
        For an unknown data set or rendering, a folder that is not there, or one without any pair.
    """
    if dataset not in DATASETS:
        raise PatchBatchError(f"unknown data set {dataset!r}: choose one of {', '.join(DATASETS)}")
    folder = _checked_root(root, rendering)
    pairs = _search(dataset, folder, rendering)
    if not pairs:
        expected = DATASETS[dataset].expected.replace("RENDERING", rendering)
        raise PatchBatchError(f"no {dataset} pairs in {folder}: expected {expected}")
    return pairs


def find_all_pairs(root: Path | str, *, rendering: str = "final") -> list[FlowPair]:
    """List the pairs of every data set found in a folder, in the order of `DATASETS`, then by name.

    Parameters
    ----------
    root
        A data set's own folder, or a folder that holds several.
    rendering
        `"clean"` or `"final"`; only Sintel has the choice.

    Raises
    ------
    PatchBatchError
        For an unknown rendering, a folder that is not there, or one without any pair.
    """
    folder = _checked_root(root, rendering)
    pairs = [pair for dataset in DATASETS for pair in _search(dataset, folder, rendering)]
    if not pairs:
        raise PatchBatchError(f"no pairs in {folder}: expected the folders of {', '.join(DATASETS)}")
    return pairs


def _read_field(pair: FlowPair, path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a flow or, as a flow to the left, the disparity of a rectified pair."""
    if pair.dataset == "kitti2012_stereo":
        disparity, valid = read_kitti_disparity(path)
    elif pair.dataset == "middlebury_stereo":
        disparity, valid = read_middlebury_disparity(path, MIDDLEBURY_2003_SCALE)
    else:
        return read_flow(path)
    # The sum turns -0.0 into 0.0, so that unknown pixels look alike in every data set.
    return np.stack([0.0 - disparity, np.zeros_like(disparity)], axis=-1), valid


def _read_mask(path: Path | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    if path is None:
        return None
    # Copies of the masks are grey or RGB, with 1 or 255 (Sintel's readme names both): any value counts.
    mask = np.asarray((np.atleast_3d(read_image(path)) > 0).any(axis=-1))
    return _same_size(mask, path, shape)


def _same_size(mask: NDArray[np.bool_], path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask.shape != shape:
        size, expected = ("x".join(map(str, s)) for s in (mask.shape, shape))
        raise PatchBatchError(f"{path} is {size} but the true flow {expected}; use files of one data set")
    return mask


def load_truth(pair: FlowPair) -> Truth:
    """Read the ground truth of a pair.

    A stereo pair's disparity d is returned as the flow (−d, 0).

    Raises
    ------
    PatchBatchError
        If a file is damaged, or a mask has not the size of the flow.
    """
    flow, valid = _read_field(pair, pair.flow)
    noc = None
    if pair.noc is not None:
        noc = _same_size(_read_field(pair, pair.noc)[1], pair.noc, valid.shape) & valid
    foreground, occluded, invalid = (
        _read_mask(path, valid.shape) for path in (pair.obj_map, pair.occlusion, pair.invalid)
    )
    return Truth(flow, valid, noc, foreground, occluded, invalid)
