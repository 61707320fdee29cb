"""`python -m benchmarks stages`: which part of the dense stages brings what, and what the matches lose."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_datasets,
    add_device,
    add_json,
    add_model,
    add_settings,
    check_outputs,
)
from benchmarks.progress import status_of

if TYPE_CHECKING:
    from benchmarks.stages.settings import StagesBenchmark

DESCRIPTION = """\
Match every pair once, then interpolate, complete and refine in many ways: with one part changed from the
default of its data set at a time, and with the default on matches mended by the ground truth. Two tables on
stdout: EPE in px / Fl-all in percent, means over the pairs of each data set."""
MATCHES_HELP = """\
matches of the second table:
  own              as the matcher keeps them
  wrong removed    without those over 3 px off
  wrong mended     the truth in the stead of those
  true in place    the truth at their places, so with the same density and holes; exact or with noise
  true everywhere  the truth at every point of the 3-px grid, hidden ones included
Where truth is sparse (KITTI), the closest known pixel of the same 3-px cell stands in; cells without stay
empty."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description, parser.epilog = DESCRIPTION, MATCHES_HELP
    add_datasets(parser)
    parser.add_argument(
        "--pair", nargs="+", action="extend", metavar="NAME", help="only pairs of these names"
    )
    parser.add_argument(
        "--part", nargs="+", action="extend", metavar="NAME",
        help="only change these: pruning, estimator, edges, confidence weights, extrapolation, second pass, "
        "completion, refinement, matches (all)",
    )  # fmt: skip
    add_model(parser)
    add_settings(parser)
    parser.add_argument(
        "--edge-network",
        metavar="FILE",
        help="edges of these weights (the shipped ones)",
    )
    add_json(parser, "pair")
    add_device(parser)
    parser.set_defaults(run=run)


def benchmark_of(arguments: argparse.Namespace) -> StagesBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.stages.settings import StagesBenchmark  # noqa: PLC0415 (slow to import: see run)

    return StagesBenchmark(
        root=arguments.root,
        datasets=tuple(arguments.dataset or ()),
        pairs=tuple(arguments.pair or ()),
        parts=tuple(arguments.part or ()),
        model=arguments.model,
        matcher=arguments.matcher,
        settings=arguments.settings,
        edge_network=arguments.edge_network,
        device=arguments.device,
        precision=arguments.precision,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its tables and write its file.

    Returns
    -------
    int
        0, or 1 if a pair could not be scored.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.report import write_json  # noqa: PLC0415
    from benchmarks.stages import study  # noqa: PLC0415
    from flow.edges.network import SHIPPED  # noqa: PLC0415

    if benchmark.edge_network is None:
        benchmark = replace(benchmark, edge_network=str(SHIPPED))
    report = study.run(benchmark)
    print(study.format_tables(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return status_of(report["failed"])
