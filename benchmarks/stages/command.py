"""`python -m benchmarks stages`: which part of the dense stages brings what, and what the matches lose."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_datasets, add_device, add_json, check_folders

DESCRIPTION = """\
Match every pair once, then interpolate and refine in many ways: with one part changed from the default of its
data set at a time, and with the default on matches mended by the ground truth. Two tables on stdout: EPE in
px / Fl-all in percent, means over the pairs of each data set."""
MATCHES_HELP = """\
matches of the second table:
  own              as the matcher keeps them
  wrong removed    without those over 3 px off
  wrong mended     the truth in the stead of those
  true in place    the truth at their places, so with the same density and holes; exact or with noise
  true everywhere  the truth at every point of the 3-px grid, hidden ones included
Where truth is sparse (KITTI), the closest known pixel of the same 3-px cell stands in; cells without stay
empty."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser(
        "stages",
        help="what each part of the dense stages brings, and what matches lose",
        description=DESCRIPTION,
        epilog=MATCHES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    parser.add_argument(
        "--pair", nargs="+", action="extend", metavar="NAME", help="only pairs of these names"
    )
    parser.add_argument("--model", default="compact", metavar="NAME|FILE", help="network (compact)")
    parser.add_argument(
        "--edge-network",
        metavar="FILE",
        help="edges of these weights (the shipped ones)",
    )
    add_json(parser, "pair")
    add_device(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its tables and write its file.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.stages import study as stages  # noqa: PLC0415
    from flow.edges.network import SHIPPED  # noqa: PLC0415

    check_folders(arguments.json)
    report = stages.run(
        stages.StagesBenchmark(
            root=arguments.root,
            datasets=tuple(arguments.dataset or ()),
            pairs=tuple(arguments.pair or ()),
            model=arguments.model,
            edge_network=arguments.edge_network or str(SHIPPED),
            device=arguments.device,
            precision=arguments.precision,
        )
    )
    print(stages.format_tables(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
