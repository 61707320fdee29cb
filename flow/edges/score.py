"""How well an edge map finds the boundaries that people drew: the F-measure of the BSDS500 benchmark.

A map is thinned, cut at a threshold, and its pixels are matched one to one with each annotator's within
0.0075 of the image diagonal (Martin, Fowlkes, Malik, PAMI 2004). Here the matching is the largest there is;
the original takes the cheapest of nearly the same size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from flow.edges.gradient import gaussian

TOLERANCE = 0.0075  # of the image diagonal
THRESHOLDS = tuple(np.linspace(0.05, 0.95, 19).tolist())


class Counts(NamedTuple):
    """Pixels of one image at one threshold.

    Attributes
    ----------
    correct, found
        Found pixels that some annotator drew, of all found.
    recalled, drawn
        Drawn pixels that were found, of all drawn, summed over annotators.
    """

    correct: int
    found: int
    recalled: int
    drawn: int


def thinned(edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the map `(H, W)` with 0 wherever a neighbour across the edge is stronger."""
    smooth = gaussian(np.asarray(edges, np.float32), 1.0)
    xx, yy, xy = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=5, borderType=cv2.BORDER_REPLICATE)
        for order in ((2, 0), (0, 2), (1, 1))
    )
    # Across a ridge the second derivative is the most negative: the eigenvector of the lower eigenvalue.
    across = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    y, x = np.mgrid[: edges.shape[0], : edges.shape[1]].astype(np.float32)
    dx, dy = np.cos(across).astype(np.float32), np.sin(across).astype(np.float32)
    sides = [cv2.remap(smooth, x + s * dx, y + s * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
             for s in (np.float32(-1), np.float32(1))]  # fmt: skip
    # On the flanks, where the surface curves upward, that direction runs along the ridge.
    peak = (smooth >= sides[0]) & (smooth >= sides[1]) & (xx + yy < 0)
    return np.where(peak, edges, 0).astype(np.float32)


def count_matches(
    found: NDArray[np.bool_], drawings: Sequence[NDArray[np.bool_]], tolerance: float = TOLERANCE
) -> Counts:
    """Match found pixels with each annotator's, `(H, W)` all, one to one, within the tolerance."""
    reach = tolerance * np.hypot(*found.shape)
    places = np.argwhere(found)
    correct = np.zeros(len(places), np.bool_)
    recalled = 0
    for drawing in drawings:
        partner = _matched(places, np.argwhere(drawing), reach)
        correct |= partner
        recalled += int(partner.sum())
    drawn = sum(int(drawing.sum()) for drawing in drawings)
    return Counts(int(correct.sum()), len(places), recalled, drawn)


def _matched(places: NDArray[np.intp], drawn: NDArray[np.intp], reach: float) -> NDArray[np.bool_]:
    """Return which of the places have a partner in the largest one-to-one matching."""
    if not len(places) or not len(drawn):
        return np.zeros(len(places), np.bool_)
    near = cKDTree(places).sparse_distance_matrix(cKDTree(drawn), reach, output_type="coo_matrix")
    # A pair at distance 0 must stay in the graph, so ones stand in for the distances.
    ones = np.ones(near.nnz, np.int8)
    # Drawn pixels as rows: with the found ones, which are more, scipy searches up to twenty times as long.
    graph = sparse.csr_array((ones, (near.col, near.row)), shape=(len(drawn), len(places)))
    return np.asarray(maximum_bipartite_matching(graph, perm_type="row") >= 0)


def f_measure(counts: Counts) -> float:
    """Return the harmonic mean of precision and recall, in [0, 1]; 0 without any match."""
    precision, recall = counts.correct / max(counts.found, 1), counts.recalled / max(counts.drawn, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def best_f_measure(
    samples: Iterable[tuple[NDArray[np.float32], Sequence[NDArray[np.bool_]]]],
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[float, float]:
    """Return the F-measure at the one threshold that is best for all images (ODS), and that threshold.

    Parameters
    ----------
    samples
        Edge map `(H, W)` in [0, 1], not yet thinned, and the annotators' drawings `(H, W)`, of each image.
    thresholds
        Those that are tried.
    """
    totals = np.zeros((len(thresholds), 4), np.int64)
    for edges, drawings in samples:
        thin = thinned(edges)
        for row, threshold in enumerate(thresholds):
            totals[row] += count_matches(thin >= threshold, drawings)
    scores = [f_measure(Counts(*row.tolist())) for row in totals]
    best = int(np.argmax(scores))
    return scores[best], thresholds[best]
