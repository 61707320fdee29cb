"""`python -m benchmarks training`: how fast the trainer learns, beside a plain loop and a limit."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, check_folders
from patchbatch.errors import PatchBatchError

PRESETS = ("accurate", "accurate-71", "compact", "fast")

DESCRIPTION = """\
Time one update of the trainer (made crops in memory; no loading) beside the naive loop: the two patches of
every match and the one of a non-match in one tensor, eager, float32. The two alternate; medians. The limit is
what a large bfloat16 convolution of the same run reaches, forward and backward."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser("training", help="speed of the trainer", description=DESCRIPTION)
    parser.add_argument(
        "--preset", nargs="+", choices=PRESETS, default=["fast", "compact", "accurate"], metavar="NAME",
        help=f"{', '.join(PRESETS)} (fast compact accurate)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5, help="updates of each kind (%(default)s)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Time the presets, print the table and write the file."""
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.training import speed as training_speed  # noqa: PLC0415

    if arguments.repeats < 1:
        raise PatchBatchError(f"repeats is {arguments.repeats}; give 1 or more")
    check_folders(arguments.json)
    report = training_speed.run(arguments.preset, arguments.repeats)
    print(training_speed.format_table(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    return 0
