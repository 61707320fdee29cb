"""The training of a descriptor network: its batches, their loss, its validation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import Batch, BatchLoss, rank1
from patchbatch.descriptors.train.samples.sources import PairSource, Sample
from patchbatch.descriptors.train.scale import start_at_margin
from patchbatch.descriptors.train.settings import ObjectiveSettings, TrainSettings
from patchbatch.descriptors.weights import save_weights
from patchbatch.devices import resolve_training_precision
from patchbatch.training.logs import CSV
from patchbatch.training.loop import TrainingLoop
from patchbatch.training.runlog import RunLog
from patchbatch.training.schedule import make_optimizer
from patchbatch.training.stopping import leave_to_parent

log = logging.getLogger(__name__)

RECORD = RunLog("rank1_3px_percent", "rank-1 at 3 px", "pairs")


class Trainer(TrainingLoop[Batch]):
    """One training run of a descriptor network, as every `TrainingLoop` in one folder.

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
    log_to
        As `log` of `TrainingLoop`.

    Attributes
    ----------
    objective
        The given one with the options of its loss filled in for the network.
    batch_loss
        Describes and judges a batch with the network.

    Raises
    ------
    PatchBatchError
        As `TrainingLoop` and `BatchLoss`.
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
        log_to: str = CSV,
    ):
        self.net, self.source, self.validation, self.settings = net, source, validation, settings
        half = resolve_training_precision(settings.precision, net.device) is torch.bfloat16
        self.batch_loss = BatchLoss(net, objective, half, settings.seed, teacher)
        self.objective = self.batch_loss.objective
        optimizer = make_optimizer(net.parameters(), settings)
        super().__init__(net, self.batch_loss, optimizer, settings, folder, RECORD, log_to)

    def prepare(self, batch: Batch) -> None:
        """Scale the network so that its descriptors begin at the margin."""
        start_at_margin(self.batch_loss, batch, self._sample_numbers(0))

    def tell(self) -> None:
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

    def batch_loss_of(self, batch: Batch) -> Tensor:
        """Return the loss of the pairs of this process."""
        loss: Tensor = self.model(batch, self._sample_numbers(self.step))
        return loss

    def write_weights(self, path: Path) -> None:
        """Write the network in half precision."""
        save_weights(self.net, path, {"loss": self.objective.loss, "steps": str(self.step)})

    def described(self) -> dict[str, Any]:
        """Return all settings of the run, as they are when nothing is left to be chosen."""
        source = self.source.settings.to_table() if isinstance(self.source, PairSource) else None
        return {
            "train": self.settings.to_table(),
            "objective": self.objective.to_table(),
            "source": source,
            "network": self.net.config.to_dict(),
        }

    def batches(self, workers: int) -> Iterator[Batch]:
        """Yield this process's shares of the batches that are left."""
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
                worker_init_fn=leave_to_parent,
                prefetch_factor=4 if workers else None,
            )
        )

    def validated(self) -> float | None:
        """Return the share of held-out points that are nearest within 3 px of the truth, percent."""
        if self.validation is None:
            return None
        return rank1(self.batch_loss, iter(DataLoader(self.validation, batch_size=4)))

    def _sample_numbers(self, step: int) -> list[int]:
        share = self.settings.batch // self.processes
        first = step * self.settings.batch + self.rank * share
        return list(range(first, first + share))
