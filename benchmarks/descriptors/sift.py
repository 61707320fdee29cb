"""SIFT at every pixel, OpenCV's, upright and at one scale."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.data.given.images import Image
from patchbatch.descriptors.adapters import DenseDescriptor, Points
from patchbatch.descriptors.description import pad_for_patches

NUMBERS = 128
# Keypoints at once: each is a Python object of its own.
KEYPOINTS_AT_ONCE = 65536
# OpenCV's keypoint diameter -> the side of one of SIFT's 4 x 4 cells (its descriptor scale is 3).
CELL_OF_DIAMETER = 1.5


class Sift(DenseDescriptor):
    """Dense SIFT; 128 numbers.

    Parameters
    ----------
    name
        `"sift"` keeps OpenCV's whole numbers 0 to 255; `"rootsift"` takes the roots of their shares of the
        sum (Arandjelovic & Zisserman 2012), a vector of unit length.
    cell_px
        Side of one of the 4 x 4 cells in pixels. Larger cells see more and tell places apart less well.
    """

    def __init__(self, name: str, cell_px: float = 4.0):
        super().__init__(name, self._everywhere, NUMBERS, _border_px(cell_px))
        self.cell_px = cell_px

    def at(self, image: Image, points: Points) -> Tensor:
        """Describe `(N, 2)` pixels, x then y, of an image -> `(N, 128)`."""
        described = torch.from_numpy(_sift(image, points, self.cell_px))
        return F.normalize(described, p=1, dim=1).sqrt_() if self.name == "rootsift" else described

    def _everywhere(self, image: Image) -> Tensor:
        y, x = np.divmod(np.arange(image.size), image.shape[1])
        return self.at(image, np.stack([x, y], axis=1)).view(*image.shape, -1)


def sift(cell_px: float = 4.0) -> Sift:
    """Return SIFT as OpenCV gives it."""
    return Sift("sift", cell_px)


def rootsift(cell_px: float = 4.0) -> Sift:
    """Return the roots of SIFT's shares."""
    return Sift("rootsift", cell_px)


def _border_px(cell_px: float) -> int:
    """Return the farthest corner of the rotated 5 x 5 cells that bilinear binning touches, and its blur."""
    return int(np.ceil(cell_px * 2.5 * 2**0.5)) + 8


def _sift(image: Image, points: Points, cell_px: float) -> Image:
    border = _border_px(cell_px)
    padded = pad_for_patches(np.rint(image * 255), 2 * border + 1).astype(np.uint8)
    sift = cv2.SIFT.create()
    diameter = cell_px / CELL_OF_DIAMETER
    described = np.empty((len(points), 128), np.float32)
    for start in range(0, len(points), KEYPOINTS_AT_ONCE):
        part = points[start : start + KEYPOINTS_AT_ONCE] + border
        keypoints = [cv2.KeyPoint(float(x), float(y), diameter, 0.0) for x, y in part]
        # Given keypoints that all lie inside, OpenCV returns a row for each, in their order.
        described[start : start + len(part)] = sift.compute(padded, keypoints)[1]
    return described
