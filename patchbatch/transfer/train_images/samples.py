"""Training images by the number of their batch: which, and how each is changed.

Both depend on the seed and the number alone: any number of loader processes, a run that was stopped and goes
on, and networks with other heads see the same.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import Bytes, LabelledImages, Rows
from patchbatch.transfer.train_images.settings import Augmentation, Sampling

Floats = NDArray[np.float32]
Batch = tuple[Tensor, Tensor]


class Batches(Dataset[Batch]):
    """Batches by the number of their step: images `(n, C, H, W)` float32 in [0, 1], class numbers `(n,)`.

    Parameters
    ----------
    data
        To learn from; its classes are numbered from 0.
    sampling, augmentation
        See their classes.
    batch
        Images of a step, all processes together.
    seed
        Of order and changes.
    rank, processes
        Of which share of every batch.

    Raises
    ------
    PatchBatchError
        For more people a batch than there are, and for people that the processes cannot share.
    """

    def __init__(
        self, data: LabelledImages, sampling: Sampling, augmentation: Augmentation, batch: int, seed: int,
        rank: int = 0, processes: int = 1,
    ):  # fmt: skip
        self.data, self.sampling, self.augmentation = data, sampling, augmentation
        self.batch, self.seed, self.rank, self.processes = batch, seed, rank, processes
        counts = np.bincount(data.labels, minlength=len(data.names))
        self._kinds = (np.flatnonzero(counts > 1), np.flatnonzero(counts == 1))
        self._order = np.argsort(data.labels, kind="stable")
        self._ends = np.cumsum(counts)
        if sampling.people % processes:
            raise PatchBatchError(
                f"{sampling.people} people cannot be shared by {processes} processes; use a multiple"
            )
        if sampling.people:
            wanted = self._shares()
            for count, kind, name in zip(wanted, self._kinds, ("two images or more", "one"), strict=True):
                if count > len(kind):
                    raise PatchBatchError(
                        f"a batch takes {count} people with {name}, there are {len(kind)}; take fewer people "
                        "or another share with several images"
                    )

    def __getitem__(self, step: int) -> Batch:
        rows = self.rows(step)
        share = self.batch // self.processes
        mine = range(self.rank * share, (self.rank + 1) * share)
        changed = [
            augmented(
                self.data.images[rows[place]], self.augmentation,
                np.random.default_rng((self.seed, 1, step, place)),
            )
            for place in mine
        ]  # fmt: skip
        images = torch.from_numpy(np.stack(changed))
        images = images[..., None] if images.ndim == 3 else images
        return images.permute(0, 3, 1, 2), torch.from_numpy(self.data.labels[rows[mine.start : mine.stop]])

    def rows(self, step: int) -> Rows:
        """Return which images a step takes, `(batch,)`; people stand together."""
        if self.sampling.people:
            return self._rows_of_people(np.random.default_rng((self.seed, 0, step)))
        numbers = np.arange(step * self.batch, (step + 1) * self.batch)
        rounds = numbers // len(self.data)
        found = np.empty(self.batch, np.int64)
        for one in np.unique(rounds):
            order = np.random.default_rng((self.seed, 0, int(one))).permutation(len(self.data))
            found[rounds == one] = order[numbers[rounds == one] % len(self.data)]
        return found

    def _shares(self) -> tuple[int, int]:
        # Where all classes have several images there is nothing to share out.
        share = self.sampling.several if len(self._kinds[1]) else 1.0
        several = round(share * self.sampling.people)
        return several, self.sampling.people - several

    def _rows_of_people(self, generator: np.random.Generator) -> Rows:
        chosen = [
            generator.choice(kind, count, replace=False)
            for count, kind in zip(self._shares(), self._kinds, strict=True)
        ]
        parts = []
        for person in generator.permutation(np.concatenate(chosen)):
            start, end = (0 if person == 0 else self._ends[person - 1]), self._ends[person]
            images, each = generator.permutation(self._order[start:end]), self.sampling.per_person
            parts.append(np.resize(images, each))
        return np.concatenate(parts)


def augmented(image: Bytes, settings: Augmentation, generator: np.random.Generator) -> Floats:
    """Return a changed image `(H, W[, 3])` float32 in [0, 1]; what comes in from outside is reflected."""
    mirror = settings.mirror and generator.random() < 0.5
    moved = _moved(image, settings, generator)
    turned = np.ascontiguousarray(moved[:, ::-1]) if mirror else moved
    changed = turned.astype(np.float32) * np.float32(1 / 255)
    if settings.light:
        changed = _in_other_light(changed, settings.light, generator)
    if settings.erase and generator.random() < settings.erase:
        _erase(changed, generator)
    return changed


def _moved(image: Bytes, settings: Augmentation, generator: np.random.Generator) -> Bytes:
    height, width = image.shape[:2]
    shift = generator.uniform(-1, 1, 2) * settings.shift * (width, height)
    if not (settings.rotation or settings.scale):
        # Whole pixels: nothing is blurred.
        right, down = (round(float(one)) for one in shift)
        up, left = abs(down), abs(right)
        padded = cv2.copyMakeBorder(image, up, up, left, left, cv2.BORDER_REFLECT_101)
        top, start = up - down, left - right
        return np.asarray(padded[top : top + height, start : start + width], np.uint8)
    angle = generator.uniform(-1, 1) * settings.rotation
    scale = np.exp(generator.uniform(-1, 1) * np.log1p(settings.scale))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] = matrix[:, 2] + shift
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        ),
        np.uint8,
    )


def _in_other_light(image: Floats, strength: float, generator: np.random.Generator) -> Floats:
    gamma = np.exp(0.3 * strength * generator.uniform(-1, 1))
    gain, offset = 1 + 0.3 * strength * generator.uniform(-1, 1), 0.1 * strength * generator.uniform(-1, 1)
    changed: Floats = np.clip(gain * image**gamma + offset, 0, 1).astype(np.float32)
    return changed


def _erase(image: Floats, generator: np.random.Generator) -> None:
    height, width = image.shape[:2]
    tall, wide = (int(side * generator.uniform(0.15, 0.5)) for side in (height, width))
    top, left = generator.integers(0, height - tall + 1), generator.integers(0, width - wide + 1)
    image[top : top + tall, left : left + wide] = image.mean(axis=(0, 1))
