"""The matching methods that are compared, each as descriptors of both images -> both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flow.matching.exact.search import nearest_neighbours
from flow.matching.patch_match import KITTI, SINTEL, converging, patchmatch
from flow.matching.seeds import DenseMatches, SeedField, seed_grid
from flow.matching.settings import ExactSettings, MatchingSettings
from flow.matching.stage import match_both_ways
from patchbatch.errors import PatchBatchError

GRID_STEP = 3  # px, that of the original program's matches and of ours
WINDOW_PX = 256  # the fastest pixel of the KITTI pairs moves 245 px

Pyramid = Sequence[Tensor]
Search = Callable[[str, Pyramid, Pyramid], DenseMatches]


def _regularised(name: str, _dataset: str, pyramid1: Pyramid, pyramid2: Pyramid) -> DenseMatches:
    return match_both_ways(pyramid1, pyramid2, MatchingSettings(method=name))  # type: ignore[arg-type]


def _exact(settings: ExactSettings, _dataset: str, pyramid1: Pyramid, pyramid2: Pyramid) -> DenseMatches:
    """Search the whole of the other image for the seeds of each; only the finest level counts."""
    return DenseMatches(
        _nearest(pyramid1[0], pyramid2[0], settings), _nearest(pyramid2[0], pyramid1[0], settings)
    )


def _nearest(descriptors1: Tensor, descriptors2: Tensor, settings: ExactSettings) -> SeedField:
    found = nearest_neighbours(descriptors1, descriptors2, settings)
    size1, size2 = tuple(descriptors1.shape[:2]), tuple(descriptors2.shape[:2])
    return _seed_field(found.index12, found.distance12, size1, size2, settings.step)


def _seed_field(
    index: NDArray[np.int32],
    cost: NDArray[np.float32],
    size1: tuple[int, ...],
    size2: tuple[int, ...],
    step: int,
) -> SeedField:
    """Turn flat indices `(G, W)` of seeds into vectors; a search for the nearest keeps no rivals."""
    seeds = seed_grid(size1[0], size1[1], step)
    y, x = np.divmod(index, size2[1])
    vectors = np.where(index[..., None] >= 0, np.stack([x, y], axis=-1) - seeds, 0)
    rival = np.full_like(cost, np.inf)
    return SeedField(seeds.astype(np.float32), vectors.astype(np.float32), cost, rival, step)


def _patchmatch(converged: bool, dataset: str, pyramid1: Pyramid, pyramid2: Pyramid) -> DenseMatches:
    """Run it on all pixels, as it must; image 1 is thinned to the grid afterwards."""
    first, second = pyramid1[0], pyramid2[0]
    size1, size2 = tuple(first.shape[:2]), tuple(second.shape[:2])
    settings = KITTI if dataset.startswith("kitti") else SINTEL
    if converged:
        settings = converging(max(size1[0], size2[0]), max(size1[1], size2[1]))
    found = patchmatch(first, second, settings)
    x, y = np.moveaxis(seed_grid(size1[0], size1[1], GRID_STEP), -1, 0)
    return DenseMatches(
        _seed_field(found.index12[y, x], found.distance12[y, x], size1, size2, GRID_STEP),
        _seed_field(found.index21, found.distance21, size2, size1, 1),
    )


SEARCHES: dict[str, Search] = {
    "coarse-to-fine": partial(_regularised, "coarse-to-fine"),
    "semi-global": partial(_regularised, "semi-global"),
    "exact-global": partial(_exact, ExactSettings(step=GRID_STEP)),
    "exact-windowed": partial(_exact, ExactSettings(step=GRID_STEP, window=WINDOW_PX)),
    "patchmatch": partial(_patchmatch, False),
    "patchmatch-converged": partial(_patchmatch, True),
}


def search_of(name: str) -> Search:
    """Return the search of a name: data set and both pyramids -> both directions.

    Raises
    ------
    PatchBatchError
        For an unknown name.
    """
    if name not in SEARCHES:
        raise PatchBatchError(f"unknown method {name!r}; choose one of {', '.join(SEARCHES)}")
    return SEARCHES[name]
