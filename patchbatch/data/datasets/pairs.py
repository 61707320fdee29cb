"""Frame pairs with ground truth in the folder trees that the data sets are published in.

A tree may be complete or partial: a pair is listed when both frames and the truth are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.datasets.table import DATASETS, Dataset
from patchbatch.data.datasets.trees import FlowPair
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.tables import load_object

__all__ = ["FlowPair", "Truth", "find_all_pairs", "find_pairs", "load_truth"]


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


def find_pairs(dataset: str, root: Path | str, *, testing: bool = False) -> list[FlowPair]:
    """List the pairs of one data set.

    Parameters
    ----------
    dataset
        A name of `DATASETS`.
    root
        The data set's own folder, or the folder that holds it.
    testing
        The pairs whose truth is not published, in place of those with truth.

    Returns
    -------
    list of FlowPair
        Sorted by name, never empty.

    Raises
    ------
    PatchBatchError
        For an unknown data set, with the nearest right name; a folder that is not there, or one without any
        pair; and for `testing` pairs of a data set that has none.
    """
    kind, folder = DATASETS[dataset], _checked(root)
    pairs = _search(kind, folder, testing)
    if not pairs:
        what, expected = ("testing ", kind.testing_expected) if testing else ("", kind.expected)
        raise PatchBatchError(f"no {dataset} {what}pairs in {folder}: expected {expected}")
    return pairs


def find_all_pairs(root: Path | str) -> list[FlowPair]:
    """List the pairs of every data set found in a folder, in the order of `DATASETS`, then by name.

    Every scene comes once: other frames of the same scenes (Sintel's clean rendering) only where those of the
    first kind are missing.

    Parameters
    ----------
    root
        A data set's own folder, or a folder that holds several.

    Raises
    ------
    PatchBatchError
        For a folder that is not there, or one without any pair.
    """
    folder = _checked(root)
    found: dict[str, list[FlowPair]] = {}
    for name, kind in DATASETS.items():
        found[name] = [] if found.get(kind.other_frames_of) else _search(kind, folder)
    pairs = [pair for some in found.values() for pair in some]
    if not pairs:
        raise PatchBatchError(f"no pairs in {folder}: expected the folders of {', '.join(DATASETS)}")
    return pairs


def _checked(root: Path | str) -> Path:
    folder = Path(root)
    if not folder.is_dir():
        raise PatchBatchError(f"no folder {folder}: give the data set's folder or the one that holds it")
    return folder


def _search(kind: Dataset, root: Path, testing: bool = False) -> list[FlowPair]:
    """List the pairs of the root itself, else of the first folder below it that has any."""
    children = sorted(c for c in root.iterdir() if c.is_dir() and not c.name.startswith("."))
    usual = [root / name for name in kind.folders if root / name in children]
    listed = (kind.pairs(base, testing=testing) for base in (root, *usual, *children))
    return next((pairs for pairs in listed if pairs), [])


def _read_field(pair: FlowPair, path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a flow or, as a flow to the left, the disparity of a rectified pair."""
    field: tuple[NDArray[np.float32], NDArray[np.bool_]] = load_object(DATASETS[pair.dataset].reader)(path)
    return field


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
        If a file is damaged, a mask has not the size of the flow, or the pair has no truth.
    """
    if pair.flow is None:
        raise PatchBatchError(f"{pair.dataset} {pair.name} has no published truth; give a pair that has")
    flow, valid = _read_field(pair, pair.flow)
    noc = None
    if pair.noc is not None:
        noc = _same_size(_read_field(pair, pair.noc)[1], pair.noc, valid.shape) & valid
    foreground, occluded, invalid = (
        _read_mask(path, valid.shape) for path in (pair.obj_map, pair.occlusion, pair.invalid)
    )
    return Truth(flow, valid, noc, foreground, occluded, invalid)
