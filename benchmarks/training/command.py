"""`python -m benchmarks training`: how fast the trainer learns, beside a plain loop and a limit."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, check_outputs
from patchbatch.descriptors.losses.table import LOSSES
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Time one update of the trainer (made crops in memory; no loading) beside the plain loop with the same loss:
the patches of all matches in one tensor, eager, float32. The two alternate; medians. The limit is what a
large convolution of the same run reaches, forward and backward, in the trainer's precision: bfloat16 where
the processor has units for it, else float32."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--preset", nargs="+", choices=tuple(PRESETS), metavar="NAME",
        default=["fast", "compact", "accurate"], help=f"{', '.join(PRESETS)} (fast compact accurate)",
    )  # fmt: skip
    parser.add_argument(
        "--loss", nargs="+", choices=tuple(LOSSES), metavar="NAME", default=["cent+sd", "softmax"],
        help=f"{', '.join(LOSSES)} (cent+sd softmax)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5, help="updates of each kind (%(default)s)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Time the presets, print the table and write the file."""
    if arguments.repeats < 1:
        raise PatchBatchError(f"repeats is {arguments.repeats}; give 1 or more")
    check_outputs(arguments.json)
    # Imported after all that can be said without: torch takes seconds.
    from benchmarks.report import write_json  # noqa: PLC0415
    from benchmarks.training import speed  # noqa: PLC0415

    report = speed.run(arguments.preset, arguments.loss, arguments.repeats)
    print(speed.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 0
