"""`python -m benchmarks transfer`: what several classifiers do to a representation, and to its transfer."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

from benchmarks.arguments import add_json, check_outputs, refuse_others
from benchmarks.transfer.settings import TransferBenchmark, check_counts, check_pictures
from patchbatch.errors import PatchBatchError
from patchbatch.program import COMMON
from patchbatch.transfer.images.table import IMAGE_SETS, find_set
from patchbatch.transfer.multiverse.table import NETWORKS, PAIR_TERMS
from patchbatch.transfer.train_images.command import (
    add_loss,
    add_network,
    add_samples,
    add_schedule,
)
from patchbatch.transfer.train_images.plan import make_plan
from patchbatch.transfer.train_images.settings import AUGMENTATIONS, Learned

DESCRIPTION = """\
Train one network on 90 of 100 classes with 1 to 5 copies of the multiverse head, from several seeds; every m
sees the same weights at first, the same images in the same order and the same changes of them. Judge the
representation on pairs of images of the other 10 classes by cosine and Joint Bayesian, and on other images of
the 90: their error, effective ranks, Fisher values, agreement of the copies. Trained networks are kept, and a
run that was stopped goes on.
With --made: a small network on Gaussian classes instead, with 1, 3 and 5 copies, with 5 that are
S_w-orthogonal and with 5 that are not kept orthogonal."""
MADE_COPIES, MADE_SEEDS = [1, 3, 5], 5
COPIES, SEEDS, STEPS = [1, 2, 3, 4, 5], 3, 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(one.help() for one in (IMAGE_SETS, NETWORKS, PAIR_TERMS, AUGMENTATIONS))
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="folder of CIFAR-100 or the like")
    parser.add_argument("--made", action="store_true", help="the study on made classes; takes no DATA")
    parser.add_argument("--epochs", type=int, default=60, help="of --made: passes (%(default)s)")
    parser.add_argument("--copies", type=int, nargs="+", metavar="M", help="(1 to 5; made: 1 3 5)")
    parser.add_argument("--seeds", type=int, help="runs of each kind (3; made: 5)")
    parser.add_argument(
        "--orthogonality", nargs="+", choices=("plain", "within"), default=["plain"], metavar="NAME",
        help="plain, within: S_w-orthogonal copies (plain)",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=Path("runs/transfer"), metavar="DIR", help="the networks (%(default)s)"
    )
    parser.add_argument("--kind", default="auto", metavar="NAME", help="image set, see below (auto)")
    parser.add_argument(
        "--target-classes", type=int, default=10, metavar="N", help="judged, not learned (10)"
    )
    parser.add_argument("--class-seed", type=int, default=0, metavar="N", help="of which classes (0)")
    parser.add_argument("--pairs", type=int, default=300, metavar="N", help="same and others a fold (300)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    parser.add_argument("--workers", type=int, default=0, help="loader processes (%(default)s)")
    add_network(parser.add_argument_group("network"))
    add_loss(parser.add_argument_group("loss"), copies=False)
    add_samples(parser.add_argument_group("samples"))
    add_schedule(parser.add_argument_group("schedule"), STEPS)
    add_json(parser)
    parser.add_argument(
        "--pictures", metavar="DIR", help="draw singular values and Fisher spectra of M1, M3, M5"
    )
    parser.set_defaults(
        run=partial(run, parser), kept=lambda arguments: None if arguments.made else arguments.work
    )


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Train, print the tables and write the files."""
    made = arguments.made
    if made:
        used = ("data", "made", "epochs", "copies", "seeds", "pairs", "json", *COMMON)
        refuse_others(arguments, parser, used, "with --made")
    elif arguments.epochs != parser.get_default("epochs"):
        raise PatchBatchError("--epochs is of --made; images are learned for --steps")
    copies = arguments.copies or (MADE_COPIES if made else COPIES)
    seeds = arguments.seeds if arguments.seeds is not None else (MADE_SEEDS if made else SEEDS)
    check_counts(copies, seeds=seeds, epochs=arguments.epochs, pairs=arguments.pairs)
    check_outputs(arguments.json)
    return _run_made(arguments, copies, seeds) if made else _run_images(arguments, copies, seeds)


def _run_made(arguments: argparse.Namespace, copies: list[int], seeds: int) -> int:
    if arguments.data is not None:
        raise PatchBatchError(f"--made makes its classes; leave out {arguments.data}")
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.report import write_json  # noqa: PLC0415
    from benchmarks.transfer import made  # noqa: PLC0415

    report = made.run(copies, seeds, arguments.epochs)
    print(made.format_table(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0


def benchmark_of(arguments: argparse.Namespace, copies: list[int], seeds: int) -> TransferBenchmark:
    """Turn parsed arguments into what is measured.

    Raises
    ------
    PatchBatchError
        As `make_plan`, and without a folder of classes to split.
    """
    if arguments.data is None:
        raise PatchBatchError("no data; give the folder of CIFAR-100 or the like, or --made")
    if find_set(arguments.data, arguments.kind).people:
        raise PatchBatchError(
            f"{arguments.data} has no validation images of its classes; for people there is the command faces"
        )
    if arguments.target_classes < 2:
        raise PatchBatchError(f"target-classes is {arguments.target_classes}; pairs need 2 or more")
    learned = Learned()
    arguments.folds, arguments.held_out, arguments.output = learned.folds, learned.held_out, arguments.work
    arguments.copies, arguments.inner_product, arguments.seed = 1, "plain", 0
    return TransferBenchmark(
        make_plan(arguments), tuple(copies), tuple(dict.fromkeys(arguments.orthogonality)), seeds,
        arguments.pairs,
    )  # fmt: skip


def _run_images(arguments: argparse.Namespace, copies: list[int], seeds: int) -> int:
    pictures = check_pictures(arguments.pictures)
    benchmark = benchmark_of(arguments, copies, seeds)
    from benchmarks.report import write_json  # noqa: PLC0415 - see _run_made
    from benchmarks.transfer import report, study  # noqa: PLC0415

    logging.basicConfig(format="%(message)s")
    logging.getLogger("patchbatch.training").setLevel(logging.INFO)
    told = study.run(benchmark)
    print(report.format_tables(told["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, told)
    if pictures is not None:
        report.draw(told["rows"], pictures)
    return 0
