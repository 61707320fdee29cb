"""The people of Labeled Faces in the Wild as labelled images; its parts are the folds of View 2."""

from __future__ import annotations

import numpy as np

from patchbatch.data.files import FilePath
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import Bytes, LabelledImages, ReadSettings, wanted
from patchbatch.transfer.verification.lfw import Lfw, read_view2
from patchbatch.transfer.verification.lfw_lists import read_people


def read_lfw(path: FilePath, settings: ReadSettings) -> LabelledImages:
    """Read all faces of `people.txt`, in its order.

    Raises
    ------
    PatchBatchError
        As `read_view2`, and as `face_images`.
    """
    view = read_view2(path)
    names = sorted(name for fold in read_people(f"{path}/people.txt") for name, _ in fold)
    return LabelledImages(face_images(view, settings), view.labels, tuple(names), view.fold)


def face_images(view: Lfw, settings: ReadSettings) -> Bytes:
    """Return the faces of a view, row by row.

    Raises
    ------
    PatchBatchError
        For a face that is missing or no image, and for faces of unlike sizes where none is asked for.
    """
    images = [wanted(view.read_grey(row), settings, view.path(row)) for row in range(len(view.faces))]
    if len({image.shape for image in images}) > 1:
        raise PatchBatchError(f"the faces in {view.folder} are of unlike sizes; give a size")
    return np.stack(images)
