"""The loop of a training run: updates, validation, records, checkpoints, resuming."""

from __future__ import annotations

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from patchbatch.data.files import atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.training.folder import check_same_run, locked, read_checkpoint, write_checkpoint
from patchbatch.training.logs import CSV
from patchbatch.training.processes import place_among_processes
from patchbatch.training.runlog import Record, Row, RunLog, can_draw
from patchbatch.training.schedule import Schedule, rate_at
from patchbatch.training.stopping import asked_to_stop

log = logging.getLogger(__name__)
B = TypeVar("B")
BEST, LOCK = "best.safetensors", ".lock"


class TrainingLoop(ABC, Generic[B]):
    """One training run, in one folder, which it has for itself while it runs.

    There are `checkpoint.pt`, `log.csv`, `settings.json`, `losses.png`, `events`, and `best.safetensors`: the
    network when its held-out score was best.

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
        Where the run lives; a run found there goes on, a finished one if it is given more steps. None:
        nothing is written.
    record
        How the log looks.
    log
        What the figures are written to besides `log.csv`, a name of `patchbatch.training.logs.LOGS`.

    Raises
    ------
    PatchBatchError
        For a batch that the processes cannot share; in `run` for a folder that holds a run with other
        settings or that another program trains in, and for a checkpoint that is damaged.
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
        self.first_loss: float | None = None
        self.best: float | None = None

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
    def write_weights(self, path: Path) -> None:
        """Write the network as it is now to a file that can be used."""

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
            For a folder that holds a run with other settings or that another program trains in, and a
            damaged checkpoint.
        KeyboardInterrupt
            After Ctrl-C or SIGTERM, when the step is done and kept.
        """
        with ExitStack() as held:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                if self.rank == 0:
                    held.enter_context(locked(self.folder / LOCK))
                self.resume(self.folder)
            self._run(workers)

    def _run(self, workers: int) -> None:
        if self.rank == 0:
            self.tell()
            if self.folder is not None and not can_draw():
                log.info("no losses.png: it needs matplotlib (pip install 'patchbatch[plots]')")
        self._learner.train()
        quiet = self.rank > 0 or not sys.stderr.isatty()
        progress = tqdm(total=self._schedule.steps, initial=self.step, disable=quiet, unit="step")
        since, first = time.perf_counter(), self.step
        with asked_to_stop() as stop, closing(self):
            try:
                for batch in self.batches(workers):
                    if self.step == 0:
                        self.prepare(batch)
                    self.update(batch)
                    progress.update()
                    progress.set_postfix(loss=f"{self.mean_loss:.5g}")
                    if self.rank == 0:
                        self._keep_records(time.perf_counter() - since, first)
                    if stop() and self.step < self._schedule.steps:
                        self._stop()
            except RuntimeError:  # of a loader whose process the same signal has ended
                if not stop():
                    raise
                self._stop()
        progress.close()
        self._learner.eval()
        if self.rank == 0 and self.best is not None and self.folder is not None:
            log.info("best held-out %s %.2f %%, kept as %s", self._runlog.score, self.best, BEST)

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
        """Write `checkpoint.pt`, whole or not at all."""
        state = {
            "net": self._learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "mean_loss": self.mean_loss,
            "first_loss": self.first_loss,
            "best": self.best,
        }
        write_checkpoint(folder / "checkpoint.pt", state)

    def resume(self, folder: Path) -> None:
        """Continue from `checkpoint.pt` if it is there and was made with the same settings."""
        record, checkpoint = folder / "settings.json", folder / "checkpoint.pt"
        if checkpoint.exists():
            state = read_checkpoint(checkpoint)
            check_same_run(record, self.described(), state.get("step", -1))
            self._take(state, checkpoint)
            if self.step < self._schedule.steps:
                log.info("going on from step %d of %s", self.step, folder)
            else:
                log.info("%s has come to its last step, %d; --steps gives it more", folder, self.step)
        if self.rank == 0:
            with atomic_path(record) as temporary:
                temporary.write_text(json.dumps(self.described(), indent=1))
            if self._record is not None:
                self._record.begin(self.step)

    def _take(self, state: dict[str, Any], checkpoint: Path) -> None:
        """Take over the state of a run with the same settings."""
        try:
            self._learner.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.mean_loss = state["step"], state["mean_loss"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise PatchBatchError(f"{checkpoint} is damaged; delete it to begin anew") from error
        self.first_loss, self.best = state.get("first_loss"), state.get("best")

    def _keep_records(self, seconds: float, first: int) -> None:
        """Report, validate and save where it is due."""
        settings, last = self._schedule, self.step == self._schedule.steps
        # The first score comes with the first line, so that a run that learns nothing is seen early.
        due = self.step % settings.validate_every == 0 or last or self.step == settings.report_every
        if self.step % settings.report_every == 0 or due:
            rate = (self.step - first) / seconds
            score = self.validated() if due else None
            row = Row(self.step, self.mean_loss, score, rate * settings.batch)
            self.first_loss = self.mean_loss if self.first_loss is None else self.first_loss
            told = self._runlog.told(row, self.first_loss)
            log.info("%s  %.0f min to go", told, (settings.steps - self.step) / rate / 60)
            if self._record is not None:
                self._record.add(row)
            self._keep_best(score)
        if self.folder is not None and (self.step % settings.save_every == 0 or last):
            self.save(self.folder)
            self._runlog.draw(self.folder / "log.csv", self.folder / "losses.png")

    def _keep_best(self, score: float | None) -> None:
        """Write the network if no held-out score was better."""
        if score is None or (self.best is not None and not self._runlog.is_better(score, self.best)):
            return
        self.best = score
        if self.folder is not None:
            self.write_weights(self.folder / BEST)
