"""`python -m benchmarks matching`: ways to match the same descriptors, and how sure the matches are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.arguments import add_datasets, add_device, add_json, add_limit, check_folders, check_picture

if TYPE_CHECKING:
    from benchmarks.matching.study import MatchingBenchmark

METHODS = (
    "coarse-to-fine",
    "semi-global",
    "exact-global",
    "exact-windowed",
    "patchmatch",
    "patchmatch-converged",
)
# The global search alone takes longer than all the others together, which is why it has to be asked for.
DEFAULT_METHODS = tuple(name for name in METHODS if name != "exact-global")

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
fit the confidence of the default method to these pairs; prints the line for flow/matching/confidence.py"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser(
        "matching",
        help="ways to match the same descriptors; the confidence of matches",
        description=DESCRIPTION,
        epilog=FIGURES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    add_limit(parser)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE", help="network (compact)")
    parser.add_argument(
        "--method",
        nargs="+",
        action="extend",
        choices=METHODS,
        metavar="METHOD",
        help=f"{', '.join(METHODS)}; default {' '.join(DEFAULT_METHODS)}",
    )
    parser.add_argument("--fit-confidence", action="store_true", help=FIT_HELP)
    add_json(parser, "pair")
    parser.add_argument(
        "--reliability",
        metavar="FILE",
        help="draw the share within 3 px against the confidence into FILE, a .png (matplotlib)",
    )
    add_device(parser)
    parser.set_defaults(run=run)


def settings_of(arguments: argparse.Namespace) -> MatchingBenchmark:
    """Turn parsed arguments into the settings of the runner."""
    from benchmarks.matching.study import MatchingBenchmark  # noqa: PLC0415 (slow to import: see run)

    return MatchingBenchmark(
        root=arguments.root,
        datasets=tuple(arguments.dataset or ()),
        model=arguments.model,
        methods=tuple(arguments.method or DEFAULT_METHODS),
        limit=arguments.limit,
        fit=arguments.fit_confidence,
        device=arguments.device,
        precision=arguments.precision,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its tables and write its files.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.matching import report as matching_report  # noqa: PLC0415
    from benchmarks.matching import study as matching  # noqa: PLC0415
    from benchmarks.matching import subpixel as matching_subpixel  # noqa: PLC0415

    check_folders(arguments.json, arguments.reliability)
    check_picture(arguments.reliability)
    if arguments.reliability is not None:
        matching_report.require_matplotlib()
    settings = settings_of(arguments)
    report, judged = matching.run(settings)
    print(matching_report.format_tables(report["rows"]))
    if report["subpixel"]:
        print("\n" + matching_subpixel.format_subpixel(report["subpixel"]))
    if settings.fit:
        print("\n" + matching_report.format_fit(report["confidence"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    if arguments.reliability is not None:
        matching_report.write_reliability(arguments.reliability, judged)
    return 0
