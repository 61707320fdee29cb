"""What the stages benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import AUTO, chosen_settings
from benchmarks.datasets import find_jobs
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.datasets.table import DATASETS
from patchbatch.errors import PatchBatchError
from patchbatch.models import DEFAULT_MODEL, check_model
from patchbatch.tables import unknown

PARTS = (
    "pruning", "estimator", "edges", "confidence weights", "extrapolation", "second pass", "completion",
    "refinement", "matches",
)  # fmt: skip
"""What can be changed; "matches" are those mended by the ground truth."""


@dataclass(frozen=True)
class StagesBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`; empty = all that are there.
    pairs
        Only the pairs of these names; empty = all.
    parts
        Which of `PARTS` are changed; empty = all.
    model
        A shipped model's name, a weights file, or package.module:factory.
    matcher
        In place of that of the settings.
    settings
        A TOML file of settings, the default that is changed part by part; None takes the data set's preset.
    edge_network
        Weights of an edge network; None leaves that variant out.
    device, precision
        Of the model.
    """

    root: str
    datasets: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    matcher: str | None = None
    settings: str | None = None
    edge_network: str | None = None
    device: str = AUTO
    precision: str = AUTO

    def jobs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none, or not those of the names."""
        return find_jobs(self.root, self.datasets, names=self.pairs)

    def settings_for(self, dataset: str) -> FlowSettings:
        """Return the default for a data set; raises `PatchBatchError` for a file of anything else."""
        return chosen_settings(DATASETS[dataset].preset, self.settings, self.matcher)

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        check_model(self.model)
        for part in self.parts:
            if part not in PARTS:
                raise PatchBatchError(unknown("part", part, PARTS))
        if self.edge_network is not None and not Path(self.edge_network).is_file():
            raise PatchBatchError(f"no file {self.edge_network}; give weights of an edge network")
        for dataset in dict.fromkeys(pair.dataset for pair in self.jobs()):
            self.settings_for(dataset)
