"""The sets of labelled images that can be read; nothing here is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from patchbatch.data.files import FilePath
from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table

PLACE = "patchbatch.transfer.images"


@dataclass(frozen=True)
class ImageSet(Entry):
    """How a set of labelled images lies on disk, and what its parts are.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`; the target reads a folder: `(path, ReadSettings) -> LabelledImages`.
    files
        Names in its folder, by which it is known; empty: any folder of folders.
    people
        Whether the classes are people, most of them with one image: judged by pairs, not by naming them.
    """

    files: tuple[str, ...] = ()
    people: bool = False


IMAGE_SETS = Table(
    "image set",
    [
        ImageSet(
            "cifar-100", "CIFAR-100, python version: 100 classes, 500 + 100 images of 32 x 32",
            f"{PLACE}.cifar:read_cifar100", files=("train", "test", "meta"),
        ),
        ImageSet(
            "tiny-imagenet-100", "100 classes of Tiny ImageNet in sheets: 500 + 50 images of 32 x 32",
            f"{PLACE}.sheets:read_sheets", files=("classes.csv", "labels.csv", "sheets"),
        ),
        ImageSet(
            "lfw", "Labeled Faces in the Wild, View 2: people in ten folds",
            f"{PLACE}.faces:read_lfw", files=("people.txt",), people=True,
        ),
        ImageSet(
            "folders", "a folder of folders, one a class or person, as CASIA-WebFace",
            f"{PLACE}.folders:read_folders", people=True,
        ),
    ],
)  # fmt: skip


def find_set(path: FilePath, name: str = "auto") -> ImageSet:
    """Return the entry of a folder: of that name, or the first whose files are there.

    Raises
    ------
    PatchBatchError
        For an unknown name, and for a folder that is not there.
    """
    root = Path(path)
    if name != "auto":
        entry = IMAGE_SETS[name]
    else:
        entry = next(one for one in IMAGE_SETS.values() if all((root / f).exists() for f in one.files))
    if not root.is_dir():
        raise PatchBatchError(f"no folder {path}; give the folder of a data set")
    missing = [file for file in entry.files if not (root / file).exists()]
    if missing:
        raise PatchBatchError(f"{path} has no {missing[0]}, so it is not {entry.name}; check the folder")
    return entry
