"""Do what a plan says: build the network, train it, write its weights."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch

from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.loop import Trainer
from patchbatch.descriptors.train.plan import Plan
from patchbatch.descriptors.train.samples.sources import PairSource
from patchbatch.descriptors.train.warm_start import start_from
from patchbatch.devices import resolve_device
from patchbatch.models import load_model

log = logging.getLogger(__name__)

# Held-out samples come from a seed no training run uses.
VALIDATION_SEED = 2**31
VALIDATION_SAMPLES = 24


def train(plan: Plan) -> Path:
    """Train as planned; return the weights file.

    Raises
    ------
    PatchBatchError
        For a device that is not there, weights to start or learn from that do not fit, and a folder that
        holds a run with other settings.
    """
    device = resolve_device(plan.device)
    torch.manual_seed(plan.settings.seed)
    net = PatchNet(plan.config)
    if plan.start:
        start_from(net, load_model(plan.start))
        log.info("starting from %s", plan.start)
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = load_model(plan.teacher, str(device)) if plan.teacher else None
    if plan.teacher:
        log.info("learning from %s besides, with weight %g", plan.teacher, plan.objective.distill)
    source, validation = _sources(plan)
    trainer = Trainer(net, source, validation, plan.settings, plan.objective, plan.output, teacher, plan.log)
    trainer.run(plan.workers)
    weights = plan.output / f"{plan.preset}.safetensors"
    if int(os.environ.get("RANK", "0")) == 0:
        trainer.write_weights(weights)
    return weights


def _sources(plan: Plan) -> tuple[PairSource, PairSource]:
    """Return the samples to learn from and the held-out ones."""
    count, seed = plan.settings.steps * plan.settings.batch, plan.settings.seed
    source = PairSource(plan.photos, plan.streets, plan.data, plan.look, seed, count)
    # Photographs and frames are held out where there are some: made scenes have exact truth.
    data = () if plan.photos else plan.data
    validation = PairSource(
        plan.photos, plan.streets, data, plan.look, VALIDATION_SEED, VALIDATION_SAMPLES, held_out=True
    )
    log.info(
        "learning from %d photographs, %d driving frames and %d folders of pairs", len(source.photo_files),
        len(source.street_files), len(source.pair_folders),
    )  # fmt: skip
    return source, validation
