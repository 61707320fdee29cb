"""A folder of folders, one a class or person, as CASIA-WebFace comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from patchbatch.data.files import FilePath
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import TRAIN, Bytes, LabelledImages, ReadSettings, wanted

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")


def read_folders(path: FilePath, settings: ReadSettings) -> LabelledImages:
    """Read every image of every folder, folders and files in the order of their names.

    All images are held in memory: a million grey ones of 100 x 100 take 10 GB.

    Raises
    ------
    PatchBatchError
        Fewer than two folders with images, an image that cannot be read, or images of unlike sizes where no
        size is asked for.
    """
    root = Path(path)
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
    files = {folder.name: _files(folder) for folder in folders}
    names = tuple(name for name, found in files.items() if found)
    if len(names) < 2:
        raise PatchBatchError(
            f"{path} has {len(names)} folders with images; give one for each class, 2 or more"
        )
    images: list[Bytes] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        for file in files[name]:
            image = wanted(read_image(file), settings, file)
            if images and image.shape != images[0].shape:
                raise PatchBatchError(
                    f"{file} is {image.shape[:2]}, others {images[0].shape[:2]}; give a size"
                )
            images.append(image)
            labels.append(label)
    return LabelledImages(
        np.stack(images), np.array(labels, np.int64), names, np.full(len(labels), TRAIN, np.int64)
    )


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES]
