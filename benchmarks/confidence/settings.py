"""What the confidence benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arguments import AUTO, chosen_settings, preset_for
from benchmarks.datasets import find_jobs
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.models import DEFAULT_MODEL, check_model


@dataclass(frozen=True)
class ConfidenceBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`; empty = all that are there.
    model
        A shipped model's name, a weights file, or package.module:factory.
    preset
        Whose settings are taken; "auto" takes the one that belongs to each data set.
    matcher
        In place of that of the settings.
    settings
        A TOML file of settings; None takes the preset's.
    limit
        Only the first so many pairs of each data set; None = all.
    device, precision
        Of the model.
    """

    root: str
    datasets: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    preset: str = AUTO
    matcher: str | None = None
    settings: str | None = None
    limit: int | None = None
    device: str = AUTO
    precision: str = AUTO

    def pairs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, self.datasets, limit=self.limit)

    def settings_for(self, dataset: str) -> FlowSettings:
        """Return the settings for a data set; raises `PatchBatchError` for a file of anything else."""
        return chosen_settings(preset_for(self.preset, dataset), self.settings, self.matcher)

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        check_model(self.model)
        for dataset in dict.fromkeys(pair.dataset for pair in self.pairs()):
            self.settings_for(dataset)
