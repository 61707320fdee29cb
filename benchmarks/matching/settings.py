"""What the matching benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import AUTO
from benchmarks.datasets import find_jobs
from benchmarks.matching.table import DEFAULT_METHODS, METHODS, MatchingMethod
from flow.settings import read_settings
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.errors import PatchBatchError
from patchbatch.models import DEFAULT_MODEL, check_model


@dataclass(frozen=True)
class MatchingBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`; empty = all that are there.
    model
        A shipped model's name, a weights file, or package.module:factory.
    methods
        Names of `benchmarks.matching.table.METHODS`.
    settings
        TOML files whose [matching] is one more method each, named by the file without its suffix.
    limit
        Only the first so many pairs of each data set; None = all.
    fit
        Fit the confidence of every method to the pairs.
    device, precision
        Of the model.
    """

    root: str
    datasets: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    methods: tuple[str, ...] = DEFAULT_METHODS
    settings: tuple[str, ...] = ()
    limit: int | None = None
    fit: bool = False
    device: str = AUTO
    precision: str = AUTO

    def pairs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, self.datasets, limit=self.limit)

    def chosen(self) -> dict[str, MatchingMethod]:
        """Return the methods by name, those of files behind those of the table.

        Raises
        ------
        PatchBatchError
            For an unknown name, a file that is no file of settings, or one named as another method.
        """
        found = {name: METHODS[name] for name in self.methods}
        for file in self.settings:
            name = Path(file).stem
            if name in METHODS or name in found:
                raise PatchBatchError(
                    f"{file}: there is a method {name!r} already; give the file another name"
                )
            found[name] = MatchingMethod(name, f"as {file} says", matching=read_settings(file).matching)
        return found

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        check_model(self.model)
        self.chosen()
        self.pairs()
