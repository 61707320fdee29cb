"""See image 2 from where image 1 was taken, when it is turned, zoomed or tilted against it.

The descriptors know upright patches of one size: from a turn of some 25 degrees or a zoom of some 1.6 on they
match next to nothing. SIFT's features (Lowe, IJCV 2004) find their orientation and size by themselves, so a
homography between the images can be had from them, and what is left after it is motion of the usual kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.alignment.settings import AlignmentSettings
from flow.inputs import load_pair
from patchbatch.data.given.images import ImageLike
from patchbatch.data.images import to_grey

_FEATURES, _LARGEST_SIDE = 4000, 1600  # features of an image, and px of the copy that they are looked for in
_RATIO = 0.8  # Lowe's: the nearest feature against the second
_WITHIN_PX = 4.0
_LEAST_CHANGE = 0.15  # of the linear part against the identity: 9 degrees, or a zoom by 1.15
_ZOOM = 8.0
_LEAST_DEPTH = 0.1  # at the corners, against the middle: a view that is tipped further is none


@dataclass(frozen=True)
class Alignment:
    """Image 2 as it is seen from image 1.

    Attributes
    ----------
    homography
        `(3, 3)` float64: takes pixels of the aligned image to those of image 2.
    """

    homography: NDArray[np.float64]

    @property
    def degrees(self) -> float:
        """By how much image 2 is turned in the picture, clockwise positive, in (-180, 180]."""
        (a, b), (c, d) = self.homography[:2, :2]
        return math.degrees(math.atan2(c - b, a + d))

    def applied_to(self, image2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the aligned image, of the size of image 2 `(H, W)` or `(H, W, 3)`; outside it is grey."""
        height, width = image2.shape[:2]
        zoom = math.sqrt(abs(np.linalg.det(_linear_at(self.homography, (width - 1) / 2, (height - 1) / 2))))
        if zoom > 1:  # fewer pixels than there were: what is finer must go first
            image2 = np.asarray(
                cv2.GaussianBlur(image2, (0, 0), 0.5 * math.sqrt(zoom * zoom - 1) + 1e-3), np.float32
            )
        seen = cv2.warpPerspective(
            image2, self.homography, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(float(image2.mean()),) * 4,
        )  # fmt: skip
        return np.asarray(np.clip(seen, 0, 1), np.float32)

    def points(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where points `(..., 2)` of the aligned image are in image 2, px."""
        moved = points @ self.homography[:, :2].T + self.homography[:, 2]
        return np.asarray(moved[..., :2] / moved[..., 2:], np.float32)

    def flow(self, flow: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the flow to image 2 from one to the aligned image, both `(H, W, 2)` px."""
        height, width = flow.shape[:2]
        start = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
        return self.points(start + flow) - start

    def inside(self, points: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return which points `(..., 2)` of the aligned image show some of image 2 `(H, W)`."""
        there = self.points(points)
        within = (there >= 0) & (there <= (shape[1] - 1, shape[0] - 1))
        return np.asarray(within.all(axis=-1), np.bool_)


def _linear_at(homography: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Return a homography's `(2, 2)` slopes at a place."""
    moved = homography @ (x, y, 1)
    place = moved[:2] / moved[2]
    return np.asarray((homography[:2, :2] - np.outer(place, homography[2, :2])) / moved[2], np.float64)


def is_sane(
    homography: NDArray[np.float64], shape: tuple[int, ...], least_change: float = _LEAST_CHANGE
) -> bool:
    """Whether a homography turns nothing inside out, and changes the view of an image `(H, W)` at all."""
    height, width = shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    corners = (0, 0), (width, 0), (0, height), (width, height)
    depth = homography[2] @ (*middle, 1)
    depths = [homography[2] @ (*corner, 1) / depth for corner in corners]
    if min(depths) < _LEAST_DEPTH:
        return False
    linear = _linear_at(homography, *middle)
    zoom = np.linalg.det(linear)
    changed = np.abs(linear - np.eye(2)).max() >= least_change
    return bool(changed and _ZOOM**-2 < zoom < _ZOOM**2)


def find_alignment(
    image1: ImageLike, image2: ImageLike, settings: AlignmentSettings | None = None
) -> Alignment | None:
    """Find how image 2 is turned, zoomed and tilted against image 1.

    Without one, image 2 is looked at in a mirror.

    SIFT's features of both are matched by the ratio of the nearest to the second, and a homography is fitted
    to what agrees most (MAGSAC++, Barath et al., CVPR 2020).

    Parameters
    ----------
    image1, image2
        Of one size, as `load_pair` takes them.
    settings
        `AlignmentSettings`; None takes the defaults.

    Returns
    -------
    None if no homography is obeyed by enough features, or if the one found hardly changes the view.
    """
    settings = settings or AlignmentSettings()
    image1, image2 = load_pair(image1, image2)
    found = _homography(image1, image2, settings.least_inliers)
    if found is not None:
        return Alignment(found) if is_sane(found, image1.shape) else None
    mirror = np.array([[-1.0, 0, image2.shape[1] - 1], [0, 1, 0], [0, 0, 1]])
    found = _homography(image1, image2[:, ::-1], settings.least_inliers)
    if found is None or not is_sane(found, image1.shape, least_change=0):
        return None
    return Alignment(mirror @ found)


def _homography(
    image1: NDArray[np.float32], image2: NDArray[np.float32], least_inliers: int
) -> NDArray[np.float64] | None:
    """Return what takes pixels of image 1 to those of image 2, by features that look alike in both."""
    ends = _alike_features(image1, image2)
    if len(ends) < least_inliers:
        return None
    cv2.setRNGSeed(1)
    found, inliers = cv2.findHomography(
        ends[:, :2], ends[:, 2:], cv2.USAC_MAGSAC, _WITHIN_PX, maxIters=10_000, confidence=0.999
    )
    if found is None or inliers.sum() < least_inliers or not np.isfinite(found).all():
        return None
    return np.asarray(found, np.float64)


def _alike_features(image1: NDArray[np.float32], image2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return places in image 1 and image 2 of features that look alike, `(N, 4)` px."""
    (places1, told1), (places2, told2) = _features(image1), _features(image2)
    if min(len(places1), len(places2)) < 2:
        return np.zeros((0, 4))
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(told1, told2, k=2)
    clear = [first for first, second in nearest if first.distance < _RATIO * second.distance]
    rows1, rows2 = ([getattr(one, name) for one in clear] for name in ("queryIdx", "trainIdx"))
    return np.concatenate([places1[rows1], places2[rows2]], axis=1).reshape(-1, 4)


def _features(image: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return places `(N, 2)` px and descriptors `(N, 128)` of an image's features."""
    grey = np.rint(255 * to_grey(image)).astype(np.uint8)
    shrunk = min(1.0, _LARGEST_SIDE / max(grey.shape))
    if shrunk < 1:
        small = cv2.resize(grey, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
        grey = np.asarray(small, np.uint8)
    sift = cv2.SIFT_create(nfeatures=_FEATURES)  # type: ignore[attr-defined]
    found, told = sift.detectAndCompute(grey, None)
    if not found:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    places = np.array([one.pt for one in found], np.float64)
    return (places + 0.5) / shrunk - 0.5, told
