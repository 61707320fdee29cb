"""What the flow benchmark is asked to measure; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arguments import AUTO, chosen_settings, preset_for
from benchmarks.datasets import find_jobs
from benchmarks.flow.table import OWN, check_method
from flow.settings import FlowSettings
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.models import DEFAULT_MODEL, check_model


@dataclass(frozen=True)
class FlowBenchmark:
    """What is measured.

    Attributes
    ----------
    dataset, root
        Which pairs: a name of `DATASETS`, and its folder or the one that holds it.
    methods
        Names of `benchmarks.flow.table.METHODS`, or `NAME=FOLDER`.
    models
        That "patchbatch" is run with, one after the other: names, weights files, package.module:factory.
    preset
        Of "patchbatch"; "auto" takes the one that belongs to the data set.
    matcher
        Of "patchbatch", in place of that of its settings.
    settings
        A TOML file of settings of "patchbatch"; None takes the preset's.
    device, precision
        As for `flow.pipeline.estimate_flow`.
    refine
        False leaves the refinement out.
    seed
        For the random choices of the matcher; None takes the settings'.
    limit
        Only the first so many pairs; None = all.
    keep_invalid
        Count the pixels of Sintel's `invalid` mask too.
    """

    dataset: str
    root: str
    methods: tuple[str, ...] = (OWN,)
    models: tuple[str, ...] = (DEFAULT_MODEL,)
    preset: str = AUTO
    matcher: str | None = None
    settings: str | None = None
    device: str = AUTO
    precision: str = AUTO
    refine: bool = True
    seed: int | None = None
    limit: int | None = None
    keep_invalid: bool = False

    def pairs(self) -> list[FlowPair]:
        """List the pairs; raises `PatchBatchError` if there are none."""
        return find_jobs(self.root, (self.dataset,), limit=self.limit)

    @property
    def resolved_preset(self) -> str:
        """The preset's name, "auto" resolved."""
        return preset_for(self.preset, self.dataset)

    def flow_settings(self) -> FlowSettings:
        """Return the settings of every stage; raises `PatchBatchError` for a file of anything else."""
        return chosen_settings(self.resolved_preset, self.settings, self.matcher, self.seed)

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        for word in self.methods:
            check_method(word)
        if OWN in self.methods:
            for model in self.models:
                check_model(model)
            self.flow_settings()
        self.pairs()
