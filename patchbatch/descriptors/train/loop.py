"""The training loop: updates, validation, checkpoints, resuming."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train import runlog
from patchbatch.descriptors.train.batch import Batch, BatchLoss, rank1
from patchbatch.descriptors.train.objective import ObjectiveSettings
from patchbatch.descriptors.train.sampling import PairSource
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to learn.

    Attributes
    ----------
    steps, batch
        Number of updates, and pairs per update.
    optimizer
        "adamw", or "adadelta" as in 2016.
    learning_rate
        Peak of the step size; it rises linearly over `warmup` steps and falls as a cosine. About 2e-3 for
        AdamW, 1 for AdaDelta.
    weight_decay
        Of AdamW.
    clip
        Largest gradient norm; longer gradients are shortened.
    seed
        Of the initial weights and of the samples.
    bfloat16
        Whether products are computed in bfloat16 (weights and statistics stay float32).
    report_every, validate_every, save_every
        Steps between lines of the log, between validations and between checkpoints.
    """

    steps: int = 5000
    batch: int = 3
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    clip: float = 5.0
    seed: int = 0
    bfloat16: bool = True
    report_every: int = 50
    validate_every: int = 250
    save_every: int = 100


def rate_at(step: int, settings: TrainSettings) -> float:
    """Learning rate of a step: linear rise, then half a cosine down to 1 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, settings.steps))))
    return settings.learning_rate * rise * (0.01 + 0.99 * fall)


class Trainer:
    """One training run in one folder: `checkpoint.pt`, `log.csv`, `settings.json`, `losses.png`.

    With `torch.distributed` initialised every process takes its share of each batch, and the first one
    validates and writes.

    Parameters
    ----------
    net
        The network to train, changed in place, on the device to train on.
    source, validation
        Training samples, one batch after the other by number, and held-out ones.
    settings, objective
        See their classes.
    folder
        Where the run lives; an unfinished run found there is resumed.
    teacher
        A network to learn from besides the data, see `ObjectiveSettings.distill`.
    """

    def __init__(
        self,
        net: PatchNet,
        source: PairSource,
        validation: PairSource,
        settings: TrainSettings,
        objective: ObjectiveSettings,
        folder: Path,
        teacher: PatchNet | None = None,
    ):
        self.net, self.source, self.validation = net, source, validation
        self.settings, self.objective, self.folder = settings, objective, folder
        self.rank, self.processes = _place_among_processes()
        if settings.batch % self.processes:
            raise PatchBatchError(
                f"a batch of {settings.batch} pairs cannot be shared by {self.processes} processes; "
                "use a multiple"
            )
        self.batch_loss = BatchLoss(net, objective, settings.bfloat16, settings.seed, teacher)
        self.model: nn.Module = self.batch_loss
        if self.processes > 1:
            self.model = DistributedDataParallel(self.batch_loss)
        self.optimizer = make_optimizer(net, settings)
        self.step, self.mean_loss = 0, 0.0

    def run(self, workers: int = 1) -> None:
        """Train to the last step, from the last checkpoint if there is one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        self.net.train()
        quiet = self.rank > 0 or not sys.stderr.isatty()
        progress = tqdm(total=self.settings.steps, initial=self.step, disable=quiet, unit="step")
        since, first = time.perf_counter(), self.step
        for batch in self._batches(workers):
            self.update(batch)
            progress.update()
            progress.set_postfix(loss=f"{self.mean_loss:.4f}")
            if self.rank == 0:
                self._keep_records(time.perf_counter() - since, first)
        progress.close()
        self.net.eval()

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

    def save(self) -> None:
        """Write `checkpoint.pt` under a temporary name and move it."""
        part = self.folder / "checkpoint.part"
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "mean_loss": self.mean_loss,
        }
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from `checkpoint.pt` if it is there and was made with the same settings."""
        settings = json.dumps(
            {
                "train": asdict(self.settings),
                "objective": asdict(self.objective),
                "source": asdict(self.source.settings),
                "network": self.net.config.to_dict(),
            },
            indent=1,
        )
        record, checkpoint = self.folder / "settings.json", self.folder / "checkpoint.pt"
        if checkpoint.exists():
            if not record.exists() or record.read_text() != settings:
                raise PatchBatchError(
                    f"{self.folder} holds a run with other settings; choose another --output"
                )
            state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.mean_loss = state["step"], state["mean_loss"]
            log.info("going on from step %d of %s", self.step, self.folder)
        if self.rank == 0:
            record.write_text(settings)
            runlog.forget_after(self.folder / "log.csv", self.step)

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

    def _validation_batches(self) -> Iterator[Batch]:
        return iter(DataLoader(self.validation, batch_size=4))

    def _keep_records(self, seconds: float, first: int) -> None:
        """Report, validate and save where it is due."""
        settings, last = self.settings, self.step == self.settings.steps
        validate = self.step % settings.validate_every == 0 or last
        if self.step % settings.report_every == 0 or validate:
            score = rank1(self.batch_loss, self._validation_batches()) if validate else None
            rate = (self.step - first) / seconds
            row = runlog.Row(self.step, self.mean_loss, score, rate * settings.batch)
            runlog.append(self.folder / "log.csv", row)
            log.info("%s  %.0f min to go", row, (settings.steps - self.step) / rate / 60)
        if self.step % settings.save_every == 0 or last:
            self.save()
            runlog.draw(self.folder / "log.csv", self.folder / "losses.png")


def make_optimizer(net: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser that `settings.optimizer` names."""
    if settings.optimizer == "adadelta":
        return torch.optim.Adadelta(net.parameters(), settings.learning_rate)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    raise PatchBatchError(f"unknown optimizer {settings.optimizer!r}; use adamw or adadelta")


def _place_among_processes() -> tuple[int, int]:
    """Return this process's rank and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1
