"""What speaks for each candidate of each node, and what is known of each node: the numbers chosen by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.completion.motions import CELL, PLANE, SEED, flow_of
from flow.completion.nodes import STEP, Nodes, nearest_seeds
from flow.completion.scene import Scene
from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, squared_distance

CANDIDATE_NUMBERS = 34
"""How many numbers a candidate has; `Evidence` says which."""
NODE_NUMBERS = 31
"""How many numbers a node has."""
_ON_THE_WAY = 8  # places between a node and a motion's centre where edges are looked at
_ASIDE_PX = 4  # the descriptors this far to the four sides are compared too
_WIDE_COST = 20.0  # in units of the usual cost: looking less alike is no worse
_FARTHEST_PX = 50.0  # returning further off is no worse
_COVERED_PX = 3.0
_OBEYS_PX2 = 2.25  # squared px off a motion at which a match counts half
_SURE_RETURN = 0.3  # backward matches that come back this well are counted where they land


@dataclass(frozen=True)
class Evidence:
    """Numbers of the open nodes' candidates and of all nodes.

    Attributes
    ----------
    flows
        `(N, K, 2)` float32, px: where each candidate would take its node.
    candidates
        `(N, K, 34)` float32, 0 where there is no candidate: 0 distance to the motion's centre; 1, 2 mean and
        highest edge on the way; 3 whether the target is inside; 4 cost at the target, 5 with the four places
        beside it, 6 difference of colour, 7 above the least of the node; 8, 9 unlikeness of node and centre,
        by descriptor and colour; 10 how far the backward match at the target is from coming back, 11 its
        trust, 12 both: something else is there; 13, 14 support and confidence of the motion; 15 to 17 share
        of candidates within 1, 3 and 10 px; 18 to 20 share of matches in three rings that obey; 21 speed, 22
        above the median; 23 slope times distance; 24 to 26 kind; 27 difference to the interpolated flow;
        28, 29 height and distance from the middle column; 30 share of places where it was met; 31 growth;
        32, 33 costs 4 and 5 above the least of the node.
    nodes
        `(31, R, C)` float32: 0 to 2 colour; 3 confidence of the interpolated flow; 4 strongest edge; 5 to 8
        return, confidence, keeping and cost of the seed's match; 9 backward matches that land here; 10, 11
        height and distance from the middle column; 12 speed; 13 distance to the match over edges; 14 whether
        the target leaves the frame; 15 to 30 brightness of the 16 pixels around.
    """

    flows: NDArray[np.float32]
    candidates: NDArray[np.float32]
    nodes: NDArray[np.float32]


def gather_evidence(scene: Scene, nodes: Nodes) -> Evidence:
    """Look at everything that speaks for or against the candidates."""
    flows = np.zeros((*nodes.ids.shape, 2), np.float32)
    numbers = np.zeros((*nodes.ids.shape, CANDIDATE_NUMBERS), np.float32)
    motions, points = nodes.motions, nodes.points
    backward = scene.judged.dense.backward
    _look_at_motions(
        points, nodes.ids, motions.centres, motions.models, motions.support, motions.confidence, motions.kind,
        nodes.share, scene.cells.edges, scene.cells.flow, nodes.witnesses, flows, numbers,
    )  # fmt: skip
    _look_at_images(
        points, nodes.ids, motions.centres, motions.models, motions.kind, flows, scene.descriptors1,
        scene.descriptors2, scene.image1, scene.image2, scene.cost_scale, numbers,
    )  # fmt: skip
    _look_back(
        points, nodes.ids, flows, backward.vectors, scene.backward_trust, backward.points[0, 0],
        np.float32(backward.step), np.array(scene.shape), numbers,
    )  # fmt: skip
    _compare(nodes.ids, nodes.share, flows, numbers)
    return Evidence(flows, numbers, _node_numbers(scene, nodes))


@njit(parallel=True)
def _look_at_motions(
    points: Any, ids: Any, centres: Any, models: Any, support: Any, confidence: Any, kind: Any, share: Any,
    edges: Any, flow: Any, witnesses: Any, flows: Any, numbers: Any,
) -> None:  # fmt: skip
    """Write the candidates' flows, and what their motions, the edges and the matches around say."""
    height, width = edges.shape
    for n in prange(points.shape[0]):
        x, y = points[n, 0], points[n, 1]
        for k in range(ids.shape[1]):
            m = ids[n, k]
            if m < 0:
                break
            o, model = numbers[n, k], models[m]
            dx, dy = np.float32(x) - centres[m, 0], np.float32(y) - centres[m, 1]
            u, v = flow_of(model, dx, dy)
            flows[n, k, 0], flows[n, k, 1] = u, v
            away = math.sqrt(dx * dx + dy * dy)
            o[0] = math.log1p(away / 8)
            o[1], o[2] = _edges_between(edges, centres[m, 0], centres[m, 1], dx, dy)
            o[13], o[14] = support[m], confidence[m]
            o[21] = math.log1p(math.sqrt(u * u + v * v))
            slope = math.sqrt(model[0] ** 2 + model[1] ** 2 + model[2] ** 2 + model[3] ** 2)
            o[23] = math.log1p(slope * away)
            o[24] = 1.0 if kind[m] == CELL else 0.0
            o[25] = 1.0 if kind[m] == SEED else 0.0
            o[26] = 1.0 if kind[m] == PLANE else 0.0
            du, dv = u - flow[y, x, 0], v - flow[y, x, 1]
            o[27] = math.log1p(math.sqrt(du * du + dv * dv))
            o[28], o[29] = y / height, abs(x / width - 0.5)
            o[30] = share[n, k]
            o[31] = min(max((model[0] + model[3]) / 2, -0.5), 0.5)
            for ring in range(witnesses.shape[1] // 12):
                o[18 + ring] = _obeyed(witnesses[n, 12 * ring : 12 * ring + 12], m, centres, models)


@njit()
def _edges_between(edges: Any, x: Any, y: Any, dx: Any, dy: Any) -> tuple[Any, Any]:
    """Return the mean and the strongest edge at places between two points."""
    total, top = np.float32(0), np.float32(0)
    for place in range(_ON_THE_WAY):
        part = (place + 0.5) / _ON_THE_WAY
        column, row = int(x + part * dx), int(y + part * dy)
        edge = edges[min(max(row, 0), edges.shape[0] - 1), min(max(column, 0), edges.shape[1] - 1)]
        total += edge
        top = max(top, edge)
    return total / _ON_THE_WAY, top


@njit()
def _obeyed(witnesses: Any, m: Any, centres: Any, models: Any) -> Any:
    """Return the share of some cells whose matches obey a motion."""
    share = np.float32(0)
    for q in witnesses:
        u, v = flow_of(models[m], centres[q, 0] - centres[m, 0], centres[q, 1] - centres[m, 1])
        du, dv = u - models[q, 4], v - models[q, 5]
        share += 1 / (1 + (du * du + dv * dv) / np.float32(_OBEYS_PX2))
    return share / len(witnesses)


@njit(parallel=True)
def _look_at_images(
    points: Any, ids: Any, centres: Any, models: Any, kind: Any, flows: Any, descriptors1: Any,
    descriptors2: Any, image1: Any, image2: Any, scale: Any, numbers: Any,
) -> None:  # fmt: skip
    """Write how alike the images are where the candidates lead, and node and centre in image 1."""
    height, width = image1.shape[:2]
    for n in prange(points.shape[0]):
        x, y = points[n, 0], points[n, 1]
        columns, rows = _places_beside(x, y, width, height)
        queries = np.empty((5, descriptors1.shape[2]), np.float32)
        for place in range(5):
            for i in range(queries.shape[1]):
                queries[place, i] = number(descriptors1[rows[place], columns[place], i])
        for k in range(ids.shape[1]):
            m = ids[n, k]
            if m < 0:
                break
            o = numbers[n, k]
            column, row = _pixel(x + flows[n, k, 0]), _pixel(y + flows[n, k, 1])
            if 0 <= column < width and 0 <= row < height:
                o[3] = 1.0
                total, seen = np.float32(0), 0
                for place in range(5):
                    if place > 0:
                        dx, dy = columns[place] - centres[m, 0], rows[place] - centres[m, 1]
                        u, v = flow_of(models[m], np.float32(dx), np.float32(dy))
                        column, row = _pixel(columns[place] + u), _pixel(rows[place] + v)
                    if 0 <= column < width and 0 <= row < height:
                        cost = _relative(squared_distance(queries[place], descriptors2[row, column]), scale)
                        total += cost
                        seen += 1
                        if place == 0:
                            o[4] = cost
                            o[6] = _colour_difference(image1[y, x], image2[row, column])
                o[5] = total / seen
            if kind[m] != PLANE:
                column = min(max(int(centres[m, 0] + np.float32(0.5)), 0), width - 1)
                row = min(max(int(centres[m, 1] + np.float32(0.5)), 0), height - 1)
                o[8] = _relative(squared_distance(queries[0], descriptors1[row, column]), scale)
                o[9] = _colour_difference(image1[y, x], image1[row, column])


@njit()
def _places_beside(x: Any, y: Any, width: Any, height: Any) -> tuple[Any, Any]:
    """Return columns and rows of a pixel and of the four to its sides, moved into the image."""
    columns, rows = np.full(5, x, np.int64), np.full(5, y, np.int64)
    columns[1], columns[2] = min(x + _ASIDE_PX, width - 1), max(x - _ASIDE_PX, 0)
    rows[3], rows[4] = min(y + _ASIDE_PX, height - 1), max(y - _ASIDE_PX, 0)
    return columns, rows


@njit()
def _pixel(coordinate: Any) -> Any:
    return math.floor(coordinate + 0.5)


@njit()
def _relative(cost: Any, scale: Any) -> Any:
    return np.float32(math.log1p(min(cost / scale, np.float32(_WIDE_COST))))


@njit()
def _colour_difference(first: Any, second: Any) -> Any:
    return 2 * (abs(first[0] - second[0]) + abs(first[1] - second[1]) + abs(first[2] - second[2]))


@njit(parallel=True)
def _look_back(
    points: Any, ids: Any, flows: Any, back: Any, trust: Any, origin: Any, step: Any, shape: Any, numbers: Any
) -> None:
    """Write what the backward matches say where the candidates lead."""
    for n in prange(points.shape[0]):
        for k in range(ids.shape[1]):
            if ids[n, k] < 0:
                break
            o = numbers[n, k]
            if o[3] == 0:
                continue
            u, v = flows[n, k, 0], flows[n, k, 1]
            column = int((points[n, 0] + u - origin[0]) / step + np.float32(0.5))
            row = int((points[n, 1] + v - origin[1]) / step + np.float32(0.5))
            column, row = min(max(column, 0), back.shape[1] - 1), min(max(row, 0), back.shape[0] - 1)
            du, dv = u + back[row, column, 0], v + back[row, column, 1]
            off: Any = min(math.sqrt(du * du + dv * dv), np.float32(_FARTHEST_PX))
            o[10], o[11] = math.log1p(off), trust[row, column]
            o[12] = trust[row, column] * (1 - 1 / (1 + (off / _COVERED_PX) ** 2))


@njit(parallel=True)
def _compare(ids: Any, share: Any, flows: Any, numbers: Any) -> None:
    """Write how each candidate stands among those of its node."""
    for n in prange(ids.shape[0]):
        count = 0
        while count < ids.shape[1] and ids[n, count] >= 0:
            count += 1
        least = np.full(3, 8, np.float32)
        least[1] = 4
        for k in range(count):
            o = numbers[n, k]
            if o[3] > 0:
                least[0], least[1], least[2] = min(least[0], o[4]), min(least[1], o[6]), min(least[2], o[5])
        median = _upper_median(numbers[n], count)
        for k in range(count):
            o = numbers[n, k]
            o[22] = o[21] - median
            if o[3] > 0:
                o[32], o[7], o[33] = o[4] - least[0], o[6] - least[1], o[5] - least[2]
            for j in range(count):
                du, dv = flows[n, k, 0] - flows[n, j, 0], flows[n, k, 1] - flows[n, j, 1]
                apart = du * du + dv * dv
                o[15] += share[n, j] if apart < 1 else np.float32(0)
                o[16] += share[n, j] if apart < 9 else np.float32(0)
                o[17] += share[n, j] if apart < 100 else np.float32(0)


@njit()
def _upper_median(numbers: Any, count: Any) -> Any:
    """Return the median speed of the first candidates, of an even number the higher one; 0 of none."""
    for k in range(count):
        lower, same = 0, 0
        for j in range(count):
            if numbers[j, 21] < numbers[k, 21]:
                lower += 1
            elif numbers[j, 21] == numbers[k, 21]:
                same += 1
        if lower <= count // 2 < lower + same:
            return numbers[k, 21]
    return np.float32(0)


def _node_numbers(scene: Scene, nodes: Nodes) -> NDArray[np.float32]:
    """Return the numbers of all nodes."""
    height, width = scene.shape
    at = np.ix_(nodes.ys, nodes.xs)
    x, y = np.meshgrid(nodes.xs, nodes.ys)
    cells, judged = scene.cells, scene.judged
    row, column = nearest_seeds(scene, np.stack([x, y], axis=-1).astype(np.int32))
    flow = cells.flow[at]
    x2, y2 = x + flow[..., 0], y + flow[..., 1]
    error, cost = scene.forward_error[row, column], judged.dense.forward.cost[row, column] / scene.cost_scale
    planes = [
        *(scene.image1[at] - np.float32(0.5)).transpose(2, 0, 1),
        cells.confidence[at],
        cv2.dilate(cells.edges, np.ones((5, 5), np.uint8))[at],
        np.log1p(np.minimum(np.where(np.isfinite(error), error, 30), 30)),
        judged.confidence[row, column],
        judged.keep[row, column],
        np.log1p(np.minimum(np.where(np.isfinite(cost), cost, _WIDE_COST), _WIDE_COST)),
        np.minimum(_landings(scene, nodes), 4) / 2,
        y / height - 0.5,
        np.abs(x / width - 0.5),
        np.log1p(np.linalg.norm(flow, axis=-1)),
        np.log1p(cells.distance[at]),
        (x2 < 0) | (y2 < 0) | (x2 > width - 1) | (y2 > height - 1),
        *_brightness_around(scene.image1.mean(axis=-1), x, y),
    ]
    return np.stack(planes).astype(np.float32)


def _landings(scene: Scene, nodes: Nodes) -> NDArray[np.float32]:
    """Count the backward matches that land in the square of each node, of those that come back."""
    backward = scene.judged.dense.backward
    sure = scene.backward_trust > _SURE_RETURN
    place = (backward.points + backward.vectors)[sure] - np.array([nodes.xs[0], nodes.ys[0]])
    column, row = np.moveaxis(np.rint(place / STEP).astype(np.intp), -1, 0)
    counts = np.zeros(nodes.open.shape, np.float32)
    inside = (column >= 0) & (row >= 0) & (column < len(nodes.xs)) & (row < len(nodes.ys))
    np.add.at(counts, (row[inside], column[inside]), 1)
    return counts


def _brightness_around(
    grey: NDArray[np.float32], x: NDArray[np.intp], y: NDArray[np.intp]
) -> list[NDArray[np.float32]]:
    """Return by how much the 16 pixels of each node's square are brighter than the node, four times that."""
    height, width = grey.shape
    around = range(-STEP // 2, STEP // 2)
    return [
        4 * (grey[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] - grey[y, x])
        for dy in around for dx in around
    ]  # fmt: skip
