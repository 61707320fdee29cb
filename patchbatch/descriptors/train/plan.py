"""From a parsed command line to a training run that is checked as far as it can be without torch."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from patchbatch.data.files import make_folder
from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.network.config import NETWORKS, PatchNetConfig
from patchbatch.descriptors.train.samples.folders import check_folders
from patchbatch.descriptors.train.settings import RATES, ObjectiveSettings, SourceSettings, TrainSettings
from patchbatch.errors import PatchBatchError
from patchbatch.models import weights_file
from patchbatch.training.logs import CSV, check_log

log = logging.getLogger(__name__)

_WANTING = " and ".join(name for name, loss in LOSSES.items() if loss.unit_length)
UNIT_LENGTH_RULE = (
    f"descriptors of unit length; by default with {_WANTING}; with the other losses not, but where the "
    "preset joins scales, which gives unit length anyway, as the preset has it"
)
"""What `fit_to_loss` does, for the help text."""


@dataclass(frozen=True)
class Plan:
    """A training run.

    Attributes
    ----------
    preset
        Name of the network in `NETWORKS`, and of the weights file.
    config, settings, objective, look
        Of the network, the schedule, the loss (all options filled in) and the samples.
    photos, streets, data
        Folders as `PairSource` takes them.
    output
        Folder of the run, which is there.
    workers
        Loader processes.
    device
        As `resolve_device` takes it.
    start, teacher
        Weights to start and to learn from, a model's name or a file; None: neither.
    log
        What the figures are written to, a name of `patchbatch.training.logs.LOGS`.
    """

    preset: str
    config: PatchNetConfig
    settings: TrainSettings
    objective: ObjectiveSettings
    look: SourceSettings
    photos: tuple[Path, ...]
    streets: tuple[Path, ...]
    data: tuple[Path, ...]
    output: Path
    workers: int = 1
    device: str = "auto"
    start: str | None = None
    teacher: str | None = None
    log: str = CSV


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Check what `command.build_parser` parsed, and make the folder of the run.

    Raises
    ------
    PatchBatchError
        For unknown names, numbers out of range, options that do not go together, folders and files that are
        not there or hold nothing to learn from, and a folder that cannot be made.
    """
    objective, settings = objective_settings(arguments), train_settings(arguments)
    config = network_config(arguments)
    objective = objective.for_network(config.ends_in_unit_length)
    look = SourceSettings(crop=arguments.crop, mean=config.input_mean, std=config.input_std)
    _check_crop(look.crop, config, objective)
    if arguments.workers < 0:
        raise PatchBatchError(f"workers is {arguments.workers}; give 0 or more")
    if arguments.teacher and objective.of_pairs:
        raise PatchBatchError(
            f"a teacher goes with the loss softmax, not {objective.loss}; leave one of them out"
        )
    for weights in (arguments.start, arguments.teacher):
        if weights:
            weights_file(weights)
    photos, streets, data = arguments.photos, arguments.streets, arguments.data
    check_folders(photos, streets, data)
    return Plan(
        arguments.preset, config, settings, objective, look, tuple(photos), tuple(streets), tuple(data),
        make_folder(arguments.output), arguments.workers, arguments.device, arguments.start,
        arguments.teacher, check_log(arguments.log),
    )  # fmt: skip


def network_config(arguments: argparse.Namespace) -> PatchNetConfig:
    """Return the preset with what the command line and the loss change."""
    changes: dict[str, Any] = {}
    if arguments.elu:
        changes["activation"] = "elu"
    if arguments.normalization:
        changes["normalization"] = arguments.normalization
    for name in ("sides", "channels"):
        if getattr(arguments, name) is not None:
            changes[name] = tuple(getattr(arguments, name))
    config = replace(NETWORKS[arguments.preset].config, **changes)
    if arguments.unit_length is not None:
        return replace(config, unit_length=arguments.unit_length)
    return fit_to_loss(config, arguments.loss)


def fit_to_loss(config: PatchNetConfig, loss: str) -> PatchNetConfig:
    """Give a network the length of descriptors that a loss wants; a change is logged.

    Where scales are joined the descriptors have unit length whatever the setting; then only a loss that wants
    unit length changes what the finest scale says by itself.
    """
    wanted = LOSSES[loss].unit_length or (config.unit_length and bool(config.joint))
    if wanted == config.unit_length:
        return config
    log.info(
        "the loss %s takes descriptors of %s length, so unit_length is switched %s", loss,
        *(("unit", "on") if wanted else ("any", "off")),
    )  # fmt: skip
    return replace(config, unit_length=wanted)


def objective_settings(arguments: argparse.Namespace) -> ObjectiveSettings:
    """Collect the settings of the loss, with the options that were given."""
    names = {
        "margin": "margin",
        "balance": "balance",
        "sd_of": "of",
        "threshold": "threshold",
        "scale": "scale",
    }
    given = ((option, getattr(arguments, name)) for name, option in names.items())
    same = (
        "loss",
        "temperature",
        "near",
        "normal",
        "hard",
        "distill",
        "stride",
        "surround",
        "exclude",
        "points",
    )
    return ObjectiveSettings(
        options=tuple((name, value) for name, value in given if value is not None),
        **{name: getattr(arguments, name) for name in same},
    )


def train_settings(arguments: argparse.Namespace) -> TrainSettings:
    """Collect the settings of the schedule."""
    same = ("steps", "batch", "optimizer", "seed", "precision", "save_every")
    rate = arguments.learning_rate
    return TrainSettings(
        learning_rate=RATES[arguments.optimizer] if rate is None else rate,
        **{name: getattr(arguments, name) for name in same},
    )


def _check_crop(crop: int, config: PatchNetConfig, objective: ObjectiveSettings) -> None:
    """Refuse crops in which no pixel has its whole patch."""
    surround = objective.surround if config.is_dense else 0
    least = config.patch_size + 2 * surround
    if crop < least:
        raise PatchBatchError(
            f"crop is {crop} px, but the network sees {config.patch_size} px and {surround} more at each "
            f"border are kept for coarser scales; give {least} or more"
        )
