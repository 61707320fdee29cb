"""The training loop: updates, validation, checkpoints, resuming."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train import runlog
from patchbatch.descriptors.train.batch import Batch, BatchLoss, rank1
from patchbatch.descriptors.train.samples.sources import PairSource, Sample
from patchbatch.descriptors.train.scale import start_at_margin
from patchbatch.descriptors.train.settings import ObjectiveSettings, TrainSettings
from patchbatch.devices import trains_in_bfloat16
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)


def rate_at(step: int, settings: TrainSettings) -> float:
    """Learning rate of a step: linear rise, then half a cosine down to 1 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, settings.steps))))
    return settings.learning_rate * rise * (0.01 + 0.99 * fall)


class Trainer:
    """One training run, in one folder: `checkpoint.pt`, `log.csv`, `settings.json`, `losses.png`.

    With `torch.distributed` initialised every process takes its share of each batch, and the first one
    validates and writes.

    Parameters
    ----------
    net
        The network to train, changed in place, on the device to train on.
    source
        Training samples by number, one batch after the other: a `PairSource`, or any other map from
        `steps * batch` numbers to samples of its kind.
    validation
        Held-out samples; None: no validation.
    settings, objective
        See their classes.
    folder
        Where the run lives; an unfinished run found there is resumed. None: nothing is written.
    teacher
        A network to learn from besides the data, see `ObjectiveSettings.distill`.

    Attributes
    ----------
    objective
        The given one with the options of its loss filled in for the network.
    batch_loss
        Describes and judges a batch with the network.

    Raises
    ------
    PatchBatchError
        For a batch that the processes cannot share, and as `BatchLoss`; in `run` for a folder that holds a
        run with other settings.
    """

    def __init__(
        self,
        net: PatchNet,
        source: Dataset[Sample],
        validation: Dataset[Sample] | None,
        settings: TrainSettings,
        objective: ObjectiveSettings,
        folder: Path | None = None,
        teacher: PatchNet | None = None,
    ):
        self.net, self.source, self.validation = net, source, validation
        self.settings, self.folder = settings, folder
        self.rank, self.processes = _place_among_processes()
        if settings.batch % self.processes:
            raise PatchBatchError(
                f"a batch of {settings.batch} pairs cannot be shared by {self.processes} processes; "
                "use a multiple"
            )
        self.batch_loss = BatchLoss(
            net, objective, trains_in_bfloat16(settings.precision, net.device), settings.seed, teacher
        )
        self.objective = self.batch_loss.objective
        self.model: nn.Module = self.batch_loss
        if self.processes > 1:
            self.model = DistributedDataParallel(self.batch_loss)
        self.optimizer = make_optimizer(net, settings)
        self.step, self.mean_loss = 0, 0.0

    def run(self, workers: int = 1) -> None:
        """Train to the last step, from the last checkpoint if there is one; `workers` loader processes."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.resume(self.folder)
        if self.rank == 0:
            self._tell()
        self.net.train()
        quiet = self.rank > 0 or not sys.stderr.isatty()
        progress = tqdm(total=self.settings.steps, initial=self.step, disable=quiet, unit="step")
        since, first = time.perf_counter(), self.step
        for batch in self._batches(workers):
            if self.step == 0:
                start_at_margin(self.batch_loss, batch, self._sample_numbers(0))
            self.update(batch)
            progress.update()
            progress.set_postfix(loss=f"{self.mean_loss:.4f}")
            if self.rank == 0:
                self._keep_records(time.perf_counter() - since, first)
        progress.close()
        self.net.eval()

    def _tell(self) -> None:
        """Log what is learned, and how."""
        config, objective = self.net.config, self.objective
        options = dict(objective.options)
        if not objective.of_pairs:
            options = {"temperature": objective.temperature}
        log.info(
            "%d parameters, %s, %s numbers %s", sum(p.numel() for p in self.net.parameters()),
            "evaluated densely" if config.is_dense else "patch by patch",
            config.joint[-1] if config.joint else config.patch_dimension,
            "of unit length" if config.ends_in_unit_length else "of any length",
        )  # fmt: skip
        told = ", ".join(f"{name} {value}" for name, value in options.items())
        log.info("loss %s: %s", objective.loss, told)
        settings = self.settings
        products = "bfloat16" if self.batch_loss.half_products else "float32"
        log.info(
            "%d steps of %d pairs, %s, peak step size %g, %s products, on %s", settings.steps, settings.batch,
            settings.optimizer, settings.learning_rate, products, self.net.device,
        )  # fmt: skip

    def update(self, batch: Batch) -> float:
        """Take one step; return its loss, on this process's share of the batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.settings)
        loss: Tensor = self.model(batch, self._sample_numbers(self.step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        value = float(loss.detach())
        self.mean_loss += (value - self.mean_loss) / min(self.step, 50)
        return value

    def save(self, folder: Path) -> None:
        """Write `checkpoint.pt` under a temporary name and move it."""
        part = folder / "checkpoint.part"
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "mean_loss": self.mean_loss,
        }
        torch.save(state, part)
        part.replace(folder / "checkpoint.pt")

    def resume(self, folder: Path) -> None:
        """Continue from `checkpoint.pt` if it is there and was made with the same settings."""
        settings = json.dumps(self._record(), indent=1)
        record, checkpoint = folder / "settings.json", folder / "checkpoint.pt"
        if checkpoint.exists():
            if not record.exists() or record.read_text() != settings:
                raise PatchBatchError(f"{folder} holds a run with other settings; choose another folder")
            state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.mean_loss = state["step"], state["mean_loss"]
            log.info("going on from step %d of %s", self.step, folder)
        if self.rank == 0:
            record.write_text(settings)
            runlog.forget_after(folder / "log.csv", self.step)

    def _record(self) -> dict[str, Any]:
        """Return all settings of the run, as they are when nothing is left to be chosen."""
        source = self.source.settings.to_table() if isinstance(self.source, PairSource) else None
        return {
            "train": self.settings.to_table(),
            "objective": self.objective.to_table(),
            "source": source,
            "network": self.net.config.to_dict(),
        }

    def _sample_numbers(self, step: int) -> list[int]:
        share = self.settings.batch // self.processes
        first = step * self.settings.batch + self.rank * share
        return list(range(first, first + share))

    def _batches(self, workers: int) -> Iterator[Batch]:
        steps = range(self.step, self.settings.steps)
        rest = Subset(self.source, [number for step in steps for number in self._sample_numbers(step)])
        # Not forked: a forked child inherits the locks of OpenCV's and torch's threads and can wait for ever.
        context = "spawn" if workers else None
        return iter(
            DataLoader(
                rest,
                self.settings.batch // self.processes,
                num_workers=workers,
                multiprocessing_context=context,
                prefetch_factor=4 if workers else None,
            )
        )

    def _keep_records(self, seconds: float, first: int) -> None:
        """Report, validate and save where it is due."""
        settings, last = self.settings, self.step == self.settings.steps
        due = self.step % settings.validate_every == 0 or last
        validate = due and self.validation is not None
        if self.step % settings.report_every == 0 or due:
            rate = (self.step - first) / seconds
            score = self._validated() if validate else None
            row = runlog.Row(self.step, self.mean_loss, score, rate * settings.batch)
            log.info("%s  %.0f min to go", row, (settings.steps - self.step) / rate / 60)
            if self.folder is not None:
                runlog.append(self.folder / "log.csv", row)
        if self.folder is not None and (self.step % settings.save_every == 0 or last):
            self.save(self.folder)
            runlog.draw(self.folder / "log.csv", self.folder / "losses.png")

    def _validated(self) -> float:
        assert self.validation is not None  # noqa: S101 - types
        return rank1(self.batch_loss, iter(DataLoader(self.validation, batch_size=4)))


def make_optimizer(net: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser that `settings.optimizer` names."""
    if settings.optimizer == "adadelta":
        return torch.optim.Adadelta(net.parameters(), settings.learning_rate)
    return torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)


def _place_among_processes() -> tuple[int, int]:
    """Return this process's rank and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1
