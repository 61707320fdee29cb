"""Variational refinement: a dense flow is moved to a nearby minimum of gradient constancy plus smoothness.

The energy is that of EpicFlow's last step (Revaud et al., CVPR 2015; the normalised data term of Zimmer et
al., IJCV 2011), on one scale, started from the flow given:

    E(w) = sum_p  gamma/2 * psi(mean over channels of r_x^2 + r_y^2)  +  delta/2 * psi(mean of r^2)
                + alpha * phi * psi(|grad u|^2 + |grad v|^2),      psi(s^2) = sqrt(s^2 + 0.001^2),

with `r` the change of brightness and `r_x`, `r_y` of its gradient between image 1 and the warped image 2,
each divided by its own gradient, so that residuals are pixels; `phi` is small at edges of image 1.

Where no match passed the two-way check the images have nothing to say (most often the pixel is hidden in
image 2), and the smoothness bends the planes that the interpolation put there. So the step can be held back
by the confidence of the interpolated flow: `RefinementSettings.trust` leaves such pixels alone, `data_trust`
only takes their data term away.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.inputs import FlowLike, given_flow, load_pair
from flow.refinement.settings import RefinementSettings
from flow.refinement.table import REFINEMENTS
from flow.refinement.variational import data_term, diffusivities, edge_weight, increment_of, prepared
from patchbatch.data.given.fields import given_map
from patchbatch.data.given.images import ImageLike
from patchbatch.data.images import to_grey
from patchbatch.errors import PatchBatchError

# Half the width, in confidence, of the passage from "left alone" to "refined".
_TRUST_RAMP = 0.1


def refine(
    flow: FlowLike,
    image1: ImageLike,
    image2: ImageLike,
    settings: RefinementSettings | None = None,
    confidence: Any = None,
) -> NDArray[np.float32]:
    """Return the flow moved towards a nearby minimum of the energy; the input is left alone.

    Corrections of a pixel or two are found, larger errors are not; where the motion leaves the image only the
    smoothness acts. The result does not depend on the number of threads.

    Parameters
    ----------
    flow
        `(H, W, 2)` or a tensor `(2, H, W)`, u to the right and v downward, in px; or a file with a value at
        every pixel.
    image1, image2
        Files, arrays, tensors or pictures of one size, as `given_image` takes them.
    settings
        `None` means `RefinementSettings()`.
    confidence
        `(H, W)` in [0, 1], of the flow, from `interpolate`; what `data_trust` and `trust` look at. `None`
        trusts every pixel.

    Returns
    -------
    NDArray[np.float32]
        `(H, W, 2)`, in px.

    Raises
    ------
    PatchBatchError
        When the shapes do not fit or the flow is not finite.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    >>> float(np.abs(refine(np.zeros((8, 8, 2), np.float32), image, image)).max())
    0.0
    """
    settings = settings or RefinementSettings()
    image1, image2 = load_pair(image1, image2)
    shape = image1.shape[:2]
    flow = given_flow(flow, shape, "the flow")
    trusted = np.ones(shape, np.float32)
    if confidence is not None:
        trusted = given_map(confidence, shape, "the confidence")
    step = REFINEMENTS[settings.method].load()
    refined: NDArray[np.float32] = step(flow, image1, image2, trusted, settings)
    if not np.isfinite(refined).all():
        raise PatchBatchError("the refinement does not converge; choose smaller weights or omega")
    return _within_reach(flow, refined, settings.reach_px)


def _within_reach(
    flow: NDArray[np.float32], refined: NDArray[np.float32], reach_px: float
) -> NDArray[np.float32]:
    """Take moves back that are too long to be corrections: a move d is kept by `1 / (1 + (d / reach)^4)`.

    A flow that is right moves by a fraction of a pixel. Where it moves further, the smoothness has pulled it
    over a border of motion, or the images at something that is not there; and where the flow was wrong by
    pixels, this step cannot mend it.
    """
    if np.isinf(reach_px):
        return refined
    move = refined - flow
    length = np.linalg.norm(move, axis=-1, keepdims=True)
    return np.asarray(flow + move / (1 + (length / reach_px) ** 4), np.float32)


def _share(confidence: NDArray[np.float32], trust: float) -> NDArray[np.float32]:
    """Return by how much a pixel may move, `(H, W, 1)`: 0 below the trust, 1 above, a ramp between."""
    if not trust:
        return np.ones((*confidence.shape, 1), np.float32)
    ramp = np.clip((confidence - trust) / (2 * _TRUST_RAMP) + 0.5, 0, 1)
    return np.asarray(ramp[..., None], np.float32)


def refine_variationally(
    flow: NDArray[np.float32],
    image1: NDArray[np.float32],
    image2: NDArray[np.float32],
    confidence: NDArray[np.float32],
    settings: RefinementSettings,
) -> NDArray[np.float32]:
    """Alternate warps and linear systems; what a pixel may not move it keeps, as a border to the others."""
    first, second = prepared(image1, settings.sigma), prepared(image2, settings.sigma)
    smoothness = settings.alpha * edge_weight(image1, settings.sigma)
    share, visible = _share(confidence, settings.trust), confidence >= settings.data_trust
    refined = np.array(flow, np.float32, order="C")
    for _ in range(settings.outer_iterations):
        data = data_term(refined, first, second, settings.gamma, settings.delta, visible)
        across, down = diffusivities(refined, smoothness)
        refined += share * increment_of(refined, data, across, down, settings.sweeps, settings.omega)
    return refined


def refine_by_opencv(
    flow: NDArray[np.float32],
    image1: NDArray[np.float32],
    image2: NDArray[np.float32],
    confidence: NDArray[np.float32],
    settings: RefinementSettings,
) -> NDArray[np.float32]:
    """Let `cv2.VariationalRefinement` move the flow; of the settings iterations, sweeps and trust count."""
    moved = np.array(flow, np.float32, order="C")
    if not settings.outer_iterations or not settings.sweeps or min(flow.shape[:2]) < 2:
        return moved
    first, second = (np.rint(255 * to_grey(image)).astype(np.uint8) for image in (image1, image2))
    program = cv2.VariationalRefinement.create()
    program.setFixedPointIterations(settings.outer_iterations)
    program.setSorIterations(int(settings.sweeps))
    moved = np.asarray(program.calc(first, second, moved), np.float32)
    share = _share(confidence, max(settings.trust, settings.data_trust))
    return np.asarray(flow + share * (moved - flow), np.float32)
