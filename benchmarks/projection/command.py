"""`python -m benchmarks projection`: descriptors made short by Joint Bayesian, and what that costs."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, add_limit, check_folders
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Learn projections of descriptors to fewer numbers from matching and non-matching pixels of the pairs in
--train: that of the Joint Bayesian model, and principal components beside it. Then search a square region of
the second image of every pair in ROOT for the nearest neighbours of points that are seen there, before and
after. raw-error: nearest ones more than 3 px from the truth, percent, means over pairs and then data sets; a
region is smaller than the image, so it is lower than that of `descriptors`. seconds: processor time to match
the regions with themselves exactly, both ways, the sum over the pairs. The networks describe one scale,
patch by patch."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser(
        "projection", help="shorter descriptors by Joint Bayesian", description=DESCRIPTION
    )
    parser.add_argument("root", metavar="ROOT", help="the folder of the data sets to judge on")
    parser.add_argument(
        "--train", metavar="DATA", required=True, help="the folder of the data sets to learn from"
    )
    parser.add_argument(
        "--model", nargs="+", default=["accurate", "fast"], metavar="NAME|FILE", help="(accurate fast)"
    )
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
    counts = {"numbers": min(arguments.numbers), "region": arguments.region, "points": arguments.points}
    for name, value in counts.items():
        if value < 1:
            raise PatchBatchError(f"{name} is {value}; give 1 or more")
    check_folders(arguments.json)
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.projection import study as projection  # noqa: PLC0415

    study = projection.ProjectionStudy(
        arguments.root, arguments.train, tuple(arguments.model), tuple(arguments.numbers),
        arguments.region, arguments.points, arguments.limit,
    )  # fmt: skip
    report = projection.run(study)
    print(projection.format_table(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
