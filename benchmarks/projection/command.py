"""`python -m benchmarks projection`: descriptors made short by Joint Bayesian, and what that costs."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, add_limit, check_outputs
from patchbatch.models import MODELS

DEFAULT_MODELS = ("accurate", "fast")

DESCRIPTION = """\
Learn projections of descriptors to fewer numbers from matching and non-matching pixels of the pairs in
--train: that of the Joint Bayesian model, and principal components beside it. Then search a square region of
the second image of every pair in ROOT for the nearest neighbours of points that are seen there, before and
after. raw-error: nearest ones more than 3 px from the truth, percent, means over pairs and then data sets; a
region is smaller than the image, so it is lower than that of `descriptors`. seconds: processor time to match
the regions with themselves exactly, both ways, the sum over the pairs. The networks describe one scale,
patch by patch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument("root", metavar="ROOT", help="the folder of the data sets to judge on")
    parser.add_argument(
        "--train", metavar="DATA", required=True, help="the folder of the data sets to learn from"
    )
    parser.add_argument(
        "--model", nargs="+", action="extend", metavar="MODEL",
        help=f"{', '.join(MODELS)}, or a weights file ({' '.join(DEFAULT_MODELS)})",
    )  # fmt: skip
    parser.add_argument(
        "--numbers", nargs="+", type=int, default=[64, 128], metavar="N", help="to project to (64 128)"
    )
    parser.add_argument("--region", type=int, default=96, help="side of the region in px (%(default)s)")
    parser.add_argument("--points", type=int, default=1000, help="of every pair (%(default)s)")
    add_limit(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table and write the file."""
    from benchmarks.projection.settings import ProjectionStudy  # noqa: PLC0415 (slow to import)

    check_outputs(arguments.json)
    benchmark = ProjectionStudy(
        arguments.root, arguments.train, tuple(arguments.model or DEFAULT_MODELS), tuple(arguments.numbers),
        arguments.region, arguments.points, arguments.limit,
    )  # fmt: skip
    benchmark.check()
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.projection import study  # noqa: PLC0415
    from benchmarks.report import write_json  # noqa: PLC0415

    report = study.run(benchmark)
    print(study.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0
