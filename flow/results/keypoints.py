"""Matches as OpenCV's key points."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from flow.matching.matches import Matches
from patchbatch.errors import PatchBatchError

# What OpenCV calls the diameter of a key point: that of the smallest cell that a match stands for.
_SIZE_PX = 1.0


class KeypointMatches(NamedTuple):
    """Matches in OpenCV's three lists.

    Attributes
    ----------
    keypoints1, keypoints2
        `cv2.KeyPoint` each, in px of images 1 and 2; number i of one belongs to number i of the other.
    matches
        `cv2.DMatch` each.
    """

    keypoints1: list[Any]
    keypoints2: list[Any]
    matches: list[Any]


def keypoint_matches(
    matches: Matches, least_confidence: float = 0.0, most: int | None = None
) -> KeypointMatches:
    """Return matches as `FlowResult.to_keypoints` does.

    Raises
    ------
    PatchBatchError
        For a confidence outside [0, 1] or a number that is none.
    """
    chosen = most_confident(matches, least_confidence, most)
    sure = chosen.confidence.tolist()
    first, second = (
        [cv2.KeyPoint(x, y, _SIZE_PX, -1, c) for (x, y), c in zip(points.tolist(), sure, strict=True)]
        for points in (chosen.points1, chosen.points2)
    )
    pairs = [cv2.DMatch(number, number, 1 - c) for number, c in enumerate(sure)]
    return KeypointMatches(first, second, pairs)


def most_confident(matches: Matches, least_confidence: float = 0.0, most: int | None = None) -> Matches:
    """Return the most confident matches, the first of them first.

    Raises
    ------
    PatchBatchError
        For a confidence outside [0, 1] or a number that is none.
    """
    if not 0 <= least_confidence <= 1:
        raise PatchBatchError(f"least_confidence is {least_confidence}; give 0 to 1")
    if most is not None and (most != int(most) or most < 0):
        raise PatchBatchError(f"most is {most}; give a number of matches, 0 or more")
    order = np.argsort(-matches.confidence, kind="stable")
    sure = order[matches.confidence[order] >= least_confidence]
    return matches.select(sure if most is None else sure[: int(most)])
