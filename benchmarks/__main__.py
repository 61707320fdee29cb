"""Entry of `python -m benchmarks` and of `patchbatch-benchmark`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import COMMANDS
from patchbatch import program
from patchbatch.data.files import check_overwriting

OUTPUTS = ("json", "csv", "figure", "plot", "submission")
"""Options of all commands that name a file to be written."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line, importing the module of its sub-command alone.

    Raises
    ------
    SystemExit
        After a help text, and with status 2 for usage errors.
    """
    parser = program.Parser(
        prog="python -m benchmarks", description="Measure PatchBatch and its parts on public data sets."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for entry in COMMANDS.values():
        command = commands.add_parser(
            entry.name, help=entry.help, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if entry.name == chosen:
            entry.load()(command)
            program.add_common(command)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a benchmark; return 0, or 1 after a one-line message. Usage errors exit with 2."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    return program.run("error", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> int:
    check_files(arguments)
    return int(arguments.run(arguments))


def check_files(arguments: argparse.Namespace) -> None:
    """Refuse outputs that would overwrite a file that is read, such as the weights, or each other.

    Raises
    ------
    PatchBatchError
        Names the file.
    """
    reads: list[tuple[str, str | Path]] = []
    for name, value in vars(arguments).items():
        if name not in OUTPUTS:
            several = value if isinstance(value, list | tuple) else [value]
            reads += [(name, one) for one in several if isinstance(one, str | Path) and os.path.isfile(one)]
    check_overwriting(reads, [(f"--{name}", getattr(arguments, name, None)) for name in OUTPUTS])


if __name__ == "__main__":
    sys.exit(main())
