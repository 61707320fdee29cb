"""`python -m benchmarks faces`: are two faces of one person? Hand-made features, or trained networks."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

from benchmarks.arguments import add_json, check_outputs, positive, refuse_others
from benchmarks.faces.settings import EmbeddingBenchmark, FacesBenchmark
from patchbatch.errors import PatchBatchError
from patchbatch.program import COMMON
from patchbatch.transfer.embeddings.arguments import add_embedding, inputs_of
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.embeddings.table import EMBEDDINGS
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
Verify LFW's pairs of View 2 with histograms of oriented gradients: plain and centred cosine, Joint Bayesian,
a Siamese head in its place, and ensembles of two histograms. All that is learned is learned on folds 6 to 10
and tested on folds 1 to 5; the rows "splits" stay within folds 6 to 10 and learn anew for each.
With --train: train networks by the multiverse loss on the people of folds 6 to 10, or of a folder tree, and
test them on folds 1 to 5: cosine and Joint Bayesian, thresholds from people of folds 6 to 10 who are not
learned; Joint Bayesian learned on the other test folds; one network, and two and three together. Trained
networks are kept, and a run that was stopped goes on.
With --embedding: the same for a network that is there already; Joint Bayesian is learned on top of it on
folds 6 to 10; thresholds, and the calibration that --save keeps, are from people of these folds held out."""
COPIES, STEPS = [1, 2, 3, 5], 4000
EMBEDDED = (
    "root", "images", "json", "embedding", "crop", "side", "colour", "mean", "deviation", "save", "device",
    "held_out",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(one.help() for one in (EMBEDDINGS, NETWORKS, PAIR_TERMS, AUGMENTATIONS))
    parser.add_argument("root", metavar="ROOT", help="folder of people.txt, pairs.txt and the images")
    parser.add_argument("--images", metavar="DIR", help="folder of the people's folders, if not in ROOT")
    add_json(parser)
    parser.add_argument("--plot", metavar="FILE", help="draw the ROC curves (.png, .svg, .pdf; matplotlib)")
    given = parser.add_argument_group("embeddings")
    add_embedding(given)
    given.add_argument("--save", type=Path, metavar="FILE", help="keep the calibrated model (.safetensors)")
    trained = parser.add_argument_group("networks")
    trained.add_argument(
        "--train", nargs="?", const="", metavar="DIR",
        help="train on the people of folds 6 to 10, or on a tree with a folder a person",
    )  # fmt: skip
    trained.add_argument("--copies", type=positive, nargs="+", default=COPIES, metavar="M", help="(1 2 3 5)")
    trained.add_argument("--seeds", type=positive, default=3, help="networks of each (%(default)s)")
    trained.add_argument(
        "--inner-product", choices=("plain", "within"), default="plain",
        help="in which the copies are orthogonal; within: S_w (%(default)s)",
    )  # fmt: skip
    trained.add_argument(
        "--mirrored", action=argparse.BooleanOptionalAction, default=True,
        help="represent a face by the mean of it and its mirror image (yes)",
    )  # fmt: skip
    trained.add_argument(
        "--work", type=Path, default=Path("runs/faces"), metavar="DIR", help="the networks (%(default)s)"
    )
    default = Learned()
    trained.add_argument("--held-out", type=float, default=default.held_out, metavar="SHARE",
        help="of the people, for thresholds (%(default)s)")  # fmt: skip
    trained.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    trained.add_argument("--workers", type=int, default=0, help="loader processes (%(default)s)")
    add_network(trained, default="scratch-narrow")
    add_loss(trained, copies=False)
    add_samples(trained)
    add_schedule(trained, STEPS)
    parser.set_defaults(
        run=partial(run, parser),
        kept=lambda arguments: None if arguments.train is None else arguments.work,
    )


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Verify, print the table and write the files."""
    from benchmarks.report import check_plot  # noqa: PLC0415 (only to run)

    inputs = inputs_of(arguments)
    if arguments.embedding is not None:
        refuse_others(arguments, parser, (*EMBEDDED, *COMMON), "with --embedding")
    elif arguments.train is None:
        refuse_others(arguments, parser, ("root", "images", "json", "plot", *COMMON), "without --train")
    check_outputs(arguments.json, arguments.plot, arguments.root)
    check_plot("--plot", arguments.plot)
    if arguments.save is not None and arguments.save.suffix.lower() != ".safetensors":
        raise PatchBatchError(f"{arguments.save}: the model is a .safetensors; give it that suffix")
    if not Path(arguments.root).is_dir():
        raise PatchBatchError(f"{arguments.root} does not exist; give the folder of LFW's lists")
    if arguments.embedding is not None:
        return _run_embedding(arguments, inputs)
    return _run_histograms(arguments) if arguments.train is None else _run_networks(arguments)


def _run_embedding(arguments: argparse.Namespace, inputs: InputSettings | None) -> int:
    if arguments.save is not None:
        check_outputs(None, str(arguments.save), arguments.root)
    benchmark = EmbeddingBenchmark(
        arguments.root, arguments.images, arguments.embedding, inputs, arguments.device, arguments.held_out,
        arguments.save,
    )  # fmt: skip
    from benchmarks.faces import embedded  # noqa: PLC0415 - see _run_histograms
    from benchmarks.report import write_json  # noqa: PLC0415

    logging.basicConfig(format="%(message)s")
    logging.getLogger("benchmarks").setLevel(logging.INFO)
    report = embedded.run(benchmark)
    print(embedded.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0


def _run_histograms(arguments: argparse.Namespace) -> int:
    # Imported after what can be said without: torch takes seconds.
    from benchmarks.faces import study  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    outcomes = study.run(arguments.root, arguments.images)
    report = study.make_report(outcomes)
    print(study.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.plot is not None:
        study.plot_roc(outcomes, arguments.plot)
    return 0


def benchmark_of(arguments: argparse.Namespace) -> FacesBenchmark:
    """Turn parsed arguments into what is trained and measured.

    Raises
    ------
    PatchBatchError
        As `make_plan` and `FacesBenchmark.check`.
    """
    for option in ("plot", "images"):
        if getattr(arguments, option) is not None:
            raise PatchBatchError(f"--{option} goes with the histograms; leave it out or --train")
    on_lfw = arguments.train == ""
    learned = Learned()
    arguments.data = Path(arguments.root if on_lfw else arguments.train)
    arguments.kind = "lfw" if on_lfw else "folders"
    arguments.folds, arguments.target_classes = learned.folds, learned.target_classes
    arguments.class_seed, arguments.output = learned.class_seed, arguments.work
    arguments.seed = 0
    copies, arguments.copies = tuple(dict.fromkeys(arguments.copies)), 1
    benchmark = FacesBenchmark(
        arguments.root, make_plan(arguments), copies, arguments.seeds, arguments.mirrored
    )
    benchmark.check()
    return benchmark


def _run_networks(arguments: argparse.Namespace) -> int:
    benchmark = benchmark_of(arguments)
    from benchmarks.faces import networks  # noqa: PLC0415 - see _run_histograms
    from benchmarks.report import write_json  # noqa: PLC0415

    logging.basicConfig(format="%(message)s")
    logging.getLogger("patchbatch.training").setLevel(logging.INFO)
    report = networks.run(benchmark)
    print(networks.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0
