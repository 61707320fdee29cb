"""Training pairs: made scenes and real pairs, cropped, changed in light, and ready for the network.

Sample `index` of a source depends on its seed and the index alone, so any number of loader processes, and
a run that was stopped and resumed, see the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from patchbatch.data.datasets.pairs import find_all_pairs, load_truth
from patchbatch.data.images import load_image, to_grey
from patchbatch.data.scenes.motion import layered_pair, street_pair
from patchbatch.data.scenes.render import Image, ScenePair
from patchbatch.descriptors.train.samples.augmentation import change_light, degrade, standardize_pair
from patchbatch.descriptors.train.samples.folders import check_folders, photo_files
from patchbatch.descriptors.train.settings import SourceSettings
from patchbatch.errors import PatchBatchError

T = TypeVar("T", bound=np.generic)
Sample = tuple[Image, Image, NDArray[np.float32], NDArray[np.bool_]]
"""image1, image2, flow, visible: see `PairSource`."""


class PairSource(Dataset[Sample]):
    """A map from sample number to (image1, image2, flow, visible).

    Parameters
    ----------
    photos
        Folders of photographs, the textures of layered scenes (searched with their subfolders).
    streets
        Folders of frames of a driving camera; may be empty.
    pairs
        Folders in the official layouts of the flow benchmarks; may be empty. Without photographs they are
        all there is, and every fifth pair is held out.
    settings
        See `SourceSettings`; shares of kinds without a folder go to layered photographs.
    seed, length
        Sample `i` of `length` is drawn from the generator seeded with (seed, i).
    held_out
        True: only every 20th photograph (or every fifth pair), for validation; False: all others.

    Raises
    ------
    PatchBatchError
        For folders that `check_folders` refuses.

    Returns of `source[i]`
    ----------------------
    image1, image2: `(crop, crop)` float32; flow: `(crop, crop, 2)` float32 in px; visible: bool, where the
    flow is known and its target is seen in image2.
    """

    def __init__(
        self, photos: Sequence[Path], streets: Sequence[Path], pairs: Sequence[Path],
        settings: SourceSettings, seed: int, length: int, held_out: bool = False,
    ):  # fmt: skip
        check_folders(photos, streets, pairs)
        self.settings, self.seed, self.length = settings, seed, length
        self.photo_files = photo_files(photos, held_out)
        self.street_files = photo_files(streets, held_out)
        self.pair_folders = list(pairs)
        self.held_out = held_out

    # Each loader process reads the files itself: sending it the pixels would copy them through a pipe.
    @cached_property
    def photos(self) -> list[list[Image]]:
        """Grey photographs at full, half and quarter size."""
        return _halvings([to_grey(load_image(file)) for file in self.photo_files])

    @cached_property
    def streets(self) -> list[list[Image]]:
        """Grey driving frames at full, half and quarter size."""
        return _halvings([to_grey(load_image(file)) for file in self.street_files])

    @cached_property
    def pairs(self) -> list[list[ScenePair]]:
        """Real pairs, each at full size, half and, where it is large, a quarter."""
        loaded = [pair for folder in self.pair_folders for pair in _load_pairs(folder)]
        if not self.photo_files and len(loaded) > 1:
            loaded = [pair for number, pair in enumerate(loaded) if (number % 5 == 0) == self.held_out]
        if not loaded:
            raise PatchBatchError(
                f"no pairs with known flow in {', '.join(map(str, self.pair_folders))}; give a folder in an "
                "official layout"
            )
        return [_halvings_of_pair(pair) for pair in loaded]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        cv2.setNumThreads(1)  # loader processes share the cores with the network
        rng = np.random.default_rng([self.seed, index])
        pair = self._make(rng)
        image1, image2 = pair.image1, pair.image2
        if self.settings.light > 0:
            image2 = change_light(image2, rng, self.settings.light)
            image1 = degrade(image1, rng, self.settings.light) if rng.random() < 0.5 else image1
            image2 = degrade(image2, rng, self.settings.light) if rng.random() < 0.5 else image2
        image1, image2 = standardize_pair(image1, image2, self.settings.mean, self.settings.std, rng)
        return image1, image2, pair.flow, pair.visible

    def _make(self, rng: np.random.Generator) -> ScenePair:
        settings = self.settings
        shares = [1 - settings.half - settings.quarter, settings.half, settings.quarter]
        level = int(rng.choice(3, p=shares))
        size = (settings.crop, settings.crop)
        kind = rng.random()
        if self.pair_folders and (kind < settings.real or not self.photo_files):
            levels = self.pairs[rng.integers(len(self.pairs))]
            return _crop_pair(levels[min(level, len(levels) - 1)], settings.crop, rng)
        if self.street_files and kind < settings.real + settings.street:
            frames = self.streets[min(level, 1)]  # a quarter of a frame is smaller than a crop
            return street_pair(frames[rng.integers(len(frames))], self.photos[level], size, rng)
        return layered_pair(self.photos[level], size, rng)


def _halvings(images: list[Image]) -> list[list[Image]]:
    """Return the images at full, half and quarter size."""
    half = [_half(image) for image in images]
    return [images, half, [_half(image) for image in half]]


def _half(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _load_pairs(folder: Path) -> list[ScenePair]:
    loaded = []
    for pair in find_all_pairs(folder):
        truth = load_truth(pair)
        visible = truth.valid.copy()
        known = [
            mask
            for mask in (truth.noc, _negated(truth.occluded), _negated(truth.invalid))
            if mask is not None
        ]
        for mask in known:
            visible &= mask
        if truth.noc is None and truth.occluded is None:
            visible &= seen_once(truth.flow, truth.valid)
        grey1, grey2 = (to_grey(load_image(path)) for path in (pair.image1, pair.image2))
        visible &= _target_inside(truth.flow, grey2.shape)
        if visible.any():
            loaded.append(ScenePair(grey1, grey2, truth.flow, visible))
    return loaded


def _negated(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return None if mask is None else ~mask


def _target_inside(flow: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]]
    tx, ty = x + flow[..., 0], y + flow[..., 1]
    inside: NDArray[np.bool_] = (tx >= 0) & (ty >= 0) & (tx <= shape[1] - 1) & (ty <= shape[0] - 1)
    return inside


def seen_once(flow: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out pixels whose target is also the target of a pixel that moves otherwise (by over 1 px).

    Stands in for an occlusion mask where a data set has none. Which of the two is seen cannot be told from
    the flow, so both go.
    """
    height, width = valid.shape
    y, x = np.nonzero(valid)
    tx = np.clip(np.rint(x + flow[y, x, 0]), 0, width - 1).astype(np.int64)
    ty = np.clip(np.rint(y + flow[y, x, 1]), 0, height - 1).astype(np.int64)
    low = np.full((height, width, 2), np.inf, np.float32)
    high = np.full((height, width, 2), -np.inf, np.float32)
    np.minimum.at(low, (ty, tx), flow[y, x])
    np.maximum.at(high, (ty, tx), flow[y, x])
    seen = np.zeros_like(valid)
    seen[y, x] = (high[ty, tx] - low[ty, tx]).max(axis=-1) <= 1.0
    return seen


