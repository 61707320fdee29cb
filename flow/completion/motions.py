"""Motions to choose from: a table of models, each valid far from where it was fitted.

A motion takes the pixel c + d, seen from its centre c, to c + ((I + A) d + t) / (1 + g.d): affine with g = 0
for the models of cells and of seeds, a homography for the planes of a whole region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchbatch.compiled import njit

CELL, SEED, PLANE = 0, 1, 2
# A plane's horizon is never crossed: nearer to it than this share of the depth the motion stays as it is.
LEAST_DEPTH = 0.2


@dataclass(frozen=True)
class Motions:
    """M motions.

    Attributes
    ----------
    centres
        `(M, 2)` float32, x then y, px: where a motion was found.
    models
        `(M, 8)` float32: A row by row (4), t (2) in px, g (2) per px.
    support, confidence
        `(M,)` float32 in [0, 1]: how far the matches around agree, and how sure the match itself is.
    kind
        `(M,)` int8, CELL, SEED or PLANE.
    """

    centres: NDArray[np.float32]
    models: NDArray[np.float32]
    support: NDArray[np.float32]
    confidence: NDArray[np.float32]
    kind: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.centres)

    @staticmethod
    def joined(parts: Sequence[Motions]) -> Motions:
        """Return one table of several, in their order."""
        names = ("centres", "models", "support", "confidence", "kind")
        return Motions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def flow_at(self, ids: NDArray[np.intp], points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the flow of motions at points: ids `(...)`, points `(..., 2)` px -> `(..., 2)` px."""
        models, offset = self.models[ids], points - self.centres[ids]
        linear, shift, tip = models[..., :4].reshape(*ids.shape, 2, 2), models[..., 4:6], models[..., 6:]
        depth = np.maximum(1 + (tip * offset).sum(-1, keepdims=True), LEAST_DEPTH)
        moved = np.einsum("...ij,...j->...i", linear, offset) + offset + shift
        return np.asarray(moved / depth - offset, np.float32)


@njit()
def flow_of(model: NDArray[np.float32], dx: np.float32, dy: np.float32) -> tuple[np.float32, np.float32]:
    """Return u and v in px of a model `(8,)` at an offset from its centre in px."""
    one = np.float32(1)
    depth = max(one + model[6] * dx + model[7] * dy, np.float32(LEAST_DEPTH))
    u = ((one + model[0]) * dx + model[1] * dy + model[4]) / depth - dx
    v = (model[2] * dx + (one + model[3]) * dy + model[5]) / depth - dy
    return u, v


def affine_motions(
    centres: NDArray[np.float32], models: NDArray[np.float64], support: NDArray[np.float32],
    confidence: NDArray[np.float32], kind: int,
) -> Motions:  # fmt: skip
    """Return the motions of affine models `(M, 2, 3)` around their centres `(M, 2)`."""
    wide = np.zeros((len(centres), 8), np.float32)
    wide[:, :4], wide[:, 4:6] = models[:, :, :2].reshape(-1, 4), models[:, :, 2]
    return Motions(centres, wide, support, confidence, np.full(len(centres), kind, np.int8))


def plane_motion(homography: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the model `(8,)` of a homography `(3, 3)`, pixels of image 1 to image 2, around a centre."""
    to_centre = np.array([[1, 0, centre[0]], [0, 1, centre[1]], [0, 0, 1]])
    from_centre = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1]])
    around = from_centre @ homography @ to_centre
    around = around / around[2, 2]
    linear = around[:2, :2] - np.eye(2)
    return np.concatenate([linear.ravel(), around[:2, 2], around[2, :2]]).astype(np.float32)


def no_motions() -> Motions:
    """Return an empty table."""
    none = np.zeros(0, np.float32)
    return Motions(
        np.zeros((0, 2), np.float32), np.zeros((0, 8), np.float32), none, none, none.astype(np.int8)
    )
