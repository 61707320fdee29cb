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
    return program.run("error", lambda: _run(arguments), arguments, when_stopped(arguments))


def when_stopped(arguments: argparse.Namespace) -> str:
    """Return what is said after Ctrl-C: how to go on.

    A command that keeps something has a default `kept`, which gives its folder; None: nothing is kept.
    """
    folder = arguments.kept(arguments) if "kept" in arguments else None
    if folder is not None:
        return f"stopped: the same command goes on where it was, from {folder}"
    if "folder" in arguments:
        return "stopped: nothing is kept; with --keep DIR the same command would go on where it was"
    shorter = "; --limit N makes it shorter" if "limit" in arguments and "root" in arguments else ""
    return f"stopped: nothing is kept, and the same command begins anew{shorter}"


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
