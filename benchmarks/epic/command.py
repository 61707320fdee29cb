"""`python -m benchmarks epic`: the interpolation beside the original EpicFlow program, on equal input."""

from __future__ import annotations

import argparse

from benchmarks.arguments import AUTO, add_choice, add_json, add_preset, check_outputs
from benchmarks.epic.table import EDGES, REFINEMENTS
from benchmarks.progress import status_of
from flow.interpolation.table import ESTIMATORS

DESCRIPTION = """\
Interpolate the matches that the original program was given, compare with its flow and with the ground truth:
a table on stdout, everything with --json. By default this is the reproduction of the original."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = "\n\n".join(table.help() for table in (ESTIMATORS, EDGES, REFINEMENTS))
    parser.add_argument(
        "root",
        metavar="ROOT",
        help="the folder of reference pairs, or the one that holds it as epic_reference",
    )
    parser.add_argument(
        "--frames",
        metavar="DIR",
        help="the folder of the frames and their truth (flow, beside the references)",
    )
    add_choice(parser, "--estimator", ESTIMATORS, "affine", "affine, the original's")
    add_preset(parser)
    parser.add_argument(
        "--edges", default="given", metavar="NAME|FILE",
        help=f"{', '.join(EDGES)}, or a file: weights of an edge network (given)",
    )  # fmt: skip
    parser.add_argument(
        "--refinement", choices=(AUTO, *REFINEMENTS), default=AUTO, metavar="NAME",
        help=f"{', '.join(REFINEMENTS)}, or auto: own for the estimator robust, else original (auto)",
    )  # fmt: skip
    parser.add_argument("--no-refine", dest="refine", action="store_false", help="only the interpolated flow")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the table and write the file.

    Returns
    -------
    int
        0, or 1 if a pair could not be read.

    Raises
    ------
    PatchBatchError
        For a folder without references.
    """
    from benchmarks.epic.settings import EpicBenchmark  # noqa: PLC0415 (only to run)

    check_outputs(arguments.json)
    benchmark = EpicBenchmark(
        root=arguments.root,
        frames=arguments.frames,
        estimator=arguments.estimator,
        preset=arguments.preset,
        edges=arguments.edges,
        refinement=arguments.refinement,
        refine=arguments.refine,
    )
    benchmark.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.epic import comparison  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report = comparison.run(benchmark)
    print(comparison.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return status_of(report["failed"])