def _halvings_of_pair(pair: ScenePair) -> list[ScenePair]:
    half = _shrink(pair)
    return [pair, half] if min(pair.visible.shape) < 600 else [pair, half, _shrink(half)]


def _shrink(pair: ScenePair) -> ScenePair:
    image1, image2 = _half(pair.image1), _half(pair.image2)
    height, width = image1.shape
    every_second = np.s_[: 2 * height : 2, : 2 * width : 2]
    flow = (pair.flow[every_second] / 2).astype(np.float32)
    return ScenePair(image1, image2, flow, pair.visible[every_second])


def _crop_pair(pair: ScenePair, crop: int, rng: np.random.Generator) -> ScenePair:
    """Cut a window around a random visible pixel, its counterpart in image 2 following the motion."""
    ys, xs = np.nonzero(pair.visible)
    pick = rng.integers(len(ys))
    start1 = _window_start((xs[pick], ys[pick]), pair.image1.shape, crop)
    around = _window(pair.flow, start1, crop), _window(pair.visible, start1, crop)
    motion = np.median(around[0][around[1]], axis=0)
    middle = np.array(start1) + crop // 2 + np.rint(motion)
    start2 = _window_start((int(middle[0]), int(middle[1])), pair.image2.shape, crop)
    flow = around[0] + np.array(start1, np.float32) - np.array(start2, np.float32)
    visible = around[1] & _target_inside(flow, (crop, crop))
    cut = ScenePair(_window(pair.image1, start1, crop), _window(pair.image2, start2, crop), flow, visible)
    return _flip(cut, rng)


def _window_start(middle: tuple[int, int], shape: tuple[int, ...], crop: int) -> tuple[int, int]:
    x, y = (
        int(np.clip(m - crop // 2, 0, max(s - crop, 0))) for m, s in zip(middle, shape[1::-1], strict=True)
    )
    return x, y


def _window(array: NDArray[T], start: tuple[int, int], crop: int) -> NDArray[T]:
    """Cut a crop x crop window; where the array ends, it is padded (False, zero flow, mirrored grey)."""
    x, y = start
    cut = array[y : y + crop, x : x + crop]
    padding = [(0, crop - cut.shape[0]), (0, crop - cut.shape[1])] + [(0, 0)] * (array.ndim - 2)
    is_grey = array.ndim == 2 and array.dtype != np.bool_
    return np.pad(cut, padding, mode="reflect" if is_grey else "constant")


def _flip(pair: ScenePair, rng: np.random.Generator) -> ScenePair:
    """Mirror a pair at its middle row, its middle column, both or neither."""
    image1, image2, flow, visible = pair.image1, pair.image2, pair.flow, pair.visible
    for axis in (0, 1):
        if rng.random() < 0.5:
            image1, image2 = np.flip(image1, axis), np.flip(image2, axis)
            flow, visible = np.flip(flow, axis), np.flip(visible, axis)
            flow = flow * np.array([1, -1] if axis == 0 else [-1, 1], np.float32)
    contiguous = np.ascontiguousarray
    return ScenePair(contiguous(image1), contiguous(image2), contiguous(flow), contiguous(visible))
