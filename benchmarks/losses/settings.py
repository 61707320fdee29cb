"""What the comparison of losses is asked to measure; nothing here needs torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.datasets import find_jobs
from benchmarks.losses.table import TRIED, Budget
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.files import atomic_path, make_folder, read_bytes
from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.network.config import NETWORKS, PatchNetConfig
from patchbatch.descriptors.train.samples.folders import check_folders, photo_files
from patchbatch.errors import PatchBatchError

RECORD = "scenes.json"
"""File of the folder of networks that says what they learned from."""

# Half the channels of `compact`, one scale: eight runs of a loss have to fit into an hour of two cores.
NETWORK: PatchNetConfig = replace(
    NETWORKS["compact"].config, channels=(8, 16, 24, 40, 32), context=(), joint=(), unit_length=True
)


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes
    ----------
    loss, option, value
        A name of `LOSSES`, and its option with its value.
    seed
        Of weights, and of the order of scenes.
    steps
        Updates.
    """

    loss: str
    option: str
    value: float
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.loss}-{self.option}-{self.value:g}-seed{self.seed}-{self.steps}"


@dataclass(frozen=True)
class LossesBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets on which networks are judged.
    photos, streets
        Folders of photographs, and of frames of a driving camera, that scenes are made of.
    work
        Folder of the trained networks: what is there is not trained again.
    losses
        Names of `TRIED`; empty = all.
    budget
        Of the trainings.
    points
        Of each pair, at which descriptors are judged.
    datasets
        Names of `DATASETS`; empty = all that are there.
    limit
        Only the first so many pairs of each data set; None = all.
    device
        Where.
    """

    root: str
    photos: tuple[Path, ...]
    work: Path
    streets: tuple[Path, ...] = ()
    losses: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    points: int = 1000
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"

    def pairs(self) -> list[FlowPair]:
        """List the pairs that networks are judged on; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, self.datasets, limit=self.limit)

    def judged_on(self) -> dict[str, Any]:
        """Return what the figures of a network depend on, beside the network."""
        names = [f"{pair.dataset}/{pair.name}" for pair in self.pairs()]
        return {"points": self.points, "pairs": names}

    def check(self) -> None:
        """Refuse what can be refused before anything is computed, and make the folder of the networks.

        Raises
        ------
        PatchBatchError
            For unknown names, folders that are not there or hold too little, a folder of networks that cannot
            be made, or one whose networks learned from something else.
        """
        for loss in self.losses:
            LOSSES[loss]  # refuses an unknown one
        check_folders(self.photos, self.streets, ())
        self.pairs()
        record, made_of = make_folder(self.work) / RECORD, self._made_of()
        if record.exists() and read_bytes(record) != made_of.encode():
            raise PatchBatchError(
                f"{self.work} holds networks of other scenes or crops; choose another folder"
            )
        with atomic_path(record) as temporary:
            temporary.write_text(made_of, encoding="utf-8")

    def _made_of(self) -> str:
        """Return what the networks of a folder have in common, beside what the names of their runs say."""
        folders = {"photos": self.photos, "streets": self.streets}
        names = {
            kind: [file.name for file in photo_files(some, held_out=False)] for kind, some in folders.items()
        }
        listed = {
            kind: [len(files), hashlib.sha256("\n".join(files).encode()).hexdigest()]
            for kind, files in names.items()
        }
        budget = self.budget
        return json.dumps(
            listed | {"scenes": budget.scenes, "crop": budget.crop, "batch": budget.batch}, indent=1
        )

    def trials(self) -> list[Run]:
        """Return the runs among whose options the best is chosen, loss by loss: seed 0, short."""
        return [
            Run(loss, TRIED[loss][0], value, 0, self.budget.steps)
            for loss in self.losses or TRIED for value in TRIED[loss][1]
        ]  # fmt: skip

    def runs(self, chosen: Run) -> list[Run]:
        """Return the runs that are judged for a loss: all seeds at the short budget, seed 0 at the long."""
        short = [replace(chosen, seed=seed) for seed in range(self.budget.seeds)]
        return [*short, replace(chosen, steps=self.budget.steps * self.budget.longer)]
