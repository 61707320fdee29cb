"""CIFAR-100's own files, the python version: `train`, `test` and `meta`, pickles read without running them.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchbatch.data.files import FilePath
from patchbatch.data.pickles import PickleKind, StoredArray, read_pickle
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import (
    TRAIN,
    VALIDATION,
    LabelledImages,
    ReadSettings,
    wanted,
)

SIDE, CLASSES = 32, 100
MEND = "fetch cifar-100-python.tar.gz anew"


@dataclass(frozen=True)
class CifarFile:
    """One of the files: its MD5 as published, the images in it, and most bytes that it may have."""

    md5: str
    images: int
    max_bytes: int


FILES: Mapping[str, CifarFile] = {
    "train": CifarFile("16019d7e3df5f24257cddd939b257f8d", 50_000, 160_000_000),
    "test": CifarFile("f0ef6b0ae62326f3e7ffdfab6717acfc", 10_000, 32_000_000),
    "meta": CifarFile("7973b15100ade9c7d40fb424638fde48", 0, 10_000),
}
"""The MD5s are those that torchvision checks."""


def read_cifar100(path: FilePath, settings: ReadSettings) -> LabelledImages:
    """Read the folder `cifar-100-python`: training images, then the test images as the validation part.

    Classes are the fine ones, in the order of the files.

    Raises
    ------
    PatchBatchError
        A file is missing, too large, not the published one by its MD5, or not as it should be.
    """
    root = Path(path)
    meta = _content(root / "meta")
    names = _texts(meta, "fine_label_names", root / "meta")
    parts = [_images(root / name) for name in ("train", "test")]
    images = np.concatenate([images for images, _ in parts])
    if settings.grey or settings.size not in (None, SIDE):
        images = np.stack([wanted(image, settings, path) for image in images])
    part = np.repeat([TRAIN, VALIDATION], [len(labels) for _, labels in parts])
    return LabelledImages(images, np.concatenate([labels for _, labels in parts]), names, part)


def _content(path: Path) -> dict[str, Any]:
    """Return the dictionary of a file that is the published one."""
    expected = FILES[path.name]
    # A text or a number of a list takes up to four reads; there are three lists beside the array.
    kind = PickleKind("file of CIFAR-100", MEND, expected.max_bytes, 12 * expected.images + 10_000)
    if path.is_file() and path.stat().st_size <= expected.max_bytes:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if digest != expected.md5:
            raise PatchBatchError(f"{path} is not the published file (its MD5 is {digest}); {MEND}")
    content = read_pickle(path, kind)
    if not isinstance(content, dict):
        raise PatchBatchError(f"{path} holds no dictionary; {MEND}")
    return content


def _images(path: Path) -> tuple[Any, Any]:
    """Return images `(N, 32, 32, 3)` uint8 and fine labels `(N,)` of a file."""
    content, count = _content(path), FILES[path.name].images
    data, labels = content.get("data"), content.get("fine_labels")
    if not isinstance(data, StoredArray) or data.shape != (count, 3 * SIDE * SIDE):
        raise PatchBatchError(f"{path} holds no {count} images of 32 x 32; {MEND}")
    right = isinstance(labels, list) and len(labels) == count
    if not right or not all(type(one) is int and 0 <= one < CLASSES for one in labels or ()):
        raise PatchBatchError(f"{path} holds no {count} labels of 0 to 99; {MEND}")
    planes = data.values(path, "|u1", MEND).reshape(count, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.array(labels, np.int64)


def _texts(content: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    texts = content.get(key)
    if not isinstance(texts, list) or len(texts) != CLASSES or not all(isinstance(t, str) for t in texts):
        raise PatchBatchError(f"{path} holds no {CLASSES} names of classes; {MEND}")
    return tuple(texts)
