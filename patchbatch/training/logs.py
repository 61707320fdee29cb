"""What the figures of a training run are written to (`--log`); nothing here needs torch."""

from __future__ import annotations

import argparse
import importlib.util

from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table

CSV = "csv"
LOGS = Table(
    "log",
    [
        Entry(CSV, "log.csv alone, which every run has"),
        Entry(
            "tensorboard", "TensorBoard's event files too, in the folder events beside it",
            "patchbatch.training.events:Events",
        ),
    ],
)  # fmt: skip
"""Targets take the folder of a run's events and the step it goes on from, see `events.Events`."""


def add_log(group: argparse._ActionsContainer) -> None:
    """Add --log. Under torchrun it takes `--` before the module: torchrun reads --log as its own."""
    group.add_argument(
        "--log", choices=tuple(LOGS), default=CSV, metavar="NAME",
        help=f"{', '.join(LOGS)}: where the figures go; under torchrun write -m -- MODULE (%(default)s)",
    )  # fmt: skip


def check_log(name: str) -> str:
    """Return a name of `LOGS`, if it can be written here.

    Raises
    ------
    PatchBatchError
        If TensorBoard is not installed.
    """
    if LOGS[name].target and not is_there("tensorboard"):
        raise PatchBatchError(f"--log {name} needs TensorBoard: pip install 'patchbatch[tensorboard]'")
    return name


def is_there(module: str) -> bool:
    """Tell whether a module is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # switched off in sys.modules
        return False
