"""From photographs to the crops that an embedding expects: detected and aligned, or crops already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch import progress
from patchbatch.data.files import FilePath
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.alignment import align
from patchbatch.transfer.embeddings.detection import Detector
from patchbatch.transfer.embeddings.embedding import Embedding
from patchbatch.transfer.embeddings.table import CROPS
from patchbatch.transfer.images.folders import SUFFIXES

# A crop may be a pixel or two off the square that it was meant to be.
_SQUARE = 1.03


@dataclass(frozen=True)
class People:
    """The photographs of a folder tree: files, and the person of each, the name of its folder."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]


def list_people(folder: FilePath) -> People:
    """List a tree with a folder a person.

    Raises
    ------
    PatchBatchError
        Fewer than two folders with images in them.
    """
    root = Path(folder)
    found = [
        (path, person.name)
        for person in sorted(root.iterdir())
        if person.is_dir()
        for path in sorted(person.iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if len({name for _, name in found}) < 2:
        raise PatchBatchError(f"{folder} has not two folders with images; make one for each person")
    paths, names = zip(*found, strict=True)
    return People(paths, names)


def embed_files(
    embedding: Embedding, paths: Sequence[FilePath], detector: Detector | None = None
) -> NDArray[np.float32]:
    """Return the vectors of the faces in photographs.

    Parameters
    ----------
    embedding
        What describes them.
    paths
        Image files.
    detector
        Finds the faces; the largest of each photograph is taken. None: the photographs are crops already, as
        `embedding.crop` says.

    Returns
    -------
    ndarray
        `(N, D)` float32 of unit length.

    Raises
    ------
    PatchBatchError
        A file that is no image, in which no face is found, or, without a detector, that is not square.
    """
    vectors = []
    for done, path in enumerate(paths, 1):
        vectors.append(embedding.embed(face_crop(path, embedding, detector)))
        progress.tell("photographs", done, len(paths))
    if not vectors:
        raise PatchBatchError("there are no photographs; give one or more")
    return np.stack(vectors)


def face_crop(path: FilePath, embedding: Embedding, detector: Detector | None) -> NDArray[np.uint8]:
    """Return the crop of the largest face of a photograph, `(S, S[, 3])` uint8; see `embed_files`."""
    image = _eight_bits(read_image(path))
    if detector is None:
        height, width = image.shape[:2]
        if max(height, width) > _SQUARE * min(height, width):
            raise PatchBatchError(
                f"{path} is {width} x {height}, and without a detector an image is taken as a crop of a face "
                f"({embedding.crop}: {CROPS[embedding.crop].help}); crop it so, or give --detector"
            )
        side = min(height, width)
        return image[:side, :side]
    for turned in _turns(image):
        faces = detector(turned if turned.ndim == 3 else np.repeat(turned[..., None], 3, axis=2))
        if faces:
            return align(turned, faces[0].points, embedding.crop, embedding.side, faces[0].names)
    raise PatchBatchError(f"no face is found in {path}; give a larger or clearer one, or crop it by hand")


def _turns(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the image as it is stored, then turned: a camera's note on which side is up is not read."""
    yield image
    for way in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180):
        yield np.asarray(cv2.rotate(image, way), np.uint8)


def _eight_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
