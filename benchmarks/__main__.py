"""Entry of `python -m benchmarks` and of `patchbatch-benchmark`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import (
    ablation_command,
    descriptors_command,
    epic_command,
    faces_command,
    flow_command,
    matching_command,
    projection_command,
    speed_command,
    stages_command,
    training_command,
    transfer_command,
)
from patchbatch.errors import PatchBatchError

# One module per sub-command, with add_parser(commands); light to import, the work imported when it runs.
COMMANDS = (
    flow_command,
    descriptors_command,
    matching_command,
    projection_command,
    epic_command,
    stages_command,
    ablation_command,
    speed_command,
    training_command,
    transfer_command,
    faces_command,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all sub-commands."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure PatchBatch and its parts on public data sets."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a benchmark; return 0, or 1 after a one-line message. Usage errors exit with 2."""
    arguments = build_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except PatchBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
