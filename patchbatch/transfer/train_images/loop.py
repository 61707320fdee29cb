"""The training of a network on labelled images: its batches, their loss, its validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from patchbatch.devices import resolve_training_precision
from patchbatch.training.logs import CSV
from patchbatch.training.loop import TrainingLoop
from patchbatch.training.processes import place_among_processes
from patchbatch.training.runlog import RunLog
from patchbatch.training.schedule import make_optimizer
from patchbatch.training.stopping import leave_to_parent
from patchbatch.transfer.images.labelled import LabelledImages
from patchbatch.transfer.images.splits import Split, pairs_of_people
from patchbatch.transfer.multiverse.image_net import ImageNet, save_image_net
from patchbatch.transfer.multiverse.networks import MultiverseNet
from patchbatch.transfer.multiverse.table import TrunkConfig
from patchbatch.transfer.train_images.objective import ImageLoss
from patchbatch.transfer.train_images.samples import Batch, Batches
from patchbatch.transfer.train_images.settings import (
    Augmentation,
    ImageObjective,
    ImageSchedule,
    Sampling,
    check_together,
)
from patchbatch.transfer.verification.roc import equal_error_rate, roc_curve
from patchbatch.transfer.verification.scorers import Cosine, score_pairs

log = logging.getLogger(__name__)

RECORD = RunLog("held_out_error_percent", "held-out error", "images", lower=True)
PAIRS = 600
"""Held-out pairs of people of each kind, on which the equal error rate is taken as the training goes on."""


class ImageTrainer(TrainingLoop[Batch]):
    """One training run of a network on labelled images, as every `TrainingLoop` in one folder.

    Parameters
    ----------
    net
        As `make_image_net` makes it, on the device to train on; changed in place.
    config
        Of its trunk.
    split
        To learn from and to judge by.
    schedule, objective, sampling, augmentation
        See their classes.
    folder
        Where the run lives; an unfinished run found there is resumed. None: nothing is written.
    log_to
        As `log` of `TrainingLoop`.
    notes
        Entries of the header of weights files beyond the settings, such as where the images are from.

    Raises
    ------
    PatchBatchError
        As `TrainingLoop`, `Batches` and `check_together`.
    """

    def __init__(
        self,
        net: MultiverseNet,
        config: TrunkConfig,
        split: Split,
        schedule: ImageSchedule,
        objective: ImageObjective,
        sampling: Sampling,
        augmentation: Augmentation,
        folder: Path | None = None,
        log_to: str = CSV,
        notes: Mapping[str, str] | None = None,
    ):
        check_together(schedule, sampling)
        self.net, self.config, self.split = net, config, split
        self.schedule, self.objective, self.notes = schedule, objective, dict(notes or {})
        self.device = next(net.parameters()).device
        dtype = resolve_training_precision(schedule.precision, self.device)
        groups = [
            {"params": list(net.trunk.parameters())},
            {"params": list(net.heads.parameters()), "weight_decay": 0.0},
        ]
        rank, processes = place_among_processes()
        super().__init__(
            net, ImageLoss(net, config, objective, dtype), make_optimizer(groups, schedule), schedule, folder,
            RECORD, log_to,
        )  # fmt: skip
        self.samples = Batches(
            split.train, sampling, augmentation, schedule.batch, schedule.seed, rank, processes
        )

    def tell(self) -> None:
        """Log what is learned, and how."""
        train, schedule, objective = self.split.train, self.schedule, self.objective
        log.info(
            "%d images of %d classes; trunk of %d parameters, %d numbers; %d copies, %s products; pairs: %s",
            len(train), len(train.names), sum(p.numel() for p in self.net.trunk.parameters()),
            self.config.features, objective.copies, objective.inner_product, objective.pair_term,
        )  # fmt: skip
        log.info(
            "%d steps of %d images, %s, peak step size %g, on %s", schedule.steps, schedule.batch,
            schedule.optimizer, schedule.learning_rate, self.device,
        )  # fmt: skip

    def write_weights(self, path: Path) -> None:
        """Write the network, its classifiers too, in half precision."""
        counted = {"images": str(len(self.split.train)), "classes": str(len(self.split.train.names))}
        settings = {"schedule": self.schedule.to_table(), "objective": self.objective.to_table()}
        told = {name: json.dumps(table) for name, table in settings.items()}
        save_image_net(self.net, self.config, path, self.notes | counted | told | {"steps": str(self.step)})

    def described(self) -> dict[str, Any]:
        """Return all settings of the run, and what its data is counted by."""
        train, held_out = self.split.train, self.split.held_out
        return {
            "train": self.schedule.to_table(),
            "objective": self.objective.to_table(),
            "network": self.config.to_table(),
            "sampling": self.samples.sampling.to_table(),
            "augmentation": self.samples.augmentation.to_table(),
            "data": {
                "images": len(train), "classes": list(train.names),
                "held out": 0 if held_out is None else len(held_out),
            },
        }  # fmt: skip

    def batches(self, workers: int) -> Iterator[Batch]:
        """Yield this process's shares of the batches that are left."""
        rest = Subset(self.samples, range(self.step, self.schedule.steps))
        # Not forked: a forked child inherits the locks of OpenCV's and torch's threads and can wait for ever.
        context = "spawn" if workers else None
        loader: DataLoader[Batch] = DataLoader(
            rest,
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=context,
            worker_init_fn=leave_to_parent,
            prefetch_factor=4 if workers else None,
        )
        return iter(loader)

    def batch_loss_of(self, batch: Batch) -> Tensor:
        """Return the loss of this process's share."""
        # What is dropped depends on seed, step and place alone, as the images do.
        drawn = np.random.SeedSequence((self.schedule.seed, self.step, self.rank)).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        images, labels = (one.to(self.device, non_blocking=True) for one in batch)
        loss: Tensor = self.model(images.contiguous(memory_format=torch.channels_last), labels)
        return loss

    def validated(self) -> float | None:
        """Return the error on what is held out, percent, lower for better.

        Of classes the share of images that the mean of the copies names wrongly; of people the equal error
        rate of the cosine.
        """
        held_out = self.split.held_out
        if held_out is None or not len(held_out):
            return None
        self.net.eval()
        judged = ImageNet(self.net, self.config, {})
        error = pair_error(judged, held_out) if self.split.people else source_error(judged, held_out)
        self.net.train()
        return 100 * error


def pair_error(judged: ImageNet, people: LabelledImages) -> float:
    """Return the equal error rate of the cosine on pairs of people, in [0, 1]."""
    pairs = pairs_of_people(people.labels, PAIRS, seed=0)
    scores = score_pairs(Cosine(), judged.embed(people.images), pairs.first, pairs.second)
    return equal_error_rate(roc_curve(scores, pairs.same))


def source_error(judged: ImageNet, images: LabelledImages) -> float:
    """Return the share of images of learned classes that the mean of the copies names wrongly, in [0, 1]."""
    head = judged.head
    represented = torch.from_numpy(judged.embed(images.images)).to(head.weight.device)
    with torch.inference_mode():
        named = head.predict(represented).argmax(dim=1).cpu().numpy()
    return float((named != images.labels).mean())
