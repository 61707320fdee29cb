"""Finding faces in a photograph: by OpenCV's YuNet, whose model is a file of its own, or by dlib."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import FilePath, peek
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.table import FIVE, WITHOUT_MOUTH

MEND = "pip install 'patchbatch[faces]'"
_LONGEST = 1024  # px; larger photographs are searched at that size, in which small faces are still 20 px
_LEAST_SCORE = 0.7  # of YuNet, in [0, 1]


@dataclass(frozen=True)
class Face:
    """A face in a photograph.

    Attributes
    ----------
    points
        `(K, 2)`, (x, y) in px of the photograph.
    names
        What the points are.
    size
        Width of its box, px.
    """

    points: NDArray[np.float64]
    names: tuple[str, ...]
    size: float


Detector = Callable[[NDArray[np.uint8]], list[Face]]
"""From RGB `(H, W, 3)` uint8 to the faces, the largest first."""


def load_detector(spec: FilePath) -> Detector:
    """Return a detector of faces.

    Parameters
    ----------
    spec
        "dlib", or the file of a YuNet model, such as OpenCV's `face_detection_yunet_2023mar.onnx`.

    Raises
    ------
    PatchBatchError
        A file that is missing or no such model, or dlib that is not installed.
    """
    finder = _dlib() if os.fspath(spec) == "dlib" else _yunet(spec)

    def found(image: NDArray[np.uint8]) -> list[Face]:
        scale = min(1.0, _LONGEST / max(image.shape[:2]))
        small = (
            image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
        faces = [
            Face((one.points + 0.5) / scale - 0.5, one.names, one.size / scale)
            for one in finder(np.ascontiguousarray(small, np.uint8))
        ]
        return sorted(faces, key=lambda face: -face.size)

    return found


def _yunet(path: FilePath) -> Detector:
    peek(path, 1)
    try:
        model = cv2.FaceDetectorYN.create(os.fspath(path), "", (320, 320), _LEAST_SCORE)
    except (cv2.error, AttributeError) as error:
        raise PatchBatchError(
            f"{path} is no YuNet model that OpenCV reads; take face_detection_yunet_2023mar.onnx of its zoo"
        ) from error

    def found(image: NDArray[np.uint8]) -> list[Face]:
        model.setInputSize((image.shape[1], image.shape[0]))
        rows: Any = model.detect(image[..., ::-1].copy())[1]
        # A row: box (4), five points (10), score.
        return [
            Face(np.asarray(row[4:14], np.float64).reshape(5, 2), FIVE, float(row[2]))
            for row in (rows if rows is not None else ())
        ]

    return found


def _dlib() -> Detector:
    points_file = dlib_file("shape_predictor_5_face_landmarks.dat")
    try:
        dlib: Any = importlib.import_module("dlib")
    except ImportError as error:
        raise PatchBatchError(f"dlib is not installed; {MEND}, or give the file of a YuNet model") from error
    boxes, shape = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(points_file))

    def found(image: NDArray[np.uint8]) -> list[Face]:
        # Its smallest face is 80 px: where there is none, it is searched again at twice the size.
        return [_from_dlib(box, shape(image, box)) for box in boxes(image, 0) or boxes(image, 1)]

    return found


def _from_dlib(box: Any, shape: Any) -> Face:
    corners = np.array([[point.x, point.y] for point in shape.parts()], np.float64)
    # The corners of the left eye, of the right one, and the nose.
    points = np.stack([corners[2:4].mean(axis=0), corners[0:2].mean(axis=0), corners[4]])
    return Face(points, WITHOUT_MOUTH, float(box.width()))


def dlib_file(name: str) -> Path:
    """Return a file of the package `face_recognition_models`, which is not imported: it asks for old tools.

    Raises
    ------
    PatchBatchError
        The package is not installed.
    """
    found = importlib.util.find_spec("face_recognition_models")
    if found is None or not found.submodule_search_locations:
        raise PatchBatchError(f"the package face_recognition_models is not installed; {MEND}")
    return Path(found.submodule_search_locations[0]) / "models" / name
