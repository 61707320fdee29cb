"""Train a descriptor network: `python -m patchbatch.descriptors.train.command --help`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.network.config import PRESETS, PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.loop import Trainer, TrainSettings
from patchbatch.descriptors.train.objective import ObjectiveSettings
from patchbatch.descriptors.train.sampling import PairSource, SourceSettings
from patchbatch.descriptors.train.warm_start import start_from
from patchbatch.descriptors.weights import save_weights
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_model

# Held-out samples come from a seed no training run uses.
VALIDATION_SEED = 2**31
# Peak step size where none is given; AdaDelta scales its own steps.
RATES = {"adamw": 2e-3, "adadelta": 1.0}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of the trainer."""
    parser = argparse.ArgumentParser(
        prog="python -m patchbatch.descriptors.train.command",
        description="Train a patch descriptor on made scenes (textures from photographs) and on real pairs. "
        "Under torchrun the processes share every batch.",
    )
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="compact", help="network to train (compact)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the run; a run there goes on"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and samples (0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    _add_network(parser.add_argument_group("network"))
    _add_data(parser.add_argument_group("data, at least one of --photos and --data"))
    _add_loss(parser.add_argument_group("loss"))
    _add_schedule(parser.add_argument_group("schedule"))
    return parser


def _add_network(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--elu", action="store_true", help="ELU in place of the leaky ReLU")
    group.add_argument(
        "--sides",
        type=int,
        nargs="*",
        metavar="N",
        help="convolutions whose output at the described pixel goes into the descriptor (the preset's)",
    )
    group.add_argument(
        "--normalization",
        choices=("fine-grained", "per-channel"),
        help="statistics per place in the patch, or per channel (the preset's)",
    )
    group.add_argument("--channels", type=int, nargs=5, metavar="N", help="of the five layers (the preset's)")
    group.add_argument("--start", metavar="NAME|FILE", help="start from these weights of equal channels")


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--photos", type=Path, nargs="+", default=[], metavar="DIR",
        help="folders of photographs: textures of layered scenes in motion",
    )  # fmt: skip
    group.add_argument(
        "--streets", type=Path, nargs="+", default=[], metavar="DIR",
        help="folders of driving frames, for street scenes; with --photos",
    )  # fmt: skip
    group.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="ROOT",
        help="folders with real pairs in the official layouts; alone, every fifth pair is held out",
    )  # fmt: skip
    group.add_argument("--crop", type=int, default=SourceSettings.crop, help="side, px (%(default)s)")
    group.add_argument("--workers", type=int, default=1, help="loader processes (1)")


def _add_loss(group: argparse._ArgumentGroup) -> None:
    default = ObjectiveSettings()
    group.add_argument("--loss", choices=list(LOSSES), default=default.loss, help="(%(default)s)")
    group.add_argument("--margin", type=float, help="m of the DrLIM and hinge losses (100; bailer 1)")
    group.add_argument("--balance", type=float, help="λ of the SD term: 1 switches it off (0.8)")
    group.add_argument(
        "--sd-of", choices=("distance", "squared", "loss"), help="what the SD term is taken of (distance)"
    )
    group.add_argument("--unit-length", action=argparse.BooleanOptionalAction, default=None,
        help="descriptors of unit length (with softmax and bailer)")  # fmt: skip
    group.add_argument("--temperature", type=float, default=default.temperature, help="softmax (%(default)s)")
    group.add_argument("--near", type=float, default=default.near, metavar="PX",
        help="sampled non-matches lie 1 to PX from the true match (%(default)s)")  # fmt: skip
    group.add_argument("--normal", action="store_true", help="their distance is normal, not uniform")
    group.add_argument("--hard", type=float, default=default.hard, metavar="SHARE",
        help="of non-matches that are the nearest wrong points instead (%(default)s)")  # fmt: skip
    group.add_argument("--exclude", type=float, default=default.exclude, metavar="PX",
        help="what is nearer to the true target is no non-match (%(default)s)")  # fmt: skip
    group.add_argument("--stride", type=int, default=default.stride, choices=(1, 2, 4, 8, 16),
        help="px between described points of dense networks (%(default)s)")  # fmt: skip
    group.add_argument("--surround", type=int, default=default.surround, metavar="PX",
        help="border of a crop that only coarser scales see (%(default)s)")  # fmt: skip
    group.add_argument("--points", type=int, default=default.points, help="matches of a pair (%(default)s)")
    group.add_argument("--teacher", metavar="NAME|FILE", help="dense network to learn from, with softmax")
    group.add_argument("--distill", type=float, default=default.distill, metavar="SHARE",
        help="weight of the teacher against the data (%(default)s)")  # fmt: skip


