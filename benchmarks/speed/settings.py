"""What the speed benchmark is asked to time; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arguments import chosen_settings
from benchmarks.speed.table import STAGES
from flow.settings import FlowSettings
from patchbatch.errors import PatchBatchError
from patchbatch.models import check_model


@dataclass(frozen=True)
class SpeedSettings:
    """What is timed.

    Attributes
    ----------
    stages, models, sizes
        Names of `STAGES`; models by name, weights file or package.module:factory; (width, height) in px. A
        row for each combination.
    repeats
        Timed runs of a row.
    limit
        Arithmetic of one run in FLOP; 0: none.
    device
        See `patchbatch.devices`.
    plot
        Whether description and matching are timed from 0.1 to 8 megapixels as well.
    matcher
        In place of that of the settings.
    settings
        A TOML file of settings of every stage; None takes those of the preset "default".
    """

    stages: tuple[str, ...]
    models: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]  # px
    repeats: int = 3
    limit: float = 1e12  # FLOP
    device: str = "cpu"
    plot: bool = False
    matcher: str | None = None
    settings: str | None = None

    def flow_settings(self) -> FlowSettings:
        """Return the settings of every stage; raises `PatchBatchError` for a file of anything else."""
        return chosen_settings("default", self.settings, self.matcher)

    def check(self) -> None:
        """Refuse what can be refused before anything is timed.

        Raises
        ------
        PatchBatchError
            For counts out of range, unknown names, and files that are not there.
        """
        if self.repeats < 1:
            raise PatchBatchError(f"repeats is {self.repeats}; give 1 or more")
        if not self.limit >= 0:
            raise PatchBatchError(f"limit is {self.limit / 1e12}; give TFLOP, 0 for none")
        for stage in self.stages:
            STAGES[stage]  # refuses an unknown one
        for model in self.models:
            check_model(model)
        self.flow_settings()
