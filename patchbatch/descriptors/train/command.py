"""Train a descriptor network: `python -m patchbatch.descriptors.train --help`.

Importing torch takes seconds, so nothing here does until the arguments are known to be right.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from patchbatch import program
from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.network.config import NETWORKS
from patchbatch.descriptors.train.plan import UNIT_LENGTH_RULE, make_plan
from patchbatch.descriptors.train.settings import (
    RATES,
    TRAIN_PRECISIONS,
    ObjectiveSettings,
    SourceSettings,
    TrainSettings,
)
from patchbatch.training.logs import add_log


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of the trainer."""
    parser = program.Parser(
        prog="python -m patchbatch.descriptors.train",
        description="Train a patch descriptor on made scenes (textures from photographs) and on real pairs.\n"
        "Under torchrun the processes share every batch.",
        epilog=f"{NETWORKS.help()}\n\n{LOSSES.help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--preset", default="compact", metavar="NAME", help="network to train, see below (%(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the run; a run there goes on"
    )
    parser.add_argument(
        "--seed", type=int, default=TrainSettings().seed, help="of weights and samples (%(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    _add_network(parser.add_argument_group("network"))
    _add_data(parser.add_argument_group("data, at least one of --photos and --data"))
    _add_loss(parser.add_argument_group("loss"))
    _add_pairs(parser.add_argument_group("pairs"))
    _add_schedule(parser.add_argument_group("schedule"))
    program.add_common(parser)
    return parser


def _add_network(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--elu", action="store_true", help="ELU in place of the leaky ReLU")
    group.add_argument(
        "--sides", type=int, nargs="*", metavar="N",
        help="convolutions whose output at the described pixel goes into the descriptor (the preset's)",
    )  # fmt: skip
    group.add_argument(
        "--normalization", choices=("fine-grained", "per-channel"),
        help="statistics per place in the patch, or per channel (the preset's)",
    )  # fmt: skip
    group.add_argument("--channels", type=int, nargs=5, metavar="N", help="of the five layers (the preset's)")
    group.add_argument(
        "--unit-length", action=argparse.BooleanOptionalAction, default=None, help=UNIT_LENGTH_RULE
    )
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
    group.add_argument(
        "--crop", type=int, default=SourceSettings().crop, metavar="PX", help="side (%(default)s)"
    )
    group.add_argument("--workers", type=int, default=1, help="loader processes (%(default)s)")


def _add_loss(group: argparse._ArgumentGroup) -> None:
    default = ObjectiveSettings()
    group.add_argument("--loss", default=default.loss, metavar="NAME", help="see below (%(default)s)")
    group.add_argument("--margin", type=float, metavar="M",
        help="non-matches beyond it are left alone (100; with unit length below 2, 1)")  # fmt: skip
    group.add_argument(
        "--balance",
        type=float,
        metavar="SHARE",
        help="λ, of the loss against the SD term: 1 switches SD off (0.8; with unit length in units of the "
        "margin, 0.9975 for drlim+sd and cent+sd)",
    )
    group.add_argument(
        "--sd-of", choices=("distance", "squared", "loss"), help="what the SD term is taken of (distance)"
    )
    group.add_argument("--threshold", type=float, metavar="T",
        help="bailer: nearer matches are left alone (0.3); siamese: where a match turns into a non-match "
        "(50; with unit length 1)")  # fmt: skip
    group.add_argument("--scale", type=float, metavar="S",
        help="siamese: how sharply it turns (0.1; with unit length 5)")  # fmt: skip
    group.add_argument("--temperature", type=float, default=default.temperature, help="softmax (%(default)s)")
    group.add_argument("--teacher", metavar="NAME|FILE", help="dense network to learn from, with softmax")
    group.add_argument("--distill", type=float, default=default.distill, metavar="SHARE",
        help="weight of the teacher against the data (%(default)s)")  # fmt: skip


def _add_pairs(group: argparse._ArgumentGroup) -> None:
    default = ObjectiveSettings()
    group.add_argument("--near", type=float, default=default.near, metavar="PX",
        help="sampled non-matches lie 1 to PX from the true match (%(default)s)")  # fmt: skip
    group.add_argument("--normal", action="store_true", help="their distance is normal, not uniform")
    group.add_argument("--hard", type=float, default=default.hard, metavar="SHARE",
        help="of non-matches that are the nearest wrong points instead (%(default)s)")  # fmt: skip
    group.add_argument("--exclude", type=float, default=default.exclude, metavar="PX",
        help="what is nearer to the true target is no non-match (%(default)s)")  # fmt: skip
    group.add_argument("--stride", type=int, default=default.stride, metavar="PX",
        help="between described points of dense networks: 1, 2, 4, 8 or 16 (%(default)s)")  # fmt: skip
    group.add_argument("--surround", type=int, default=default.surround, metavar="PX",
        help="border of a crop that only coarser scales see (%(default)s)")  # fmt: skip
    group.add_argument("--points", type=int, default=default.points, help="matches of a pair (%(default)s)")


def _add_schedule(group: argparse._ArgumentGroup) -> None:
    default = TrainSettings()
    rates = ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())
    group.add_argument("--steps", type=int, default=default.steps, help="updates (%(default)s)")
    group.add_argument("--batch", type=int, default=default.batch, help="pairs per update (%(default)s)")
    group.add_argument("--optimizer", choices=tuple(RATES), default=default.optimizer, help="(%(default)s)")
    group.add_argument("--learning-rate", type=float, help=f"peak step size ({rates})")
    group.add_argument(
        "--save-every", type=int, default=default.save_every, metavar="N",
        help="steps between checkpoints; Ctrl-C makes one too (%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=TRAIN_PRECISIONS, default=default.precision,
        help="of the products; auto is bfloat16 where the device has units for it, else float32",
    )  # fmt: skip
    add_log(group)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 bad input). Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    goes_on = f"stopped; the same command goes on from the last checkpoint in {arguments.output}"
    return program.run("error", lambda: _run(arguments), arguments, goes_on)


def _run(arguments: argparse.Namespace) -> None:
    plan = make_plan(arguments)
    from patchbatch.descriptors.train.run import train  # noqa: PLC0415 - imports torch
    from patchbatch.training.processes import processes  # noqa: PLC0415

    with processes():
        print(train(plan))


if __name__ == "__main__":
    sys.exit(main())
