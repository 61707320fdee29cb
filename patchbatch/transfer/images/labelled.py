"""Labelled images in memory, and the ways to split them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.data.files import FilePath
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.table import find_set

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]
TRAIN, VALIDATION = 0, 1


@dataclass(frozen=True)
class ReadSettings:
    """How images are wanted.

    Attributes
    ----------
    size
        Side in px to which they are brought, by area; None: as they are, and then all of one size.
    grey
        Luma instead of colour.
    """

    size: int | None = None
    grey: bool = False


@dataclass(frozen=True)
class LabelledImages:
    """Images of classes or people.

    Attributes
    ----------
    images
        `(N, H, W)` grey or `(N, H, W, 3)` RGB, uint8.
    labels
        `(N,)` int64, numbers of classes from 0.
    names
        Of the classes by number.
    part
        `(N,)` int64: 0 to train on, 1 to validate; of LFW the fold, 1 to 10; of a folder tree 0.
    """

    images: Bytes
    labels: Rows
    names: tuple[str, ...]
    part: Rows

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: NDArray[Any]) -> LabelledImages:
        """Return the images that a mask or rows pick; classes keep their numbers."""
        return LabelledImages(self.images[which], self.labels[which], self.names, self.part[which])

    def of_parts(self, *parts: int) -> LabelledImages:
        """Return the images of some parts."""
        return self[np.isin(self.part, parts)]

    def of_classes(self, classes: ArrayLike) -> LabelledImages:
        """Return the images of some classes, numbered anew from 0 in rising order of their old numbers."""
        kept = np.unique(np.asarray(classes))
        rows = np.flatnonzero(np.isin(self.labels, kept))
        names = tuple(self.names[one] for one in kept)
        return LabelledImages(
            self.images[rows], np.searchsorted(kept, self.labels[rows]), names, self.part[rows]
        )

    def compact(self) -> LabelledImages:
        """Return the same images with the classes that they are of numbered from 0."""
        return self.of_classes(self.labels)


def read_labelled(path: FilePath, kind: str = "auto", settings: ReadSettings | None = None) -> LabelledImages:
    """Read a set of labelled images.

    Parameters
    ----------
    path
        Its folder.
    kind
        A name of `IMAGE_SETS`, or "auto" to see it from the files.
    settings
        How the images are wanted; None: as they are.

    Raises
    ------
    PatchBatchError
        For a folder that is not there or not of that kind, and for files that are damaged or missing.
    """
    data: LabelledImages = find_set(path, kind).load()(path, settings or ReadSettings())
    return data


def wanted(image: NDArray[Any], settings: ReadSettings, path: FilePath) -> Bytes:
    """Return an image `(H, W)` or `(H, W, 3)` in the wanted colour and size.

    Raises
    ------
    PatchBatchError
        For pixels that are not uint8.
    """
    if image.dtype != np.uint8:
        raise PatchBatchError(f"{path} holds {image.dtype} pixels; use 8-bit images")
    if settings.grey and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if not settings.grey and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    side = settings.size
    if side is not None and image.shape[:2] != (side, side):
        larger = min(image.shape[:2]) > side
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if larger else cv2.INTER_CUBIC)
    return np.ascontiguousarray(image, np.uint8)


def split_classes(count: int, targets: int, seed: int) -> tuple[Rows, Rows]:
    """Draw the classes that are judged and never learned: return (source, target) class numbers, rising.

    Raises
    ------
    PatchBatchError
        When fewer than two classes are left on either side.
    """
    if not (2 <= targets <= count - 2):
        raise PatchBatchError(f"{targets} of {count} classes cannot be kept apart; give 2 to {count - 2}")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[targets:]), np.sort(order[:targets])


def hold_out_people(data: LabelledImages, share: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Split by people: (to learn from, held out), nobody in both.

    People with one image and people with several are dealt out apart, each by the share, so that the held-out
    ones make as many pairs whatever the seed.

    Raises
    ------
    PatchBatchError
        When there are no two people with two images or more to hold out, or none would be left.
    """
    people, counts = np.unique(data.labels, return_counts=True)
    generator = np.random.default_rng(seed)
    chosen = []
    for some in (people[counts == 1], people[counts > 1]):
        chosen.append(generator.permutation(some)[: round(share * len(some))])
    several, out = chosen[1], np.concatenate(chosen)
    if len(several) < 2 or len(several) == np.count_nonzero(counts > 1):
        raise PatchBatchError(
            f"a share of {share:g} holds out {len(several)} of {np.count_nonzero(counts > 1)} people with "
            "two images or more; 2 or more, and not all, are needed"
        )
    held = np.isin(data.labels, out)
    return data[~held].compact(), data[held].compact()
