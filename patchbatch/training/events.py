"""Figures of a training run as TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class Events:
    """The event files of one run.

    Parameters
    ----------
    folder
        Of the files; made if it is not there.
    step
        That the run goes on from: what was written of later ones is shown no more.
    """

    def __init__(self, folder: Path, step: int):
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Write the figures of a step under their names; what is None is left out."""
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
