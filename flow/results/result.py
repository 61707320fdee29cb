"""What `estimate_flow` returns, and what is most often done with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flow.cost import StageCost
from flow.matching.matches import Matches
from flow.results.keypoints import KeypointMatches, keypoint_matches
from flow.results.warping import warp
from flow.visualize import flow_to_color
from patchbatch.data.files import FilePath
from patchbatch.data.formats import write_flow
from patchbatch.data.given.images import ImageLike

# Fewer matches are taken for chance. Of unrelated frames up to 0.01 of the seeds match, of a picture turned
# by 25 degrees 0.16, of the pair of KITTI 2015 that has most of its motion out of sight 0.64.
LEAST_MATCHED = 0.04
FEW_MATCHED = 0.2
"""With fewer, and image 2 not turned back, the user is told."""

Field = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class FlowResult:
    """What `estimate_flow` returns.

    Attributes
    ----------
    flow
        `(H, W, 2)` float32: u to the right and v downward in pixels, from image 1 to image 2.
    valid
        `(H, W)` bool, where `flow` has a value: everywhere, but for sparse results, and nowhere where the
        result is not `reliable`.
    confidence
        `(H, W)` float32 in [0, 1]: the probability that the flow is within 3 px of the truth, as the dense
        stage was taught to tell; 0 where there is no value, 1 for an initial flow. It only orders pixels
        where `calibrated` is False, and where the settings leave the choice out (`completion.method`).
    matches
        The checked matches that the flow was made from; none where it was made from an initial flow.
    calibrated
        Whether the matches' confidence is a probability, that of being within 3 px: fitted for this model and
        matcher, or by weights in the settings. Otherwise it only orders them.
    matched
        Share of the seeds of image 1 whose match is believed, in [0, 1]. For matches that were brought 1, or
        0 if there are none; for an initial flow 1.
    homography
        `(3, 3)` float64, pixels of image 1 to about those of image 2, where image 2 is turned, zoomed or
        tilted so far that it was matched as it is seen through it; None elsewhere.
    seconds
        Wall time by stage ("describe", "match", perhaps "align", "interpolate", "complete", "refine") and of
        the whole ("total").
    costs
        The same stages with arithmetic and peak memory.
    stages
        With `keep_stages`: (flow, valid) after "matches", "interpolated", "chosen" and "refined".
    descriptors, descriptors2
        With `keep_stages`: the descriptors of image 1, `(H, W, D)`, and of image 2 as it was matched.
    occluded
        `(H, W)` float32 in [0, 1], how likely the pixel is not seen in image 2, hidden or out of the frame;
        0.5 where nothing is known because the result is not `reliable`; None for sparse results, and where
        matches or an initial flow were given.
    """

    flow: NDArray[np.float32]
    valid: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    matches: Matches
    calibrated: bool
    seconds: dict[str, float]
    costs: dict[str, StageCost] = field(default_factory=dict)
    stages: dict[str, Field] = field(default_factory=dict)
    descriptors: Tensor | None = None
    occluded: NDArray[np.float32] | None = None
    matched: float = 1.0
    homography: NDArray[np.float64] | None = None
    descriptors2: Tensor | None = None

    @property
    def reliable(self) -> bool:
        """Whether enough was matched to speak of a motion; if not, nothing is `valid` and all flow is 0."""
        return self.matched >= LEAST_MATCHED

    @property
    def warning(self) -> str | None:
        """What a user has to know about the result, one line; None if there is nothing."""
        if self.reliable:
            if self.homography is None and self.matched < FEW_MATCHED:
                return (
                    f"only {100 * self.matched:.0f} % of image 1 could be matched: much of the flow is "
                    "guessed, see the confidence"
                )
            return None
        if not len(self.matches):
            return "there are no matches, so no motion is known: are these two views of one scene?"
        return (
            f"hardly anything could be matched ({100 * self.matched:.1f} % of image 1, as by chance), so no "
            "motion is known: are these two views of one scene?"
        )

    def warp(self, image2: ImageLike, fill: float = 0.0) -> NDArray[np.float32]:
        """Return image 2 as it looks from image 1: at each pixel what the flow leads to.

        Parameters
        ----------
        image2
            A file, array, tensor or picture of the size of the flow, as `given_image` takes it.
        fill
            In [0, 1], where the flow is not `valid` or leads out of image 2.

        Returns
        -------
        NDArray
            `(H, W)` or `(H, W, 3)` float32 in [0, 1], bilinear between pixels.

        Raises
        ------
        PatchBatchError
            For another size, or what is no image.
        """
        return warp(image2, self.flow, self.valid, fill)

    def color(self, max_radius: float | None = None) -> NDArray[np.uint8]:
        """Return the flow as a picture, `(H, W, 3)` uint8 RGB, see `flow_to_color`."""
        return flow_to_color(self.flow, self.valid, max_radius)

    def save(self, path: FilePath) -> None:
        """Write the flow, whole or not at all, in the format of the suffix: .flo, .png (KITTI), .pfm or .npz.

        Raises
        ------
        PatchBatchError
            For another suffix, or a place that cannot be written to.
        """
        write_flow(path, self.flow, self.valid, self.confidence)

    def to_keypoints(self, least_confidence: float = 0.0, most: int | None = None) -> KeypointMatches:
        """Return the matches as OpenCV has them: key points of both images and which belong together.

        Parameters
        ----------
        least_confidence
            In [0, 1]; matches below are left out.
        most
            So many at most, the most confident ones; None: all.

        Returns
        -------
        KeypointMatches
            Three lists, of `cv2.KeyPoint`, `cv2.KeyPoint` and `cv2.DMatch`, as `cv2.drawMatches` takes them;
            the most confident first. `response` is the confidence, `distance` 1 minus it.
        """
        return keypoint_matches(self.matches, least_confidence, most)
