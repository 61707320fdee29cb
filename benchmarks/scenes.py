"""Made scenes kept in memory, so that many short trainings see the same ones without rendering them anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from patchbatch.descriptors.train.samples.sources import PairSource, Sample


class Shuffled(Dataset[Sample]):
    """Scenes in memory by the number of a sample: all of them in random order, then all in another.

    Parameters
    ----------
    scenes
        As `PairSource` makes them.
    seed
        Of the orders.
    length
        Number of samples.
    """

    def __init__(self, scenes: Sequence[Sample], seed: int, length: int):
        self.scenes = scenes
        rng = np.random.default_rng(seed)
        rounds = [rng.permutation(len(scenes)) for _ in range(-(-length // len(scenes)))]
        self.order = np.concatenate(rounds)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Sample:
        return self.scenes[int(self.order[index])]


def in_memory(source: PairSource) -> list[Sample]:
    """Render all samples of a source."""
    return [source[index] for index in range(len(source))]
