"""Entry of `python -m benchmarks` and of `patchbatch-benchmark`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.ablation import command as ablation
from benchmarks.descriptors import command as descriptors
from benchmarks.epic import command as epic
from benchmarks.faces import command as faces
from benchmarks.flow import command as flow
from benchmarks.matching import command as matching
from benchmarks.projection import command as projection
from benchmarks.speed import command as speed
from benchmarks.stages import command as stages
from benchmarks.training import command as training
from benchmarks.transfer import command as transfer
from patchbatch.errors import PatchBatchError

# One module per sub-command, with add_parser(commands); light to import, the work imported when it runs.
COMMANDS = (
    flow,
    descriptors,
    matching,
    projection,
    epic,
    stages,
    ablation,
    speed,
    training,
    transfer,
    faces,
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
