"""`python -m benchmarks matching`: ways to match the same descriptors, and how sure the matches are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.arguments import (
    add_datasets,
    add_device,
    add_json,
    add_limit,
    add_model,
    check_outputs,
    check_picture,
)
from benchmarks.matching.table import DEFAULT_METHODS, METHODS
from benchmarks.progress import status_of

if TYPE_CHECKING:
    from benchmarks.matching.settings import MatchingBenchmark

DESCRIPTION = """\
Compare ways to match on pairs with true flow: all methods get the same descriptors and answer for the
pixels of a 3-px grid of image 1. A table per data set on stdout, means over its pairs; for the default method
also one of what its fractions of a pixel bring."""
FIGURES_HELP = """\
figures (percent; check "none" takes every match, "two-way" those that the matching stage believes, ">= T"
those of them, for the default method, with at least that confidence, T such that 66 % of the grid on KITTI
and 90 % elsewhere have one, as far as there are so many):
  coverage    grid points with a match, of all
  wrong>3px   matches more than 3 px from the truth, of those with known truth, hidden pixels included
  wrong>1px   the same for 1 px
  seen-...    the same three, of grid points with known truth that both images show
  describe    seconds to describe both images at all levels
  match       seconds to match both ways"""
FIT_HELP = """\
fit the confidence of every method to these pairs; prints lines for FITTED of flow/matching/confidence.py"""
SETTINGS_HELP = "one more method for each .toml file: its [matching], see docs/settings.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.epilog = f"{METHODS.help()}\n\n{FIGURES_HELP}"
    add_datasets(parser)
    add_limit(parser)
    add_model(parser)
    parser.add_argument(
        "--method", nargs="+", action="extend", choices=tuple(METHODS), metavar="METHOD",
        help=f"{', '.join(METHODS)}; default {' '.join(DEFAULT_METHODS)}",
    )  # fmt: skip
    parser.add_argument("--settings", nargs="+", action="extend", metavar="FILE", help=SETTINGS_HELP)
    parser.add_argument("--fit-confidence", action="store_true", help=FIT_HELP)
    add_json(parser, "pair")
    parser.add_argument(
        "--reliability",
        metavar="FILE",
        help="draw the share within 3 px against the confidence into FILE, a .png (matplotlib)",
    )
    add_device(parser)
    parser.set_defaults(run=run)


def benchmark_of(arguments: argparse.Namespace) -> MatchingBenchmark:
    """Turn parsed arguments into what is measured."""
    from benchmarks.matching.settings import MatchingBenchmark  # noqa: PLC0415 (slow to import: see run)

    return MatchingBenchmark(
        root=arguments.root,
        datasets=tuple(arguments.dataset or ()),
        model=arguments.model,
        methods=tuple(arguments.method or DEFAULT_METHODS),
        settings=tuple(arguments.settings or ()),
        limit=arguments.limit,
        fit=arguments.fit_confidence,
        device=arguments.device,
        precision=arguments.precision,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its tables and write its files.

    Returns
    -------
    int
        0, or 1 if a pair could not be scored.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    check_outputs(arguments.json, arguments.reliability, arguments.root)
    check_picture("--reliability", arguments.reliability)
    benchmark = benchmark_of(arguments)
    benchmark.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.matching import study  # noqa: PLC0415
    from benchmarks.matching.report import format_fits, format_tables, write_reliability  # noqa: PLC0415
    from benchmarks.matching.subpixel import format_subpixel  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report, judged = study.run(benchmark)
    print(format_tables(report["rows"]))
    if report["subpixel"]:
        print("\n" + format_subpixel(report["subpixel"]))
    if benchmark.fit:
        print("\n" + format_fits(report["confidence"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.reliability is not None:
        write_reliability(arguments.reliability, judged)
    return status_of(report["failed"])
