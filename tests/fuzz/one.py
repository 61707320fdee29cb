"""Fuzz one reader until libFuzzer's limits end it: `python -m tests.fuzz.one NAME [libFuzzer's words]`."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["patchbatch.data", "patchbatch.transfer.verification", "PIL", "zipfile"]
):
    from tests.fuzz.readers import tried


def void(_: bool) -> None:
    """Return nothing, as libFuzzer wants it."""


def main() -> None:
    """Set up libFuzzer, and never return."""
    name = sys.argv.pop(1)
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
    atheris.Setup(sys.argv, lambda data: void(tried(name, data, folder)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
