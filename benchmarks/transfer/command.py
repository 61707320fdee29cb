"""`python -m benchmarks transfer`: what orthogonal classifiers do to the representation they share."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, check_outputs
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Train the same small network on made classes with 1, 3 and 5 copies of the multiverse head, with 5 that are
S_w-orthogonal and with 5 that are not kept orthogonal, from several seeds. Report the effective ranks of the
representation on held-out samples, the accuracy, how orthogonal the copies are and how much they agree."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 3, 5], metavar="M", help="(1 3 5)")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each kind (%(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the samples (%(default)s)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, print the table and write the file."""
    for name, value in (
        ("copies", min(arguments.copies)),
        ("seeds", arguments.seeds),
        ("epochs", arguments.epochs),
    ):
        if value < 1:
            raise PatchBatchError(f"{name} is {value}; give 1 or more")
    check_outputs(arguments.json)
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.report import write_json  # noqa: PLC0415
    from benchmarks.transfer import experiment  # noqa: PLC0415

    report = experiment.run(arguments.copies, arguments.seeds, arguments.epochs)
    print(experiment.format_table(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0
