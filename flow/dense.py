"""From matches to a flow at every pixel: interpolated first, then chosen where that is not sure."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow.completion.occlusion import occlusion_evidence
from flow.completion.scene import scene_of
from flow.completion.stage import Completion, complete
from flow.cost import Meter
from flow.interpolation.stage import fit_cells
from flow.matching.matches import Matches
from flow.matching.stage import JudgedMatches
from flow.settings import FlowSettings
from patchbatch.data.given.images import Image

log = logging.getLogger(__name__)


@dataclass
class Found:
    """What matching left.

    Attributes
    ----------
    matches
        Those that are believed.
    calibrated
        Whether their confidence is a probability.
    judged, descriptors1, descriptors2
        Every seed's match, and the descriptors `(H, W, D)` of both images; None for matches that were
        brought.
    """

    matches: Matches
    calibrated: bool
    judged: JudgedMatches | None = None
    descriptors1: Tensor | None = None
    descriptors2: Tensor | None = None


def make_dense(
    found: Found, image1: Image, image2: Image, edges: NDArray[np.float32] | None, settings: FlowSettings,
    meter: Meter,
) -> tuple[Completion, Completion | None]:  # fmt: skip
    """Return the interpolated flow, and the one that is chosen where that is not sure.

    The second is None where the settings want none of it, or there is nothing to choose by: matches that were
    brought without descriptors, or hardly any.

    Parameters
    ----------
    found
        From matching.
    image1, image2
        `(H, W)` or `(H, W, 3)` float32 in [0, 1].
    edges
        `(H, W)` in [0, 1], or None for the gradient's.
    settings
        `interpolation` and `completion` count.
    meter
        Is told the cost of the stages "interpolate" and "complete".
    """
    with meter.stage("interpolate"):
        cells = fit_cells(found.matches, image1, edges, settings.interpolation)
    if cells is None:
        nothing = np.zeros(image1.shape[:2], np.float32)
        return Completion(np.zeros((*nothing.shape, 2), np.float32), nothing, nothing), None
    interpolated = Completion(cells.flow, cells.confidence, occlusion_evidence(cells.flow, cells.confidence))
    if settings.completion.method == "interpolated" or found.judged is None:
        return interpolated, None
    if found.descriptors1 is None or found.descriptors2 is None:
        return interpolated, None
    with meter.stage("complete"):
        device = found.descriptors1.device
        scene = scene_of(image1, image2, found.descriptors1, found.descriptors2, found.judged, cells)
        chosen = complete(
            scene, settings.completion, device if device.type == "cuda" else torch.device("cpu")
        )
    log.info("of the pixels %.0f %% were settled by matches", 100 * settled_share(cells.confidence, settings))
    return interpolated, chosen


def settled_share(confidence: NDArray[np.float32], settings: FlowSettings) -> float:
    """Return the share of pixels whose interpolated flow is kept."""
    return float((confidence >= settings.completion.settled).mean())
