"""What the projection benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.datasets import find_jobs
from benchmarks.models import network_config
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class ProjectionStudy:
    """What is measured.

    Attributes
    ----------
    root, train
        Folders of the data sets to judge on and to learn from; they should not share pairs.
    models
        Shipped networks or weights files.
    numbers
        Lengths to project to.
    region
        Side in px of the square of image 2 that is searched.
    points
        Of every pair: to learn from, and at most so many to judge by.
    limit
        Only the first so many pairs of each data set; None = all.
    """

    root: str
    train: str
    models: tuple[str, ...] = ("accurate", "fast")
    numbers: tuple[int, ...] = (64, 128)
    region: int = 96  # px
    points: int = 1000
    limit: int | None = None

    def pairs(self) -> list[FlowPair]:
        """List the pairs to judge on; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, limit=self.limit)

    def training_pairs(self) -> list[FlowPair]:
        """List the pairs to learn from; raises `PatchBatchError` if there are none."""
        return find_jobs(self.train, limit=self.limit)

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For counts below 1, models that are no patch networks or shorter than the lengths asked for, and
            files and folders that are not there.
        """
        for name, value in (("numbers", min(self.numbers)), ("region", self.region), ("points", self.points)):
            if value < 1:
                raise PatchBatchError(f"{name} is {value}; give 1 or more")
        for model in self.models:
            config = network_config(model)
            if config is None:
                raise PatchBatchError(
                    f"{model}: only single points are described here, which takes a network of this project; "
                    "give a shipped model or a weights file"
                )
            if max(self.numbers) > config.patch_dimension:
                raise PatchBatchError(
                    f"{model} has {config.patch_dimension} numbers at one scale; project to no more"
                )
        self.pairs(), self.training_pairs()
