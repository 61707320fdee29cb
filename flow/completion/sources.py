"""Where motions come from: cells of matches, matches that were not believed, planes of the whole frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.completion.motions import (
    CELL,
    PLANE,
    SEED,
    Motions,
    affine_motions,
    no_motions,
    plane_motion,
)
from flow.completion.scene import Scene
from flow.interpolation.estimators.robust import robust_affine
from flow.interpolation.settings import ROBUST_PRESETS
from flow.interpolation.stage import Cells
from flow.interpolation.support import neighbour_support

# A seed's model is fitted to every second seed of a square of 13, so it spans 39 px on a 3-px grid.
_WINDOW, _STRIDE = 3, 2
_SEED_SETTINGS = replace(ROBUST_PRESETS["default"], truncation_px=2.0)
_PLANE_PX, _OBEYS_PX = 1.5, 2.0  # of the search for a homography, and to be counted as explained by it
_LEAST_BELIEVED, _LEAST_DOUBTED = 40, 60  # matches that make a plane
_DOUBTED_SHARE = 3  # one plane in so many is looked for among the matches that are not believed
_SPEAKERS = 3000


def cell_motions(cells: Cells) -> Motions:
    """Return the motion of every cell."""
    return affine_motions(cells.matches.points1, cells.models, cells.support, cells.matches.confidence, CELL)


def seed_motions(scene: Scene) -> Motions:
    """Return a robust affine motion around every seed, of matches that nothing has checked.

    Where the check drops all matches of a thing because it grows or shines, most of them may still agree.
    """
    forward, judged = scene.judged.dense.forward, scene.judged
    trust = np.where(judged.keep, np.maximum(judged.confidence, 0.3), 0.1 + 0.3 * judged.confidence)
    trust = trust.astype(np.float32).ravel()
    index = _windows(forward.grid)
    index[~_near_doubt(judged.keep).ravel(), 1:] = -1  # nothing asks for these: they cost nothing
    weights = np.where(index >= 0, trust[np.maximum(index, 0)], 0).astype(np.float32)
    points, vectors = forward.points.reshape(-1, 2), forward.vectors.reshape(-1, 2)
    models = robust_affine(points, vectors, index, weights, _SEED_SETTINGS)
    ones = np.ones(len(points), np.float32)
    support, _ = neighbour_support(points, vectors, ones, index, weights, models)
    return affine_motions(points, models, support, trust, SEED)


def _near_doubt(keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the seeds whose match was dropped, and those that their models are fitted to."""
    side = 2 * _WINDOW * _STRIDE + 1
    return cv2.dilate((~keep).astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _windows(grid: tuple[int, int]) -> NDArray[np.int32]:
    """Return the seeds around each seed of a grid, nearest first: `(rows * columns, 49)`, -1 at the end."""
    rows, columns = grid
    reach = range(-_WINDOW, _WINDOW + 1)
    offsets = sorted(
        ((_STRIDE * dx, _STRIDE * dy) for dy in reach for dx in reach), key=lambda o: o[0] ** 2 + o[1] ** 2
    )
    y, x = np.mgrid[:rows, :columns]
    index = np.full((rows * columns, len(offsets)), -1, np.int32)
    for column, (dx, dy) in enumerate(offsets):
        inside = (y + dy >= 0) & (x + dx >= 0) & (y + dy < rows) & (x + dx < columns)
        index[:, column] = np.where(inside, (y + dy) * columns + x + dx, -1).ravel()
    cut = (index < 0).any(axis=1)
    order = np.argsort(index[cut] < 0, axis=1, kind="stable")
    index[cut] = np.take_along_axis(index[cut], order, axis=1)
    return index


def plane_motions(scene: Scene, count: int) -> Motions:
    """Return homographies that many matches obey, the largest first.

    One after the other is found by RANSAC (MAGSAC++, Barath et al., CVPR 2020) among the matches that none
    before explains; a third of them among the matches that the check dropped.

    Parameters
    ----------
    scene
        The pair.
    count
        Planes at most.
    """
    matches, forward = scene.cells.matches, scene.judged.dense.forward
    doubted = count // _DOUBTED_SHARE
    ends = matches.points1 + scene.cells.models[:, :, 2]
    believed = _planes(matches.points1, ends, count - doubted, _LEAST_BELIEVED)
    dropped = ~scene.judged.keep & np.isfinite(forward.cost)
    rest = _planes(
        forward.points[dropped], (forward.points + forward.vectors)[dropped], doubted, _LEAST_DOUBTED
    )
    return Motions.joined([believed, rest])


def _planes(points: NDArray[Any], ends: NDArray[Any], count: int, least: int) -> Motions:
    starts, targets = points.astype(np.float64), ends.astype(np.float64)
    left = np.ones(len(starts), np.bool_)
    generator = np.random.default_rng(0)
    found: list[tuple[NDArray[np.float64], NDArray[np.float32], float]] = []
    for _ in range(count):
        homography = _one_plane(starts, targets, np.nonzero(left)[0], least, generator)
        if homography is None:
            break
        obeying = _residuals(homography, starts, targets) < _OBEYS_PX
        mine = obeying & left
        if mine.sum() < least:
            break
        centre = np.median(starts[mine], axis=0)
        found.append((centre, plane_motion(homography, centre), mine.sum() / len(starts)))
        left &= ~obeying
    if not found:
        return no_motions()
    centres, models, shares = (np.array(part, np.float32) for part in zip(*found, strict=True))
    return Motions(
        centres, models, shares, np.ones(len(found), np.float32), np.full(len(found), PLANE, np.int8)
    )


def _one_plane(
    starts: NDArray[np.float64], targets: NDArray[np.float64], rows: NDArray[np.intp], least: int,
    generator: np.random.Generator,
) -> NDArray[np.float64] | None:  # fmt: skip
    if len(rows) < least:
        return None
    if len(rows) > _SPEAKERS:
        rows = generator.choice(rows, _SPEAKERS, replace=False)
    cv2.setRNGSeed(1)
    homography, _ = cv2.findHomography(
        starts[rows], targets[rows], cv2.USAC_MAGSAC, _PLANE_PX, maxIters=1000, confidence=0.99
    )
    return None if homography is None else np.asarray(homography, np.float64)


def _residuals(
    homography: NDArray[np.float64], starts: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    moved = starts @ homography[:, :2].T + homography[:, 2]
    depth = np.where(np.abs(moved[:, 2:]) < 1e-9, 1e-9, moved[:, 2:])
    return np.asarray(np.linalg.norm(moved[:, :2] / depth - targets, axis=1))
