"""Train a network on labelled images: `python -m patchbatch.transfer.train_images --help`.

Importing torch takes seconds, so nothing here does until the arguments are known to be right.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from patchbatch import program
from patchbatch.training.logs import add_log
from patchbatch.transfer.images.table import IMAGE_SETS
from patchbatch.transfer.multiverse.table import NETWORKS, PAIR_TERMS
from patchbatch.transfer.train_images.plan import make_plan
from patchbatch.transfer.train_images.settings import (
    AUGMENTATIONS,
    RATES,
    ImageObjective,
    ImageSchedule,
    Learned,
    Sampling,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of the trainer."""
    parser = program.Parser(
        prog="python -m patchbatch.transfer.train_images",
        description="Train a network on images of classes or people by the multiverse loss.\n"
        "Under torchrun the processes share every batch.",
        epilog="\n\n".join(table.help() for table in (IMAGE_SETS, NETWORKS, PAIR_TERMS, AUGMENTATIONS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--kind", default="auto", metavar="NAME", help="image set, see below (auto)")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the run; a run there goes on"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    parser.add_argument("--workers", type=int, default=0, help="loader processes (%(default)s)")
    add_network(parser.add_argument_group("network"))
    add_learned(parser.add_argument_group("who is learned"))
    add_loss(parser.add_argument_group("loss"), copies=True)
    add_samples(parser.add_argument_group("samples"))
    add_schedule(parser.add_argument_group("schedule"))
    parser.add_argument(
        "--seed", type=int, default=ImageSchedule().seed, help="of weights, order and changes (%(default)s)"
    )
    program.add_common(parser)
    return parser


def add_network(group: argparse._ActionsContainer, default: str = "nin-narrow") -> None:
    """Add the options that say what the network is made of."""
    group.add_argument("--network", default=default, metavar="NAME", help="see below (%(default)s)")
    group.add_argument(
        "--size", type=int, metavar="PX", help="side that images are brought to (the network's)"
    )
    group.add_argument("--dropout", type=float, metavar="SHARE", help="0 is off (the network's)")
    group.add_argument("--normalization", choices=("none", "batch"), help="(the network's)")


def add_learned(group: argparse._ActionsContainer) -> None:
    """Add the options that say who is learned and who is kept apart."""
    default = Learned()
    group.add_argument("--target-classes", type=int, default=default.target_classes, metavar="N",
        help="keep so many classes apart (%(default)s)")  # fmt: skip
    group.add_argument("--class-seed", type=int, default=default.class_seed, metavar="N",
        help="of which classes or people are kept apart (%(default)s)")  # fmt: skip
    group.add_argument("--folds", type=int, nargs="+", default=list(default.folds), metavar="N",
        help="of LFW, to learn from (6 to 10; 1 to 5 are the test)")  # fmt: skip
    group.add_argument("--held-out", type=float, default=default.held_out, metavar="SHARE",
        help="of people, judged as the training goes on (%(default)s)")  # fmt: skip


def add_loss(group: argparse._ActionsContainer, copies: bool) -> None:
    """Add the options of the loss; `copies` and the inner product only where they are not a benchmark's."""
    default = ImageObjective()
    if copies:
        group.add_argument("--copies", type=int, default=default.copies, metavar="M",
            help="classifiers of the multiverse head (%(default)s)")  # fmt: skip
        group.add_argument("--inner-product", choices=("plain", "within"), default=default.inner_product,
            help="in which the copies are orthogonal; within: S_w (%(default)s)")  # fmt: skip
    group.add_argument("--lambda1", type=float, default=default.weight_penalty, metavar="L",
        help="on the classifiers' squared norms (%(default)s)")  # fmt: skip
    group.add_argument("--lambda2", type=float, default=default.orthogonality, metavar="L",
        help="on the copies' inner products (%(default)s)")  # fmt: skip
    group.add_argument(
        "--pair-term", default=default.pair_term, metavar="NAME", help="see below (%(default)s)"
    )
    group.add_argument("--pair-weight", type=float, default=default.pair_weight, metavar="W",
        help="of the pair term (%(default)s)")  # fmt: skip
    group.add_argument("--temperature", type=float, default=default.temperature, metavar="T",
        help="of softmax (%(default)s)")  # fmt: skip
    group.add_argument("--margin", type=float, default=default.margin, metavar="M",
        help="of contrastive (%(default)s)")  # fmt: skip


def add_samples(group: argparse._ActionsContainer) -> None:
    """Add the options that say which images make a batch, and how they are changed."""
    default = Sampling()
    group.add_argument("--people", type=int, default=default.people, metavar="P",
        help="classes a batch; 0: images in random order (%(default)s)")  # fmt: skip
    group.add_argument("--per-person", type=int, default=default.per_person, metavar="K",
        help="images of each (%(default)s)")  # fmt: skip
    group.add_argument("--several", type=float, default=default.several, metavar="SHARE",
        help="of people with two images or more in a batch (%(default)s)")  # fmt: skip
    group.add_argument("--augment", default="auto", metavar="NAME", help="see below (as suits the network)")


def add_schedule(group: argparse._ActionsContainer, steps: int = ImageSchedule().steps) -> None:
    """Add the options of the schedule, but the seed."""
    default = ImageSchedule()
    rates = ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())
    group.add_argument("--steps", type=int, default=steps, help="updates (%(default)s)")
    group.add_argument("--batch", type=int, default=default.batch, help="images per update (%(default)s)")
    group.add_argument("--optimizer", choices=tuple(RATES), default=default.optimizer, help="(%(default)s)")
    group.add_argument("--learning-rate", type=float, metavar="R", help=f"peak step size ({rates})")
    group.add_argument("--weight-decay", type=float, default=default.weight_decay, metavar="W",
        help="of the trunk (%(default)s)")  # fmt: skip
    group.add_argument("--warmup", type=int, default=default.warmup, metavar="N",
        help="steps of the rise (%(default)s)")  # fmt: skip
    group.add_argument("--save-every", type=int, default=default.save_every, metavar="N",
        help="steps between checkpoints; Ctrl-C makes one too (%(default)s)")  # fmt: skip
    group.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default=default.precision,
        help="of products; auto: bfloat16 where the hardware has it (%(default)s)")  # fmt: skip
    add_log(group)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 bad input, 130 stopped); usage errors: 2."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    goes_on = f"stopped; the same command goes on from the last checkpoint in {arguments.output}"
    return program.run("error", lambda: _run(arguments), arguments, goes_on)


def _run(arguments: argparse.Namespace) -> None:
    plan = make_plan(arguments)
    from patchbatch.training.processes import processes  # noqa: PLC0415 - imports torch
    from patchbatch.transfer.train_images.run import train  # noqa: PLC0415

    with processes():
        print(train(plan))


if __name__ == "__main__":
    sys.exit(main())
