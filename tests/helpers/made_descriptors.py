"""Hand-made dense descriptors for the matching tests: no trained network needed."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray


def texture(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return a smooth random texture `(H, W)` in [0, 1]."""
    noise = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    image = cv2.GaussianBlur(noise, (0, 0), 1.5) + cv2.GaussianBlur(noise, (0, 0), 6) * 3
    return np.asarray((image - image.min()) / (image.max() - image.min()), dtype=np.float32)


def histograms(image: NDArray[np.float32], cell: float = 3) -> torch.Tensor:
    """Describe every pixel by 4 x 4 cells of 8 gradient orientations: `(H, W, 128)`, unit length."""
    dx = cv2.Sobel(image, cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(image, cv2.CV_32F, 0, 1)
    angles = np.arange(8, dtype=np.float32) * (np.pi / 4)
    responses = np.maximum(dx[..., None] * np.cos(angles) + dy[..., None] * np.sin(angles), 0)
    responses *= (responses / np.maximum(np.hypot(dx, dy), 1e-9)[..., None]) ** 8
    smooth = [cv2.GaussianBlur(responses[..., i], (0, 0), cell * 0.6) for i in range(8)]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    offsets = (np.arange(4, dtype=np.float32) - np.float32(1.5)) * np.float32(cell)
    cells = [
        cv2.remap(part, x + ox, y + oy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for oy in offsets
        for ox in offsets
        for part in smooth
    ]
    stacked = np.stack(cells, axis=-1)
    stacked /= np.linalg.norm(stacked, axis=-1, keepdims=True) + np.float32(1e-2)
    stacked = np.minimum(stacked, 0.2)
    stacked /= np.linalg.norm(stacked, axis=-1, keepdims=True) + np.float32(1e-6)
    return torch.from_numpy(np.ascontiguousarray(stacked))


def pyramid(image: NDArray[np.float32], levels: int, cell: float = 3) -> list[torch.Tensor]:
    """Describe an image and its halves, the full image first."""
    described = []
    for _ in range(levels):
        described.append(histograms(image, cell))
        image = cv2.pyrDown(image)
    return described
