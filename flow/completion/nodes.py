"""Where the choice is made: nodes on a grid, and the motions that each may choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.completion.motions import CELL, Motions, flow_of
from flow.completion.scene import Scene
from flow.completion.sources import cell_motions, plane_motions, seed_motions
from flow.matching.seeds import EIGHT_NEIGHBOURS
from patchbatch.compiled import njit, prange

STEP = 4
"""Pixels between nodes; the network's weights hold for this one."""
_DIRECTIONS = [(math.cos(k * math.pi / 6), math.sin(k * math.pi / 6)) for k in range(12)]
_REACHES = (6, 12, 24, 48, 96)  # px, at which cells are met
_FIRST = 26  # candidates that come before planes and seeds: this pixel's, and those of the two near rings
_SEED_RINGS = (2, 6)  # seeds away
WITNESS_REACHES = (12, 32, 80)
"""px, at which matches are asked whether they obey a motion."""
_MOST = 48  # candidates of a node
_ALIKE_PX, _ALIKE_SHARE = 0.35, 0.01  # of motion: candidates closer than this are one
# Towards its horizon a plane is endlessly fast: nothing is offered that moves by more than this many times
# the fastest matches, which leave the frame where they are faster still.
_FASTEST, _FASTEST_PX, _FAST_SHARE = 2.5, 30.0, 99.5


@dataclass(frozen=True)
class Nodes:
    """A grid of nodes over image 1; the open ones choose.

    Attributes
    ----------
    xs, ys
        Column and row in px of the grid's columns and rows.
    open
        `(R, C)` bool.
    motions
        All that can be chosen.
    ids, share
        `(N, K)` int32 and float32 of the open nodes, row by row: their candidates, -1 at the end, the
        first one the flow as it is interpolated; and the share of all places looked at where each was met.
    witnesses
        `(N, 36)` int32, cells around, in rings of twelve.
    models
        `(R, C, 10)` float32, centre and model of the motion that each node starts from.
    """

    xs: NDArray[np.intp]
    ys: NDArray[np.intp]
    open: NDArray[np.bool_]
    motions: Motions
    ids: NDArray[np.int32]
    share: NDArray[np.float32]
    witnesses: NDArray[np.int32]
    models: NDArray[np.float32]

    @property
    def points(self) -> NDArray[np.int32]:
        """The open nodes, `(N, 2)`, x then y in px."""
        rows, columns = np.nonzero(self.open)
        return np.stack([self.xs[columns], self.ys[rows]], axis=-1).astype(np.int32)


