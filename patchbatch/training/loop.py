"""The loop of a training run: updates, validation, records, checkpoints, resuming."""

from __future__ import annotations

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from patchbatch.errors import PatchBatchError
from patchbatch.training.logs import CSV
from patchbatch.training.processes import place_among_processes
from patchbatch.training.runlog import Record, Row, RunLog
from patchbatch.training.schedule import Schedule, rate_at
from patchbatch.training.stopping import asked_to_stop

log = logging.getLogger(__name__)
B = TypeVar("B")


def first_difference(record: Path, described: dict[str, Any]) -> str:
    """Return words for the first setting in which a run differs from the recorded one; perhaps none."""
    try:
        before = _flat(json.loads(record.read_text()))
    except (OSError, ValueError):
        return ""
    now = _flat(json.loads(json.dumps(described)))
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            return f" ({name} was {before.get(name)!r} and is {now.get(name)!r})"
    return ""


def _flat(table: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(table, dict):
        return {prefix[:-1]: table}
    return {
        name: value for key, part in table.items() for name, value in _flat(part, f"{prefix}{key}.").items()
    }


class TrainingLoop(ABC, Generic[B]):
    """One training run, in one folder: `checkpoint.pt`, `log.csv`, `settings.json`, `losses.png`, `events`.

    With `torch.distributed` initialised every process takes its share of each batch, and the first one
    validates and writes. A subclass says what a batch is, what its loss is and how the network is judged.

    Parameters
    ----------
    learner
        The network that learns, or with it the parts of the loss that learn too, changed in place, on the
        device to train on: its state is what a checkpoint holds.
    loss
        The module whose call gives the loss; wrapped for several processes it is `model`.
    optimizer
        Of the learner's parameters.
    settings
        See `Schedule`.
    folder
        Where the run lives; an unfinished run found there is resumed. None: nothing is written.
    record
        How the log looks.
    log
        What the figures are written to besides `log.csv`, a name of `patchbatch.training.logs.LOGS`.

    Raises
    ------
    PatchBatchError
        For a batch that the processes cannot share; in `run` for a folder that holds a run with other
        settings, and for a checkpoint that is damaged.
    """

    def __init__(
        self, learner: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, settings: Schedule,
        folder: Path | None, record: RunLog, log: str = CSV,
    ):  # fmt: skip
        self._learner, self._schedule, self._runlog = learner, settings, record
        self._record = None if folder is None else Record(record, folder / "log.csv", log)
        self.folder, self.optimizer = folder, optimizer
        self.rank, self.processes = place_among_processes()
        if settings.batch % self.processes:
            raise PatchBatchError(
                f"a batch of {settings.batch} {record.unit} cannot be shared by {self.processes} processes; "
                "use a multiple"
            )
        self.model: nn.Module = loss if self.processes == 1 else DistributedDataParallel(loss)
        self.step, self.mean_loss = 0, 0.0

    @abstractmethod
    def batches(self, workers: int) -> Iterator[B]:
        """Yield this process's shares of the batches from `self.step` on; `workers` loader processes."""

    @abstractmethod
    def batch_loss_of(self, batch: B) -> Tensor:
        """Return the loss of the share of the batch of `self.step`, by `self.model`."""

    @abstractmethod
    def validated(self) -> float | None:
        """Return the held-out score in percent; None where nothing is held out."""

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """Return all settings of the run, as they are when nothing is left to be chosen."""

    def tell(self) -> None:
        """Log what is learned, and how."""

    def prepare(self, batch: B) -> None:
        """Look at the very first batch, before the first step."""

    def run(self, workers: int = 1) -> None:
        """Train to the last step, from the last checkpoint if there is one; `workers` loader processes.

        Raises
        ------
        PatchBatchError
            For a folder that holds a run with other settings, and a damaged checkpoint.
        KeyboardInterrupt
            After Ctrl-C or SIGTERM, when the step is done and kept.
        """
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.resume(self.folder)
        if self.rank == 0:
            self.tell()
        self._learner.train()
        quiet = self.rank > 0 or not sys.stderr.isatty()
        progress = tqdm(total=self._schedule.steps, initial=self.step, disable=quiet, unit="step")
        since, first = time.perf_counter(), self.step
        with asked_to_stop() as stop, closing(self):
            for batch in self.batches(workers):
                if self.step == 0:
                    self.prepare(batch)
                self.update(batch)
                progress.update()
                progress.set_postfix(loss=f"{self.mean_loss:.4f}")
                if self.rank == 0:
                    self._keep_records(time.perf_counter() - since, first)
                if stop() and self.step < self._schedule.steps:
                    self._stop()
        progress.close()
        self._learner.eval()

    def close(self) -> None:
        """Close the files of the record."""
        if self._record is not None:
            self._record.close()

    def update(self, batch: B) -> float:
        """Take one step; return its loss, on this process's share of the batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self._schedule)
        loss = self.batch_loss_of(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._learner.parameters(), self._schedule.clip)
        self.optimizer.step()
        self.step += 1
        value = float(loss.detach())
        self.mean_loss += (value - self.mean_loss) / min(self.step, 50)
        return value

    def _stop(self) -> None:
        """Keep what was learned, and end as Ctrl-C does."""
        if self.rank == 0 and self.folder is not None:
            self.save(self.folder)
            log.info("stopped after step %d, which is kept", self.step)
        raise KeyboardInterrupt

    def save(self, folder: Path) -> None:
        """Write `checkpoint.pt` under a temporary name and move it."""
        part = folder / "checkpoint.part"
        state = {
            "net": self._learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "mean_loss": self.mean_loss,
        }
        torch.save(state, part)
        part.replace(folder / "checkpoint.pt")

    def resume(self, folder: Path) -> None:
        """Continue from `checkpoint.pt` if it is there and was made with the same settings."""
        settings = json.dumps(self.described(), indent=1)
        record, checkpoint = folder / "settings.json", folder / "checkpoint.pt"
        if checkpoint.exists():
            if not record.exists() or record.read_text() != settings:
                other = first_difference(record, self.described())
                raise PatchBatchError(
                    f"{folder} holds a run with other settings{other}; choose another folder"
                )
            self._take(checkpoint)
            log.info("going on from step %d of %s", self.step, folder)
        if self.rank == 0:
            record.write_text(settings)
            if self._record is not None:
                self._record.begin(self.step)

    def _take(self, checkpoint: Path) -> None:
        """Read a checkpoint of a run with the same settings."""
        try:
            # Onto the CPU first: loading puts everything where its parameter is.
            state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
            self._learner.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.mean_loss = state["step"], state["mean_loss"]
        except Exception as error:  # unpickling raises a dozen kinds
            raise PatchBatchError(f"{checkpoint} is damaged; delete it to begin anew") from error

    def _keep_records(self, seconds: float, first: int) -> None:
        """Report, validate and save where it is due."""
        settings, last = self._schedule, self.step == self._schedule.steps
        due = self.step % settings.validate_every == 0 or last
        if self.step % settings.report_every == 0 or due:
            rate = (self.step - first) / seconds
            score = self.validated() if due else None
            row = Row(self.step, self.mean_loss, score, rate * settings.batch)
            log.info("%s  %.0f min to go", self._runlog.told(row), (settings.steps - self.step) / rate / 60)
            if self._record is not None:
                self._record.add(row)
        if self.folder is not None and (self.step % settings.save_every == 0 or last):
            self.save(self.folder)
            self._runlog.draw(self.folder / "log.csv", self.folder / "losses.png")
