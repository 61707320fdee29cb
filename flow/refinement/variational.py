"""The variational step: the energy of `flow.refinement.stage`, linearised and relaxed.

Warps of image 2 alternate with one linear system each, as EpicFlow's program does it (lagged diffusivity).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.edges.gradient import as_colour, gaussian
from patchbatch.compiled import njit, prange

EPSILON_SQUARED = 0.001**2  # rounds the tip of psi
_ZETA_SQUARED = 0.1**2  # keeps the normalised residuals finite where the image is flat
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_DERIVATIVE = np.array([[1, -8, 0, 8, -1]], np.float32) / np.float32(12)


def prepared(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the smoothed image as `(H, W, C)` in 0..255, C = 1 or 3."""
    smooth = gaussian(np.asarray(image, np.float32) * np.float32(255), sigma)
    return np.ascontiguousarray(smooth.reshape(*image.shape[:2], -1))


def _gradient(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the five-point derivatives to the right and downward, in the shape of the image."""
    return _filtered(image, _DERIVATIVE), _filtered(image, _DERIVATIVE.T)


def _filtered(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    # OpenCV drops a last axis of length 1.
    filtered = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(filtered, np.float32).reshape(image.shape)


def edge_weight(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return `phi = exp(-5 |grad L|)` of the smoothed luminance in 0..1, `(H, W)`."""
    dx, dy = _gradient(gaussian((as_colour(image) @ _LUMINANCE).astype(np.float32), sigma))
    weight: NDArray[np.float32] = np.exp(-5 * np.hypot(dx, dy))
    return weight


def data_term(
    flow: NDArray[np.float32],
    image1: NDArray[np.float32],
    image2: NDArray[np.float32],
    gamma: float,
    delta: float,
    visible: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the quadratic form of the data at each pixel, `(H, W, 5)`: A11, A12, A22, b1, b2.

    Residuals are linear in the increment; A dw = b is what they ask for on their own. Pixels that leave the
    image or are not visible, `(H, W)`, have all five 0. Images as `prepared` returns them.
    """
    warped, inside = np.empty_like(image2), np.empty(flow.shape[:2], np.bool_)
    _warp(image2, flow, warped, inside)
    inside &= visible
    mean, change = np.float32(0.5) * (image1 + warped), warped - image1
    ix, iy = _gradient(mean)
    data = np.zeros((*flow.shape[:2], 5), np.float32)
    channels = image1.shape[2]
    if gamma:
        (ixx, ixy), (_, iyy) = _gradient(ix), _gradient(iy)
        gx, gy = np.concatenate([ixx, ixy], axis=2), np.concatenate([ixy, iyy], axis=2)
        of_gradient = np.concatenate(_gradient(change), axis=2)
        _add_constancy(gamma, channels, inside, gx, gy, of_gradient, data)
    if delta:
        _add_constancy(delta, channels, inside, ix, iy, change, data)
    return data


@njit(parallel=True)
def _warp(
    image: NDArray[np.float32],
    flow: NDArray[np.float32],
    warped: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Sample the image bilinearly at p + flow(p), clamped to the border; say where that lies inside."""
    height, width, channels = image.shape
    for y in prange(height):
        for x in range(width):
            sx, sy = x + flow[y, x, 0], y + flow[y, x, 1]
            inside[y, x] = 0 <= sx <= width - 1 and 0 <= sy <= height - 1
            sx, sy = min(max(sx, 0.0), width - 1.0), min(max(sy, 0.0), height - 1.0)
            x0, y0 = int(sx), int(sy)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            fx, fy = sx - x0, sy - y0
            for c in range(channels):
                top = image[y0, x0, c] * (1 - fx) + image[y0, x1, c] * fx
                bottom = image[y1, x0, c] * (1 - fx) + image[y1, x1, c] * fx
                warped[y, x, c] = top * (1 - fy) + bottom * fy


@njit(parallel=True)
def _add_constancy(
    weight: float,
    channels: int,
    inside: NDArray[np.bool_],
    gx: NDArray[np.float32],
    gy: NDArray[np.float32],
    change: NDArray[np.float32],
    data: NDArray[np.float32],
) -> None:
    """Add weight/2 * psi(mean over channels of r^2), r = (change + gx du + gy dv) / |(gx, gy)|.

    The last axis holds one residual per channel, or two: then both count in full. EpicFlow sums three
    channels inside psi and weighs the term weight/3, so a grey image counts as three equal channels.
    """
    height, width, residuals = gx.shape
    three = 3.0 / channels
    for y in prange(height):
        for x in range(width):
            if not inside[y, x]:
                continue
            s, a11, a12, a22, b1, b2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for c in range(residuals):
                g1, g2, t = gx[y, x, c], gy[y, x, c], change[y, x, c]
                n = 1 / (g1 * g1 + g2 * g2 + _ZETA_SQUARED)
                s, b1, b2 = s + n * t * t, b1 - n * g1 * t, b2 - n * g2 * t
                a11, a12, a22 = a11 + n * g1 * g1, a12 + n * g1 * g2, a22 + n * g2 * g2
            lagged = weight / 6 * three / math.sqrt(three * s + EPSILON_SQUARED)
            data[y, x, 0] += lagged * a11
            data[y, x, 1] += lagged * a12
            data[y, x, 2] += lagged * a22
            data[y, x, 3] += lagged * b1
            data[y, x, 4] += lagged * b2


def diffusivities(
    flow: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weight between each pixel and its right `(H, W-1)` and lower `(H-1, W)` neighbour.

    The derivative of psi half-way between two pixels: forward difference across the border, mean of the two
    central differences along it.
    """
    padded = np.pad(flow, ((1, 1), (1, 1), (0, 0)), mode="edge")
    along_y = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    along_x = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    weights = []
    for axis, along in ((1, along_y), (0, along_x)):
        low, high = (np.s_[:, :-1], np.s_[:, 1:]) if axis else (np.s_[:-1], np.s_[1:])
        squared = (flow[high] - flow[low]) ** 2 + ((along[high] + along[low]) / 2) ** 2
        phi = (weight[low] + weight[high]) / 2
        weights.append((phi / 2 / np.sqrt(squared.sum(axis=2) + EPSILON_SQUARED)).astype(np.float32))
    return weights[0], weights[1]


def increment_of(
    flow: NDArray[np.float32],
    data: NDArray[np.float32],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    sweeps: int,
    omega: float,
) -> NDArray[np.float32]:
    """Return the increment that solves (data + diffusion) of the flow, by red-black over-relaxation."""
    system = data.copy()
    for weight, low, high in (
        (across, np.s_[:, :-1], np.s_[:, 1:]),
        (down, np.s_[:-1], np.s_[1:]),
    ):
        flux = weight[..., None] * (flow[high] - flow[low])
        system[low][..., 3:] += flux
        system[high][..., 3:] -= flux
    # A frame of zero weights spares the solver every test for the border.
    across, down = np.pad(across, ((0, 0), (1, 1))), np.pad(down, ((1, 1), (0, 0)))
    increment = np.zeros((flow.shape[0] + 2, flow.shape[1] + 2, 2), np.float32)
    for _ in range(sweeps):
        for colour in (0, 1):
            _relax(system, across, down, omega, colour, increment)
    return increment[1:-1, 1:-1]


@njit(parallel=True)
def _relax(
    system: NDArray[np.float32],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    omega: float,
    colour: int,
    increment: NDArray[np.float32],
) -> None:
    """Relax the pixels of one colour of the chessboard; they depend on the other colour only.

    At each: (A + sum of weights) dw = b + sum of weight * dw of the neighbour, a 2x2 system.
    """
    height, width = system.shape[:2]
    for y in prange(height):
        for x in range((y + colour) % 2, width, 2):
            left, right, up, low = across[y, x], across[y, x + 1], down[y, x], down[y + 1, x]
            b1 = system[y, x, 3] + left * increment[y + 1, x, 0] + right * increment[y + 1, x + 2, 0]
            b1 += up * increment[y, x + 1, 0] + low * increment[y + 2, x + 1, 0]
            b2 = system[y, x, 4] + left * increment[y + 1, x, 1] + right * increment[y + 1, x + 2, 1]
            b2 += up * increment[y, x + 1, 1] + low * increment[y + 2, x + 1, 1]
            total = left + right + up + low
            a11, a12, a22 = system[y, x, 0] + total, system[y, x, 1], system[y, x, 2] + total
            determinant = a11 * a22 - a12 * a12
            if determinant > 0:
                du, dv = (a22 * b1 - a12 * b2) / determinant, (a11 * b2 - a12 * b1) / determinant
                increment[y + 1, x + 1, 0] += omega * (du - increment[y + 1, x + 1, 0])
                increment[y + 1, x + 1, 1] += omega * (dv - increment[y + 1, x + 1, 1])
