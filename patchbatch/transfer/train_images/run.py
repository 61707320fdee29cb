"""Do what a plan says: read the images, build the network, train it, write its weights."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch

from patchbatch.devices import resolve_device
from patchbatch.training.processes import place_among_processes
from patchbatch.transfer.images.labelled import ReadSettings, read_labelled
from patchbatch.transfer.images.splits import Split, split_by_class, split_by_person
from patchbatch.transfer.multiverse.image_net import make_image_net
from patchbatch.transfer.train_images.loop import ImageTrainer
from patchbatch.transfer.train_images.objective import head_settings
from patchbatch.transfer.train_images.plan import Plan

log = logging.getLogger(__name__)


def train(plan: Plan, split: Split | None = None) -> Path:
    """Train as planned; return the weights file.

    Parameters
    ----------
    plan
        What is to be done.
    split
        The images, where they are in memory already; None reads them.

    Raises
    ------
    PatchBatchError
        For a device that is not there, images that cannot be read or split, and a folder that holds a run
        with other settings.
    """
    device = resolve_device(plan.device)
    split = read_split(plan) if split is None else split
    objective, schedule = plan.objective, plan.schedule
    net = make_image_net(
        plan.config, len(split.train.names), objective.copies, head_settings(objective), schedule.seed
    ).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    notes = {
        "data": plan.kind.name, "network": plan.network, "learned": json.dumps(plan.learned.to_table()),
    }  # fmt: skip
    trainer = ImageTrainer(
        net, plan.config, split, schedule, objective, plan.sampling, plan.augmentation, plan.output,
        plan.log, notes,
    )  # fmt: skip
    trainer.run(plan.workers)
    if place_among_processes()[0] == 0:
        trainer.write_weights(plan.weights)
    return plan.weights


def read_split(plan: Plan) -> Split:
    """Read the images of a plan and split them; of LFW only the folds that are learned."""
    settings = ReadSettings(plan.config.size, grey=plan.config.inputs == 1)
    data = read_labelled(plan.data, plan.kind.name, settings)
    log.info(
        "%s is read as %s: %d images of %d classes",
        plan.data,
        plan.kind.name,
        len(data.labels),
        len(data.names),
    )
    if not plan.kind.people:
        return split_by_class(data, plan.learned.target_classes, plan.learned.class_seed)
    if plan.kind.name == "lfw":
        data = data.of_parts(*plan.learned.folds)
    return split_by_person(data, plan.learned.held_out, plan.learned.class_seed)
