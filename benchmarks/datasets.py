"""Which pairs a benchmark runs on, and their frames and truth; nothing here needs torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.datasets.pairs import FlowPair, Truth, find_pairs, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.images import load_image, to_grey
from patchbatch.errors import PatchBatchError
from patchbatch.tables import unknown

log = logging.getLogger(__name__)

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Frames:
    """What lies behind a pair.

    Attributes
    ----------
    image1, image2
        `(H, W)` grey, or `(H, W, 3)` RGB where the file has colour; float32 in [0, 1].
    truth
        Of the same size.
    """

    image1: Image
    image2: Image
    truth: Truth

    def grey(self) -> tuple[Image, Image]:
        """Return both images in grey, `(H, W)`."""
        return to_grey(self.image1), to_grey(self.image2)


def find_jobs(
    root: Path | str,
    datasets: Sequence[str] = (),
    *,
    limit: int | None = None,
    names: Sequence[str] = (),
    testing: bool = False,
) -> list[FlowPair]:
    """List the pairs that a benchmark runs on, data set by data set.

    Parameters
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`, in the order wanted; empty = all that are there, stereo pairs left out.
    limit
        Only the first so many pairs of each data set; None = all.
    names
        Only the pairs of these names; empty = all.
    testing
        The pairs of the data sets named whose truth is not published, in place of those with truth.

    Raises
    ------
    PatchBatchError
        For a folder that is not there, unknown names, a data set asked for that is not there, or when there
        is none at all.
    """
    if datasets:
        each = (find_pairs(name, root, testing=testing)[:limit] for name in dict.fromkeys(datasets))
        pairs = [pair for found in each for pair in found]
    else:
        pairs = _all_there(root, limit)
    missing = [name for name in names if name not in {pair.name for pair in pairs}]
    if missing:
        known = dict.fromkeys(pair.name for pair in pairs)
        raise PatchBatchError(f"{root}: {unknown('pair', missing[0], known)}")
    return [pair for pair in pairs if not names or pair.name in names]


def _all_there(root: Path | str, limit: int | None) -> list[FlowPair]:
    if not Path(root).is_dir():
        raise PatchBatchError(f"no folder {root}: give the folder that holds the data sets")
    wanted = [name for name, dataset in DATASETS.items() if not dataset.stereo]
    pairs: list[FlowPair] = []
    for name in wanted:
        try:
            pairs += find_pairs(name, root)[:limit]
        except PatchBatchError:
            log.debug("no %s in %s", name, root)
    if not pairs:
        raise PatchBatchError(f"no pairs in {root}: expected the folders of {', '.join(wanted)}")
    return pairs


def load_frames(pair: FlowPair) -> Frames:
    """Read both frames of a pair and its truth.

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
    return Frames(image1, image2, truth)
