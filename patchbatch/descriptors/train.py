"""Train a descriptor network: `python -m patchbatch.descriptors.train --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

import torch

from patchbatch.descriptors.network import PRESETS, PatchNet
from patchbatch.descriptors.objectives import LOSSES, ObjectiveSettings
from patchbatch.descriptors.sampling import PairSource, SourceSettings
from patchbatch.descriptors.trainer import Trainer, TrainSettings
from patchbatch.descriptors.weights_io import save_weights
from patchbatch.errors import PatchBatchError

# Held-out samples come from a seed no training run uses.
VALIDATION_SEED = 2**31


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of the trainer."""
    parser = argparse.ArgumentParser(
        prog="python -m patchbatch.descriptors.train",
        description="Train a patch descriptor on made scenes (textures from photographs) and on real pairs.",
    )
    parser.add_argument("--preset", choices=["fast"], default="fast", help="network to train (default: fast)")
    parser.add_argument(
        "--photos",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of photographs, the textures of layered scenes",
    )
    parser.add_argument(
        "--streets",
        type=Path,
        nargs="*",
        default=[],
        metavar="DIR",
        help="folders of driving frames, for street scenes",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="*",
        default=[],
        metavar="ROOT",
        help="folders with real pairs in the official layouts",
    )
    parser.add_argument(
        "--loss",
        choices=LOSSES,
        default=ObjectiveSettings.loss,
        help=f"what to learn from (default: {ObjectiveSettings.loss})",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=ObjectiveSettings.margin,
        help="m of the DrLIM losses (default: %(default)s)",
    )
    parser.add_argument(
        "--balance",
        type=float,
        default=ObjectiveSettings.balance,
        help="λ of the SD term: 1 switches it off (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=ObjectiveSettings.temperature,
        help="of the softmax loss (default: %(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=TrainSettings.steps, help="updates (default: %(default)s)"
    )
    parser.add_argument(
        "--batch", type=int, default=TrainSettings.batch, help="pairs per update (default: %(default)s)"
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=TrainSettings.learning_rate,
        help="peak step size (default: %(default)s)",
    )
    parser.add_argument(
        "--crop", type=int, default=SourceSettings.crop, help="side of the crops, px (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and samples (default: %(default)s)")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the run; a run found there goes on",
    )
    return parser


def train(arguments: argparse.Namespace) -> Path:
    """Run the training that the parsed command line describes; return the weights file."""
    torch.manual_seed(arguments.seed)
    unit_length = arguments.loss == "softmax"  # distances of the DrLIM losses are free to grow to the margin
    net = PatchNet(replace(PRESETS[arguments.preset], unit_length=unit_length))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    settings = TrainSettings(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        bfloat16=not arguments.float32,
    )
    objective = ObjectiveSettings(
        loss=arguments.loss,
        margin=arguments.margin,
        balance=arguments.balance,
        temperature=arguments.temperature,
        bfloat16=settings.bfloat16,
    )
    look = SourceSettings(crop=arguments.crop, mean=net.config.input_mean, std=net.config.input_std)
    folders = (arguments.photos, arguments.streets, arguments.data)
    source = PairSource(*folders, look, arguments.seed, settings.steps * settings.batch)
    validation = PairSource(arguments.photos, arguments.streets, [], look, VALIDATION_SEED, 24, held_out=True)
    Trainer(net, source, validation, settings, objective, arguments.output).run()
    weights: Path = arguments.output / f"{arguments.preset}.safetensors"
    save_weights(net, weights, {"loss": arguments.loss, "steps": str(settings.steps)})
    return weights


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 bad input)."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = build_parser().parse_args(argv)
    try:
        print(train(arguments))
    except PatchBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
