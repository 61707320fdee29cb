"""The folder of a training run: one program at a time, one set of settings, checkpoints that are whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from patchbatch.data.files import atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import flat

STEPS = "train.steps"
"""The one setting that a finished run may be given more of."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a run, the file `path`, which goes when the process does.

    Raises
    ------
    PatchBatchError
        If another program holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PatchBatchError(
            f"another program trains in {path.parent}; wait for its end, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def check_same_run(record: Path, described: dict[str, Any], step: int) -> None:
    """Refuse a run whose settings are not those on record; a finished run may be given more steps.

    Parameters
    ----------
    record
        `settings.json` of the folder.
    described
        All settings of the run that is to go on.
    step
        How far it has come.

    Raises
    ------
    PatchBatchError
        Names the first difference.
    """
    folder = record.parent
    try:
        before = flat(json.loads(record.read_text()))
    except (OSError, ValueError, AttributeError) as error:  # not there, no JSON, no table
        raise PatchBatchError(
            f"{folder} holds a run whose settings cannot be read; choose another folder"
        ) from error
    now = flat(json.loads(json.dumps(described)))
    for name in {**before, **now}:
        if before.get(name) == now.get(name):
            continue
        told = f"({name} was {before.get(name)!r} and is {now.get(name)!r})"
        if name != STEPS:
            raise PatchBatchError(f"{folder} holds a run with other settings {told}; choose another folder")
        if step != before.get(name) or now[name] < step:
            raise PatchBatchError(
                f"{folder} holds a run with other settings {told}, at step {step}; more steps are for a run "
                "that has come to its end"
            )


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    PatchBatchError
        If it is damaged.
    """
    try:
        # Onto the CPU first: loading puts everything where its parameter is.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises a dozen kinds
        raise PatchBatchError(f"{path} is damaged; delete it to begin anew") from error
    return state
