"""What the suite is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import AUTO
from benchmarks.datasets import find_jobs
from benchmarks.flow.settings import FlowBenchmark, Running
from benchmarks.suite.words import PLACE
from patchbatch.data.files import make_folder
from patchbatch.models import MODELS


@dataclass(frozen=True)
class Suite:
    """What is measured, and where it goes.

    Attributes
    ----------
    root, datasets
        The folder that holds the data sets, and which of them; empty = all that are there.
    output
        Folder of everything that is written.
    methods, matches
        As of `FlowBenchmark`; in folders, "{dataset}" stands for the name of the data set.
    models, preset, matcher, settings, device, precision, refine, seed, limit
        As of `FlowBenchmark`.
    jobs, pictures
        As of `Running`.
    times
        Whether tables, pages and charts have seconds.
    """

    root: str
    output: str
    datasets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    models: tuple[str, ...] = tuple(MODELS)
    preset: str = AUTO
    matcher: str | None = None
    settings: str | None = None
    device: str = AUTO
    precision: str = AUTO
    refine: bool = True
    seed: int | None = None
    limit: int | None = None
    jobs: int = 1
    pictures: bool = True
    times: bool = True

    def found(self) -> list[str]:
        """Return the names of the data sets that are there and wanted; raises `PatchBatchError` for none."""
        pairs = find_jobs(self.root, self.datasets, limit=1)
        return list(dict.fromkeys(pair.dataset for pair in pairs))

    def benchmark(self, dataset: str) -> FlowBenchmark:
        """Return what is measured on a data set."""
        return FlowBenchmark(
            dataset=dataset,
            root=self.root,
            methods=tuple(word.replace(PLACE, dataset) for word in self.methods),
            models=self.models,
            preset=self.preset,
            matcher=self.matcher,
            settings=self.settings,
            device=self.device,
            precision=self.precision,
            refine=self.refine,
            seed=self.seed,
            limit=self.limit,
            matches=tuple(word.replace(PLACE, dataset) for word in self.matches),
        )

    def running(self, dataset: str) -> Running:
        """Return how it is run: results are kept, a page is made."""
        output = Path(self.output)
        return Running(
            folder=str(output / "kept" / dataset),
            jobs=self.jobs,
            report=str(output / dataset),
            pictures=self.pictures,
        )

    def check(self) -> None:
        """Refuse what can be refused before anything is computed; makes the folders.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there or cannot be used.
        """
        datasets = self.found()
        for dataset in datasets:
            self.benchmark(dataset).check()
        make_folder(Path(self.output) / "charts")
        for dataset in datasets:
            self.running(dataset).check(self.benchmark(dataset))
