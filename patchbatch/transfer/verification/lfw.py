"""Labeled Faces in the Wild: View 1 and View 2 as arrays of rows, labels, folds and pairs, and the images.

Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild, UMass Amherst 07-49, 2007. View 1 is for
development (2,200 pairs to train on, 1,000 to test on), View 2 for reporting (ten folds of 600 pairs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import FilePath
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.verification.lfw_lists import Face, FacePairs, People, read_pairs, read_people
from patchbatch.transfer.verification.pairs import Pairs

__all__ = ["Lfw", "read_pairs", "read_people", "read_view1", "read_view2"]

# Folders that the data set's archives unpack to.
IMAGE_FOLDERS = ("images", "lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled")


@dataclass(frozen=True)
class Lfw:
    """One view: the images in the order of the people's list, and the pairs.

    Attributes
    ----------
    faces
        N entries `(name, number)`, numbers from 1.
    labels
        `(N,)` the person of each image, from 0 in the order of names.
    fold
        `(N,)` the fold of each image. View 1: 0 is for training, 1 for testing. View 2: 1 to 10.
    pairs
        Rows of images, with the same folds.
    folder
        Where the people's folders lie.
    """

    faces: tuple[Face, ...]
    labels: NDArray[np.int64]
    fold: NDArray[np.int64]
    pairs: Pairs
    folder: Path

    def path(self, row: int) -> Path:
        """Return the file of an image: `NAME/NAME_0001.jpg` in `folder`."""
        name, number = self.faces[row]
        return self.folder / name / f"{name}_{number:04d}.jpg"

    def read_grey(self, row: int) -> NDArray[np.uint8]:
        """Return an image as `(H, W)` uint8, colour turned to luma.

        Raises
        ------
        PatchBatchError
            The file is missing or no image of 8 bits.
        """
        image = read_image(self.path(row))
        if image.dtype != np.uint8:
            raise PatchBatchError(f"{self.path(row)} holds {image.dtype} pixels; use the 8-bit original")
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8) if image.ndim == 3 else image


def read_view1(root: FilePath, images: FilePath | None = None) -> Lfw:
    """Read the development view: fold 0 to train on, fold 1 to test on.

    Its people are in View 2 as well: a model of View 1 must not be reported on the folds of View 2.

    Parameters
    ----------
    root
        Folder of `peopleDevTrain.txt`, `peopleDevTest.txt`, `pairsDevTrain.txt` and `pairsDevTest.txt`.
    images
        Folder of the people's folders. None looks in `root` for a folder named as the archives unpack
        (`images`, `lfw`, `lfw_funneled`, `lfw-deepfunneled`), else takes `root` itself.

    Raises
    ------
    PatchBatchError
        A list is missing, not in the official format or in several folds, a person is listed twice, or a
        pair names an image that the people's list of its fold lacks.
    """
    root = Path(root)
    people, pairs = [], []
    for part in ("Train", "Test"):
        people += read_people(root / f"peopleDev{part}.txt")
        pairs += read_pairs(root / f"pairsDev{part}.txt")
    if len(people) != 2:
        raise PatchBatchError(f"{root}: a list of View 1 is in several folds; use the official lists")
    return _view(root, images, people, pairs, first_fold=0)


def read_view2(root: FilePath, images: FilePath | None = None) -> Lfw:
    """Read the reporting view: folds 1 to 10, nobody in two of them.

    Parameters
    ----------
    root
        Folder of `people.txt` and `pairs.txt`.
    images
        As for `read_view1`.

    Raises
    ------
    PatchBatchError
        As `read_view1`.
    """
    root = Path(root)
    return _view(root, images, read_people(root / "people.txt"), read_pairs(root / "pairs.txt"), first_fold=1)


def _view(
    root: Path, images: FilePath | None, people: list[People], pairs: list[FacePairs], first_fold: int
) -> Lfw:
    """Give every image a row, and look the pairs up among them."""
    if len(people) != len(pairs):
        raise PatchBatchError(f"{root} has {len(people)} folds of people and {len(pairs)} of pairs")
    names = [name for fold in people for name, _ in fold]
    counts = [count for fold in people for _, count in fold]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise PatchBatchError(f"{root}: {twice} is listed twice among the people; use the official list")
    folds = np.arange(first_fold, first_fold + len(people))
    faces = tuple((name, k) for name, n in zip(names, counts, strict=True) for k in range(1, n + 1))
    labels = np.repeat(np.unique(names, return_inverse=True)[1], counts)
    fold = np.repeat(np.repeat(folds, [len(part) for part in people]), counts)
    return Lfw(faces, labels, fold, _rows(root, faces, fold, folds, pairs), _image_folder(root, images))


def _rows(
    root: Path,
    faces: Sequence[Face],
    fold: NDArray[np.int64],
    folds: NDArray[np.int64],
    pairs: list[FacePairs],
) -> Pairs:
    row_of = {face: row for row, face in enumerate(faces)}
    listed = [face for part in pairs for pair in part for face in pair]
    for name, number in listed:
        if (name, number) not in row_of:
            raise PatchBatchError(
                f"{root}: a pair names image {number} of {name}, whom the people's list does not have "
                "with so many; use lists of one view"
            )
    first, second = np.array([row_of[face] for face in listed], np.int64).reshape(-1, 2).T
    pair_fold = np.repeat(folds, [len(part) for part in pairs])
    if (fold[first] != pair_fold).any() or (fold[second] != pair_fold).any():
        raise PatchBatchError(f"{root}: a pair is in another fold than its people; use lists of one view")
    same = np.array([one[0] == two[0] for part in pairs for one, two in part])
    return Pairs(first, second, same, pair_fold)


def _image_folder(root: Path, images: FilePath | None) -> Path:
    if images is not None:
        return Path(images)
    return next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), root)
