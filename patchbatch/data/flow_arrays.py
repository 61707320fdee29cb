"""What every flow format shares: vectors beside a mask in memory, marks for the unknown in files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.errors import PatchBatchError

Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Middlebury flow code: a component beyond this is unknown, and UNKNOWN is what writers put there.
UNKNOWN_BEYOND = 1e9
UNKNOWN = 1e10


def split_unknown(vectors: NDArray[Any]) -> tuple[Flow, Mask]:
    """Separate stored vectors into flow and mask.

    Parameters
    ----------
    vectors
        `(H, W, 2)` floats as stored; a component that is NaN or beyond 1e9 marks an unknown vector.

    Returns
    -------
    tuple
        Flow `(H, W, 2)` float32 in pixels, 0 where unknown, and the mask `(H, W)` of known vectors.
    """
    valid: Mask = (np.abs(vectors) <= UNKNOWN_BEYOND).all(axis=2)  # false for NaN
    return np.where(valid[..., None], vectors, 0).astype(np.float32), valid


def known_flow(flow: NDArray[Any], valid: NDArray[Any] | None = None) -> tuple[Flow, Mask]:
    """Check what a writer is given and bring it into one form.

    Parameters
    ----------
    flow
        `(H, W, 2)` real numbers in pixels. A vector that is not finite, or beyond 1e9, is unknown.
    valid
        `(H, W)`, non-zero where the flow is known; None for everywhere.

    Returns
    -------
    tuple
        As `split_unknown`.

    Raises
    ------
    PatchBatchError
        A shape or type that is no flow, or a mask of another size.
    """
    vectors = np.asarray(flow)
    if vectors.ndim != 3 or vectors.shape[2] != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        raise PatchBatchError(
            f"a flow is a real array of shape (H, W, 2), not {vectors.dtype} {vectors.shape}; u, v come last"
        )
    known, mask = split_unknown(vectors)
    if valid is None:
        return known, mask
    if np.shape(valid) != mask.shape:
        raise PatchBatchError(
            f"the valid mask has shape {np.shape(valid)} but the flow {mask.shape}; match them"
        )
    mask &= np.asarray(valid).astype(bool)
    known[~mask] = 0
    return known, mask


def with_unknown(flow: Flow, valid: Mask) -> Flow:
    """Return a copy of a flow with 1e10 in both components where it is not valid."""
    return np.where(valid[..., None], flow, np.float32(UNKNOWN))