def _add_schedule(group: argparse._ArgumentGroup) -> None:
    default = TrainSettings()
    group.add_argument("--steps", type=int, default=default.steps, help="updates (%(default)s)")
    group.add_argument("--batch", type=int, default=default.batch, help="pairs per update (%(default)s)")
    group.add_argument("--optimizer", choices=sorted(RATES), default="adamw", help="(%(default)s)")
    group.add_argument("--learning-rate", type=float, help="peak step size (adamw 2e-3, adadelta 1)")
    group.add_argument("--float32", action="store_true", help="no bfloat16 products")


def train(arguments: argparse.Namespace) -> Path:
    """Run the training that the parsed command line describes; return the weights file."""
    device = resolve_device(arguments.device)
    torch.manual_seed(arguments.seed)
    net = PatchNet(network_config(arguments))
    if arguments.start:
        start_from(net, load_model(arguments.start))
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = load_model(arguments.teacher, str(device)) if arguments.teacher else None
    settings, objective = train_settings(arguments), objective_settings(arguments)
    look = SourceSettings(crop=arguments.crop, mean=net.config.input_mean, std=net.config.input_std)
    folders = (arguments.photos, arguments.streets, arguments.data)
    source = PairSource(*folders, look, arguments.seed, settings.steps * settings.batch)
    # Photographs and frames are held out where there are some: made scenes have exact truth.
    seen = (arguments.photos, arguments.streets, [] if arguments.photos else arguments.data)
    validation = PairSource(*seen, look, VALIDATION_SEED, 24, held_out=True)
    Trainer(net, source, validation, settings, objective, arguments.output, teacher).run(arguments.workers)
    weights: Path = arguments.output / f"{arguments.preset}.safetensors"
    if int(os.environ.get("RANK", "0")) == 0:
        save_weights(net, weights, {"loss": arguments.loss, "steps": str(settings.steps)})
    return weights


def network_config(arguments: argparse.Namespace) -> PatchNetConfig:
    """Return the preset with what the command line changes."""
    unit_length = arguments.loss in ("softmax", "bailer")  # other losses let distances grow to the margin
    if arguments.unit_length is not None:
        unit_length = arguments.unit_length
    changes: dict[str, Any] = {"unit_length": unit_length}
    if arguments.elu:
        changes["activation"] = "elu"
    if arguments.normalization:
        changes["normalization"] = arguments.normalization
    for name in ("sides", "channels"):
        if getattr(arguments, name) is not None:
            changes[name] = tuple(getattr(arguments, name))
    return replace(PRESETS[arguments.preset], **changes)


def objective_settings(arguments: argparse.Namespace) -> ObjectiveSettings:
    """Collect the settings of the loss."""
    named = {"margin": arguments.margin, "balance": arguments.balance, "of": arguments.sd_of}
    return ObjectiveSettings(
        loss=arguments.loss,
        options=tuple((name, value) for name, value in named.items() if value is not None),
        temperature=arguments.temperature,
        near=arguments.near,
        normal=arguments.normal,
        hard=arguments.hard,
        distill=arguments.distill,
        stride=arguments.stride,
        surround=arguments.surround,
        exclude=arguments.exclude,
        points=arguments.points,
        bfloat16=not arguments.float32,
    )


def train_settings(arguments: argparse.Namespace) -> TrainSettings:
    """Collect the settings of the schedule."""
    rate = arguments.learning_rate
    return TrainSettings(
        steps=arguments.steps,
        batch=arguments.batch,
        optimizer=arguments.optimizer,
        learning_rate=RATES[arguments.optimizer] if rate is None else rate,
        seed=arguments.seed,
        bfloat16=not arguments.float32,
    )


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 bad input)."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = build_parser().parse_args(argv)
    try:
        with processes():
            print(train(arguments))
    except PatchBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
