"""Matches between many views, with key points that the pairs of a view share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.inputs import given_matches
from flow.matching.matches import Matches
from flow.results.keypoints import most_confident
from flow.results.result import FlowResult
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class View:
    """One image.

    Attributes
    ----------
    name
        Its path within the folder of images, with slashes.
    shape
        `(H, W)`, px.
    keypoints
        `(K, 2)` float32, x then y, px; pixel centres are whole numbers.
    scores
        `(K,)` float32 in [0, 1], the confidence of the match that a key point is from.
    """

    name: str
    shape: tuple[int, int]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class ViewPair:
    """The matches of two views.

    Attributes
    ----------
    first, second
        Numbers of the views.
    index
        `(M, 2)` int32, which key point of the first is which of the second; none is there twice.
    scores
        `(M,)` float32 in [0, 1].
    """

    first: int
    second: int
    index: NDArray[np.int32]
    scores: NDArray[np.float32]


class ViewGraph:
    """Collects the matches of pairs of views.

    Points of one view that lie together in different pairs become one key point, so that a point of the scene
    can be followed through more than two views.

    Parameters
    ----------
    merge_px
        Side of the cells in which all points of a view become the most confident one; 0: none do. A match is
        moved by less than this.

    Raises
    ------
    PatchBatchError
        For a side that is none.

    Examples
    --------
    >>> graph = ViewGraph()
    >>> graph.add("a.png", "b.png", [[1, 1, 3, 1]], shape=(8, 9))
    >>> graph.add("b.png", "c.png", [[3, 1, 5, 2]], shape=(8, 9))
    >>> [view.keypoints.tolist() for view in graph.views()]
    [[[1.0, 1.0]], [[3.0, 1.0]], [[5.0, 2.0]]]
    """

    def __init__(self, merge_px: float = 1.0):
        if not 0 <= merge_px < np.inf:
            raise PatchBatchError(f"merge_px is {merge_px}; give a length in px, 0 or more")
        self.merge_px = merge_px
        self._shapes: dict[str, tuple[int, int]] = {}
        self._pairs: dict[tuple[str, str], Matches] = {}

    def add(
        self, name1: str, name2: str, found: Any, *, shape: tuple[int, int] | None = None,
        shape2: tuple[int, int] | None = None, least_confidence: float = 0.5, most: int | None = None,
    ) -> None:  # fmt: skip
        """Add the matches of a pair.

        Parameters
        ----------
        name1, name2
            Paths of the images within their folder, with slashes.
        found
            A `FlowResult`, or matches as `given_matches` takes them.
        shape, shape2
            `(H, W)` of the images; a `FlowResult` knows it, and image 2 has that of image 1 if none is given.
        least_confidence, most
            Matches with less confidence, and all but so many of the most confident, are left out.

        Raises
        ------
        PatchBatchError
            For a pair that is there already, an image with two sizes, or what are no matches.
        """
        if isinstance(found, FlowResult):
            found, shape = found.matches, (found.flow.shape[0], found.flow.shape[1])
        if shape is None:
            raise PatchBatchError(f"the size of {name1} is not known; give shape=(height, width)")
        if name1 == name2 or (name1, name2) in self._pairs or (name2, name1) in self._pairs:
            raise PatchBatchError(f"{name1} and {name2} are no new pair; give each once")
        chosen = most_confident(given_matches(found, shape), least_confidence, most)
        sizes = {name1: (int(shape[0]), int(shape[1]))}
        sizes[name2] = sizes[name1] if shape2 is None else (int(shape2[0]), int(shape2[1]))
        for name, size in sizes.items():
            known = self._shapes.get(name, size)
            if known != size:
                raise PatchBatchError(f"{name} is given as {size} and as {known}; it has one size")
        rows, columns = sizes[name2]
        limit = np.array([columns, rows]) - 0.5
        inside = np.asarray(((chosen.points2 >= -0.5) & (chosen.points2 <= limit)).all(axis=1), np.bool_)
        self._shapes |= sizes
        self._pairs[name1, name2] = chosen.select(inside)

    def views(self) -> list[View]:
        """Return the views in the order in which they came, with their key points."""
        return self._joined()[0]

    def pairs(self) -> list[ViewPair]:
        """Return the pairs in the order in which they came."""
        return self._joined()[1]

    def _joined(self) -> tuple[list[View], list[ViewPair]]:
        numbers = {name: number for number, name in enumerate(self._shapes)}
        views: list[View] = []
        # Which key point an end of a match is, by pair and side.
        index: dict[tuple[tuple[str, str], int], NDArray[np.intp]] = {}
        for name, shape in self._shapes.items():
            ends = [(pair, pair.index(name)) for pair in self._pairs if name in pair]
            found = [self._pairs[pair] for pair, _ in ends]
            parts = [(one.points1, one.points2)[side] for one, (_, side) in zip(found, ends, strict=True)]
            points, sure = np.concatenate(parts), np.concatenate([one.confidence for one in found])
            kept, which = self._merged(points, sure)
            views.append(View(name, shape, points[kept], sure[kept]))
            cuts = np.cumsum([len(part) for part in parts])[:-1]
            index |= dict(zip(ends, np.split(which, cuts), strict=True))
        pairs = []
        for pair, matches in self._pairs.items():
            both = np.stack([index[pair, 0], index[pair, 1]], axis=1).astype(np.int32)
            once = _once_each(both, matches.confidence)
            first, second = (numbers[name] for name in pair)
            pairs.append(ViewPair(first, second, both[once], matches.confidence[once]))
        return views, pairs

    def _merged(
        self, points: NDArray[np.float32], sure: NDArray[np.float32]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which points stay, and for every point the number of the one that stands for it."""
        if not self.merge_px:
            return np.arange(len(points)), np.arange(len(points))
        order = np.argsort(-sure, kind="stable")
        cells = np.rint(points[order].astype(np.float64) / self.merge_px).astype(np.int64)
        _, first, which = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        back = np.empty(len(points), np.intp)
        back[order] = which.reshape(-1)
        return order[first], back


def _once_each(index: NDArray[np.int32], sure: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the rows that stay when no key point may be in two matches: the more confident ones."""
    rows = np.argsort(-sure, kind="stable")
    for side in (0, 1):
        rows = rows[np.sort(np.unique(index[rows, side], return_index=True)[1])]
    return np.sort(rows)