def node_axis(length: int) -> NDArray[np.intp]:
    """Return the nodes along an axis of `length` px."""
    return np.arange(min(STEP // 2, length - 1), length, STEP)


def find_nodes(scene: Scene, settled: float, planes: int) -> Nodes:
    """Lay the grid, and find what its open nodes may choose from.

    Parameters
    ----------
    scene
        The pair.
    settled
        Confidence of the interpolated flow from which on a node keeps it.
    planes
        Homographies of the whole frame that are looked for.
    """
    xs, ys = node_axis(scene.shape[1]), node_axis(scene.shape[0])
    at = np.ix_(ys, xs)
    cells = scene.cells
    is_open = cells.confidence[at] < settled
    rows, columns = np.nonzero(is_open)
    points = np.stack([xs[columns], ys[rows]], axis=-1).astype(np.int32)
    of_cells, of_seeds, of_planes = cell_motions(cells), seed_motions(scene), plane_motions(scene, planes)
    motions = Motions.joined([of_cells, of_seeds, of_planes, _as_interpolated(scene, of_cells, points)])
    starts = len(of_cells), len(of_cells) + len(of_seeds), len(motions) - len(points)
    offered = _offered(scene, points, starts)
    ids = np.full((len(points), _MOST), -1, np.int32)
    share = np.zeros(ids.shape, np.float32)
    _merge(points, *offered, motions.centres, motions.models, _fastest(scene), ids, share)
    label = cells.label[at]
    models = np.concatenate([of_cells.centres[label], of_cells.models[label]], axis=-1)
    own = slice(starts[2], None)
    models[is_open] = np.concatenate([motions.centres[own], motions.models[own]], axis=-1)
    return Nodes(xs, ys, is_open, motions, ids, share, _cells_around(scene, points, WITNESS_REACHES), models)


def _fastest(scene: Scene) -> np.float32:
    """Return the highest speed that is believable, px."""
    speeds = np.linalg.norm(scene.cells.matches.vectors, axis=1)
    return np.float32(_FASTEST * np.percentile(speeds, _FAST_SHARE) + _FASTEST_PX)


def _as_interpolated(scene: Scene, cells: Motions, points: NDArray[np.int32]) -> Motions:
    """Return the interpolated flow at nodes, with the slopes of their cells."""
    x, y = points.T
    models = cells.models[scene.cells.label[y, x]].copy()
    models[:, 4:6] = scene.cells.flow[y, x]
    confidence = scene.cells.confidence[y, x]
    kind = np.full(len(points), CELL, np.int8)
    return Motions(points.astype(np.float32), models, confidence, confidence, kind)


def _offered(
    scene: Scene, points: NDArray[np.int32], starts: tuple[int, int, int]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return what each node is offered, the first standing for what is like it, and what each counts."""
    count = len(points)
    first_seed, first_plane, first_own = starts
    x, y = points.T
    near = np.stack([first_own + np.arange(count), scene.cells.label[y, x]], axis=1)
    rings = _cells_around(scene, points, _REACHES)
    planes = np.tile(np.arange(first_plane, first_own), (count, 1))
    seeds = _doubted_seeds(scene, points, first_seed)
    inner = _FIRST - near.shape[1]
    offered = np.concatenate([near, rings[:, :inner], planes, seeds, rings[:, inner:]], axis=1)
    counts = np.ones(offered.shape[1], np.float32)
    counts[_FIRST + planes.shape[1] :][: seeds.shape[1]] = 0.5
    return offered.astype(np.int32), counts


def _cells_around(scene: Scene, points: NDArray[np.int32], reaches: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the cells met at some distances in twelve directions, `(N, 12 * len(reaches))`."""
    height, width = scene.shape
    x, y = points.T
    met = []
    for reach in reaches:
        for dx, dy in _DIRECTIONS:
            row = np.clip(np.rint(y + reach * dy), 0, height - 1).astype(np.intp)
            column = np.clip(np.rint(x + reach * dx), 0, width - 1).astype(np.intp)
            met.append(scene.cells.label[row, column])
    return np.stack(met, axis=1).astype(np.int32)


def _doubted_seeds(scene: Scene, points: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    """Return the seeds at and around nodes that were not kept, `(N, 17)`, -1 for those that were."""
    rows, columns = scene.judged.dense.forward.grid
    row, column = nearest_seeds(scene, points)
    offered = []
    for ring in (0, *_SEED_RINGS):
        for dx, dy in EIGHT_NEIGHBOURS if ring else ((0, 0),):
            r = np.clip(row + ring * dy, 0, rows - 1)
            c = np.clip(column + ring * dx, 0, columns - 1)
            offered.append(np.where(scene.judged.keep[r, c], -1, first + r * columns + c))
    return np.stack(offered, axis=1).astype(np.int32)


def nearest_seeds(scene: Scene, points: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the seed whose square holds each point `(..., 2)`."""
    forward = scene.judged.dense.forward
    rows, columns = forward.grid
    place = (points - forward.points[0, 0] + forward.step / 2) // forward.step
    return (
        np.clip(place[..., 1], 0, rows - 1).astype(np.intp),
        np.clip(place[..., 0], 0, columns - 1).astype(np.intp),
    )


@njit(parallel=True)
def _merge(
    points: Any, offered: Any, counts: Any, centres: Any, models: Any, fastest: Any, ids: Any, share: Any
) -> None:
    """Write each node's distinct candidates and the share of what was offered that each stands for."""
    total = counts.sum()
    for n in prange(offered.shape[0]):
        distinct = 0
        u_of, v_of = np.empty(ids.shape[1], np.float32), np.empty(ids.shape[1], np.float32)
        for j in range(offered.shape[1]):
            m = offered[n, j]
            if m < 0:
                continue
            dx, dy = np.float32(points[n, 0]) - centres[m, 0], np.float32(points[n, 1]) - centres[m, 1]
            u, v = flow_of(models[m], dx, dy)
            speed = math.sqrt(u * u + v * v)
            if speed > fastest and j > 0:
                continue
            alike = np.float32(_ALIKE_PX) + np.float32(_ALIKE_SHARE) * speed
            same = -1
            for k in range(distinct):
                if abs(u_of[k] - u) < alike and abs(v_of[k] - v) < alike:
                    same = k
                    break
            if same < 0 and distinct < ids.shape[1]:
                same = distinct
                ids[n, same], u_of[same], v_of[same] = m, u, v
                distinct += 1
            if same >= 0:
                share[n, same] += counts[j] / total
