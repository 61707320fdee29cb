"""The pictures of a pair: the same colours and the same scale for the same thing."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.visualize import (
    ERROR_COLOURS,
    ERROR_ENDS,
    confidence_to_image,
    flow_to_color,
    kitti_error_map,
    matches_to_color,
)
from patchbatch.data.codecs import encode_image
from patchbatch.data.datasets.pairs import Truth
from patchbatch.data.images import read_image, write_image

Picture = NDArray[np.uint8]

THUMBNAIL_PX = 144
# Below this share of known pixels a field is painted as dots, which can be seen when the picture is reduced.
DENSE = 0.5
# A few far longer vectors are not to make all others pale.
RADIUS_QUANTILE = 0.95
# A pair that hardly moves is not blown up to full colour.
LEAST_RADIUS_PX = 1.0


def eight_bits(path: Path) -> Picture:
    """Read a frame with 8 bits, `(H, W)` or `(H, W, 3)`."""
    image = read_image(path)
    return (image // 257).astype(np.uint8) if image.dtype == np.uint16 else image


def radius_of(truth: Truth) -> float:
    """Return the length in px that has full colour in all flows of a pair: 95 % of the truth is within it."""
    vectors = truth.flow[truth.valid]
    if not len(vectors):
        return LEAST_RADIUS_PX
    return max(float(np.quantile(np.hypot(vectors[:, 0], vectors[:, 1]), RADIUS_QUANTILE)), LEAST_RADIUS_PX)


def paint_flow(flow: NDArray[Any], valid: NDArray[np.bool_], radius: float) -> Picture:
    """Paint a flow `(H, W, 2)` px in Middlebury's colours, black where not valid; if sparse, as dots."""
    if valid.mean() >= DENSE:
        return flow_to_color(flow, valid, radius)
    known = valid & np.isfinite(flow).all(axis=-1)
    y, x = np.nonzero(known)
    return matches_to_color(np.stack([x, y], axis=1), flow[known], valid.shape, radius)


def paint_error(flow: NDArray[Any], truth: Truth, counted: NDArray[np.bool_]) -> Picture:
    """Paint the error of a dense flow in KITTI's colours, what the second frame hides half as bright."""
    return kitti_error_map(flow, truth.flow, counted, truth.visible)


def paint_share(values: NDArray[Any]) -> Picture:
    """Paint a confidence or probability, `(H, W)`, in grey; what is not finite is black."""
    return confidence_to_image(np.nan_to_num(values, nan=0.0))


def write_layer(folder: Path, name: str, picture: Picture, suffix: str = ".png") -> str:
    """Write a picture under the name of its layer; return the name of the file."""
    write_image(folder / f"{name}{suffix}", picture)
    return f"{name}{suffix}"


def write_thumbnail(folder: Path, name: str, picture: Picture) -> str:
    """Write a small copy, `THUMBNAIL_PX` wide; return the name of the file."""
    height, width = picture.shape[:2]
    size = THUMBNAIL_PX, max(1, round(height * THUMBNAIL_PX / width))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return write_layer(folder, f"{name}-small", small, ".jpg")


def wheel_link(side: int = 81) -> str:
    """Return the key to the colours of flow as a `data:` link: a disc with full colour at its rim."""
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    picture = flow_to_color(np.stack([u, v], axis=-1), max_radius=1.0)
    return "data:image/png;base64," + b64encode(encode_image(picture, ".png")).decode()


def error_key() -> list[tuple[str, str]]:
    """Return the key to the colours of errors: colour and words of each step, the least error first."""
    words = [*(f"≤ {end:g}" for end in ERROR_ENDS), f"> {ERROR_ENDS[-1]:g}"]
    colours = [f"rgb({red}, {green}, {blue})" for red, green, blue in ERROR_COLOURS.tolist()]
    return list(zip(colours, words, strict=True))
