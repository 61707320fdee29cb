"""Scenes for the tests of the completion: of random numbers, or of matches that were made by hand."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow.completion.motions import PLANE, Motions
from flow.completion.nodes import Nodes, find_nodes
from flow.completion.scene import Scene, scene_of
from flow.interpolation.stage import Cells, fit_cells
from flow.matching.matches import Matches
from flow.matching.seeds import DenseMatches, SeedField, seed_grid
from flow.matching.stage import JudgedMatches

STEP = 3
Floats = NDArray[np.float32]


def seeds(vectors: Floats, cost: Floats, shape: tuple[int, int], step: int = STEP) -> SeedField:
    """Return a field of seeds; vectors `(G, W, 2)` or what broadcasts to it."""
    points = seed_grid(*shape, step).astype(np.float32)
    full = np.broadcast_to(np.asarray(vectors, np.float32), points.shape).copy()
    return SeedField(points, full, cost, np.full(cost.shape, np.inf, np.float32), step)


def pictures(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return smooth noise in [0, 1]."""
    noise = cv2.GaussianBlur(rng.random(shape, dtype=np.float32), (0, 0), 2)
    return np.asarray((noise - noise.min()) / max(float(np.ptp(noise)), 1e-6), np.float32)


def random_judged(rng: np.random.Generator, shape: tuple[int, int]) -> JudgedMatches:
    """Return matches without any sense; a tenth has no cost, and some backward ones come back."""
    grid = seed_grid(*shape, STEP).shape[:2]
    fields = []
    for _ in range(2):
        cost = rng.gamma(2, 0.3, grid).astype(np.float32)
        cost[rng.random(grid) < 0.1] = np.inf
        fields.append(seeds(rng.normal(0, 2, (*grid, 2)), cost, shape))
    forward, backward = fields
    keep = np.isfinite(forward.cost) & (rng.random(grid) < 0.6)
    return JudgedMatches(DenseMatches(forward, backward), keep, rng.random(grid, dtype=np.float32))


def random_cells(rng: np.random.Generator, matches: Matches, shape: tuple[int, int]) -> Cells:
    """Return cells without any sense, but for the labels: each pixel has the nearest match."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance, label = cKDTree(matches.points1).query(np.stack([x, y], -1))
    models = rng.normal(0, 0.02, (len(matches), 2, 3))
    models[:, :, 2] = matches.vectors
    flow = (matches.vectors[label] + rng.normal(0, 1, (*shape, 2))).astype(np.float32)
    maps = rng.random((3, *shape), dtype=np.float32)
    return Cells(
        matches, models, rng.random(len(matches), dtype=np.float32), label.astype(np.int32),
        distance.astype(np.float32), maps[0], flow, maps[1],
    )  # fmt: skip


def random_scene(
    seed: int, shape: tuple[int, int] = (30, 44), dimension: int = 6, dtype: torch.dtype = torch.float32
) -> Scene:
    """Return a scene of random numbers, for oracles."""
    rng = np.random.default_rng(seed)
    image1, image2 = pictures(rng, (*shape, 3)), pictures(rng, (*shape, 3))
    judged = random_judged(rng, shape)
    described = [torch.from_numpy(rng.normal(0, 0.5, (*shape, dimension))).to(dtype) for _ in range(2)]
    cells = random_cells(rng, judged.matches, shape)
    return scene_of(image1, image2, described[0], described[1], judged, cells)


def random_nodes(scene: Scene, seed: int, settled: float = 0.7, planes: int = 5) -> Nodes:
    """Return the nodes of a scene with made planes among their candidates, and some candidates fewer."""
    nodes = find_nodes(scene, settled, 0)
    rng = np.random.default_rng(seed)
    size = np.array(scene.shape[::-1], np.float32)
    wide = np.concatenate([rng.normal(0, 0.05, (planes, 4)), rng.normal(0, 5, (planes, 2))], axis=1)
    models = np.concatenate([wide, rng.normal(0, 0.004, (planes, 2))], axis=1).astype(np.float32)
    values = rng.random((2, planes), dtype=np.float32)
    centres = (rng.random((planes, 2)) * size).astype(np.float32)
    made = Motions(centres, models, values[0], values[1], np.full(planes, PLANE, np.int8))
    ids, share = nodes.ids.copy(), nodes.share.copy()
    for n in range(len(ids)):
        count = (ids[n] >= 0).sum()
        places = np.arange(2, count, 4)
        ids[n, places] = len(nodes.motions) + rng.integers(0, planes, len(places))
        least = int(rng.integers(1, count + 1))
        ids[n, least:], share[n, least:] = -1, 0
    return replace(nodes, motions=Motions.joined([nodes.motions, made]), ids=ids, share=share)


def scene_from_matches(
    flow: Floats, keep: NDArray[np.bool_], confidence: float = 0.9, image: Floats | None = None
) -> Scene:
    """Return a scene whose seeds match by a flow `(H, W, 2)` and are believed where `keep` `(G, W)`."""
    shape = flow.shape[0], flow.shape[1]
    points = seed_grid(*shape, STEP)
    vectors = flow[points[..., 1], points[..., 0]]
    cost = np.full(keep.shape, 0.1, np.float32)
    sure = np.full(keep.shape, confidence, np.float32)
    field = DenseMatches(seeds(vectors, cost, shape), seeds(-vectors, cost, shape))
    judged = JudgedMatches(field, keep, sure)
    first = pictures(np.random.default_rng(0), (*shape, 3)) if image is None else image
    cells = fit_cells(judged.matches, first, np.zeros(shape, np.float32))
    assert cells is not None
    described = torch.from_numpy(np.random.default_rng(1).normal(0, 0.3, (*shape, 4)).astype(np.float32))
    return scene_of(first, first, described, described, judged, cells)
