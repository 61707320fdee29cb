"""What the image says about motion borders: an edge map, and where there is structure to match at all."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.given.images import ImageLike, given_image
from patchbatch.errors import PatchBatchError

# Set on the three pairs of the EpicFlow reference, so a setting more than a finding: with a plain gradient
# KITTI wants a smaller gain than Sintel, because texture cuts the road apart. Less the mean of the
# surroundings, one gain serves both.
_SURROUND_SIGMA_PX = 10.0
_GAIN = 5.0


def gradient_edges(image: ImageLike) -> NDArray[np.float32]:
    """Return the strength of edges that stand out from the texture around them.

    The gradient (3x3 Sobel, the strongest channel; 1 across a step from black to white) less its Gaussian
    mean over 10 px, times 5, clipped. It stands in for a learned edge detector: motion borders are among its
    edges, but so are painted lines.

    Parameters
    ----------
    image
        As `given_image` takes it.

    Returns
    -------
    NDArray[np.float32]
        `(H, W)`, in [0, 1].

    Examples
    --------
    >>> float(gradient_edges(np.full((5, 5), 0.5, np.float32)).max())
    0.0
    """
    colour = as_colour(given_image(image))
    dx, dy = (
        cv2.Sobel(colour, cv2.CV_32F, order, 1 - order, scale=0.25, borderType=cv2.BORDER_REPLICATE)
        for order in (1, 0)
    )
    gradient = np.hypot(dx, dy).max(axis=2).astype(np.float32)
    salient = _GAIN * (gradient - gaussian(gradient, _SURROUND_SIGMA_PX))
    return np.asarray(np.clip(salient, 0, 1), np.float32)


def saliency(image: ImageLike) -> NDArray[np.float32]:
    """Return how much two-dimensional structure surrounds each pixel.

    The square root of the smaller eigenvalue of the colour structure tensor in CIE Lab, whose chroma counts
    most at middle to bright lightness. Saturated and perfectly flat areas come out near 0: a match there is a
    guess.

    Parameters
    ----------
    image
        As `given_image` takes it.

    Returns
    -------
    NDArray[np.float32]
        `(H, W)`, at least 0, in Lab units per pixel.
    """
    # Linear light, without undoing the sRGB curve: so the program prunes the same matches as this.
    lab = cv2.cvtColor(as_colour(given_image(image)), cv2.COLOR_LRGB2LAB)
    lab[..., 1:] *= np.exp(-1.5 * ((lab[..., :1] / 100) ** 2 - 0.6) ** 2)
    smooth = gaussian(np.asarray(lab, np.float32), 0.8)
    across = np.array([[-0.5, 0, 0.5]], np.float32)
    dx = cv2.filter2D(smooth, cv2.CV_32F, across, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.filter2D(smooth, cv2.CV_32F, across.T, borderType=cv2.BORDER_REPLICATE)
    products = (np.einsum("hwc,hwc->hw", a, b) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
    txx, txy, tyy = (gaussian(np.asarray(product, np.float32), 1.0) for product in products)
    half_trace = (txx + tyy) / 2
    root = np.sqrt(np.maximum(0, half_trace**2 + txy**2 - txx * tyy))
    return np.sqrt(np.maximum(0, half_trace - root)).astype(np.float32)


def as_colour(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a contiguous `(H, W, 3)` float32 image; a grey one is repeated."""
    image = np.asarray(image, np.float32)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise PatchBatchError(f"the image has shape {image.shape}; give (H, W) or (H, W, 3)")
    return np.ascontiguousarray(image)


def gaussian(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the image smoothed by a Gaussian of `sigma` px, replicated border; 0 px returns it unchanged.

    The kernel reaches `floor(3 sigma) + 1` px, as in the EpicFlow program.
    """
    if sigma == 0:
        return image
    size = 2 * (int(3 * sigma) + 1) + 1
    smooth = cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32)
