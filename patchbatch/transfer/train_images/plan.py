"""From a parsed command line to a training run that is checked as far as it can be without torch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from patchbatch.data.files import make_folder
from patchbatch.errors import PatchBatchError
from patchbatch.training.logs import CSV, check_log
from patchbatch.transfer.images.table import ImageSet, find_set
from patchbatch.transfer.multiverse.table import NETWORKS, TrunkConfig
from patchbatch.transfer.train_images.settings import (
    AUGMENTATIONS,
    RATES,
    Augmentation,
    ImageObjective,
    ImageSchedule,
    Learned,
    Sampling,
    check_together,
)


@dataclass(frozen=True)
class Plan:
    """A training run.

    Attributes
    ----------
    network
        Name of the network in `NETWORKS`, and of the weights file.
    config, schedule, objective, sampling, augmentation, learned
        See their classes.
    data, kind
        Folder of the images, and its entry in `IMAGE_SETS`.
    output
        Folder of the run, which is there.
    workers
        Loader processes.
    device
        As `resolve_device` takes it.
    log
        What the figures are written to, a name of `patchbatch.training.logs.LOGS`.
    """

    network: str
    config: TrunkConfig
    schedule: ImageSchedule
    objective: ImageObjective
    sampling: Sampling
    augmentation: Augmentation
    learned: Learned
    data: Path
    kind: ImageSet
    output: Path
    workers: int = 0
    device: str = "auto"
    log: str = CSV

    @property
    def weights(self) -> Path:
        """The file that the trained network is written to."""
        return self.output / f"{self.network}.safetensors"


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Check what `command.build_parser` parsed, and make the folder of the run.

    Raises
    ------
    PatchBatchError
        For unknown names, numbers out of range, options that do not go together, a folder of data that is not
        there, and one of the run that cannot be made.
    """
    config, schedule, sampling = network_config(arguments), schedule_of(arguments), sampling_of(arguments)
    objective = ImageObjective(
        copies=arguments.copies, weight_penalty=arguments.lambda1, orthogonality=arguments.lambda2,
        inner_product=arguments.inner_product, pair_term=arguments.pair_term,
        pair_weight=arguments.pair_weight, temperature=arguments.temperature, margin=arguments.margin,
    )  # fmt: skip
    learned = Learned(
        arguments.target_classes, arguments.class_seed, tuple(arguments.folds), arguments.held_out
    )
    check_together(schedule, sampling)
    if arguments.workers < 0:
        raise PatchBatchError(f"workers is {arguments.workers}; give 0 or more")
    kind = find_set(arguments.data, arguments.kind)
    if kind.people and learned.target_classes:
        raise PatchBatchError(
            f"target-classes is for sets with validation images; of {kind.name} give held-out"
        )
    if kind.name != "lfw" and learned.folds != Learned().folds:
        raise PatchBatchError(
            f"folds are of LFW, and {arguments.data} is read as {kind.name}; leave them out"
        )
    return Plan(
        arguments.network, config, schedule, objective, sampling, augmentation_of(arguments.augment, config),
        learned, arguments.data, kind, make_folder(arguments.output), arguments.workers, arguments.device,
        check_log(arguments.log),
    )  # fmt: skip


def network_config(arguments: argparse.Namespace) -> TrunkConfig:
    """Return the preset with what the command line changes."""
    names = ("size", "dropout", "normalization")
    given: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(NETWORKS[arguments.network].config, **changes)


def sampling_of(arguments: argparse.Namespace) -> Sampling:
    """Collect how batches are made."""
    return Sampling(arguments.people, arguments.per_person, arguments.several)


def schedule_of(arguments: argparse.Namespace) -> ImageSchedule:
    """Collect the settings of the schedule."""
    same = ("steps", "batch", "optimizer", "weight_decay", "warmup", "seed", "precision", "save_every")
    rate = arguments.learning_rate
    return ImageSchedule(
        learning_rate=RATES[arguments.optimizer] if rate is None else rate,
        **{name: getattr(arguments, name) for name in same},
    )


def augmentation_of(name: str, config: TrunkConfig) -> Augmentation:
    """Return how images are changed: by name, or for "auto" as it suits the network."""
    if name == "auto":
        name = "faces" if config.layers == "scratch" else "objects"
    return AUGMENTATIONS[name].changes
