"""`python -m benchmarks suite`: the flow benchmark on all data sets of a folder, with one summary."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.arguments import add_datasets, add_limit, positive
from benchmarks.flow.command import MATCHES_HELP, METHODS_HELP, add_pipeline_arguments
from benchmarks.flow.table import METHODS, OWN
from benchmarks.suite.words import PLACE
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS
from patchbatch.runs.processes import group_of_torchrun, sharing_threads

if TYPE_CHECKING:
    from benchmarks.suite.settings import Suite

DESCRIPTION = f"""\
Run `flow` on every data set of a folder, with all methods and all shipped models unless some are named, and
write into OUT: DATASET.json, the figures of every pair; DATASET/index.html, the page; charts/*.svg, its
charts; summary.md, the leading figure and the table of every data set that OUT has. Results are kept in
OUT/kept as they are made, and the same command goes on where it was. In the folders of --method and
--matches, {PLACE} stands for the name of the data set. The exit status is 0 if every pair was scored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(table.help() for table in (DATASETS, METHODS, MODELS, PRESETS, MATCHERS))
    add_datasets(parser)
    parser.add_argument("output", metavar="OUT", help="the folder that is written; made if it is not there")
    parser.add_argument(
        "--method",
        nargs="+",
        action="extend",
        metavar="M",
        help=f"{METHODS_HELP}; all by name",
    )
    parser.add_argument("--matches", nargs="+", action="extend", metavar="M", help=MATCHES_HELP)
    add_limit(parser)
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N",
        help="share the pairs and the processors out to N processes (1)",
    )  # fmt: skip
    parser.add_argument(
        "--report-pictures", choices=("all", "none"), default="all",
        help="none leaves the viewer out of the pages, and with it all under a data set's licence (all)",
    )  # fmt: skip
    parser.add_argument(
        "--no-times", dest="times", action="store_false",
        help="leave seconds to the JSON, where other work on the machine would spoil them",
    )  # fmt: skip
    add_pipeline_arguments(parser.add_argument_group(f"of the method {OWN}"), "all shipped ones")
    parser.set_defaults(run=run, kept=lambda arguments: arguments.output)


def suite_of(arguments: argparse.Namespace) -> Suite:
    """Turn parsed arguments into what is measured.

    Raises
    ------
    PatchBatchError
        For --jobs under torchrun.
    """
    from benchmarks.suite.settings import Suite  # noqa: PLC0415 (slow to import)

    if arguments.jobs > 1 and group_of_torchrun().size > 1:
        raise PatchBatchError("--jobs and torchrun both share the pairs out; leave --jobs out")
    methods = arguments.method or ([] if arguments.matches else list(METHODS))
    return Suite(
        root=arguments.root,
        output=arguments.output,
        datasets=tuple(arguments.dataset or ()),
        methods=tuple(methods),
        matches=tuple(arguments.matches or ()),
        models=tuple(arguments.model or MODELS),
        preset=arguments.preset,
        matcher=arguments.matcher,
        settings=arguments.settings,
        device=arguments.device,
        precision=arguments.precision,
        refine=arguments.refine,
        seed=arguments.seed,
        limit=arguments.limit,
        jobs=arguments.jobs,
        pictures=arguments.report_pictures == "all",
        times=arguments.times,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the data sets one after the other, and print the table of their leading figures.

    Returns
    -------
    int
        0, or 1 if a pair could not be scored.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    suite = suite_of(arguments)
    suite.check()
    with sharing_threads():
        # Imported after all that can be said without: torch takes seconds, and reads its threads.
        from benchmarks.suite import study  # noqa: PLC0415

        found = study.run(suite, group_of_torchrun())
    if found is None:  # another process of torchrun shows it
        return 0
    print(found.table)
    for line in found.failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if found.failed else 0
