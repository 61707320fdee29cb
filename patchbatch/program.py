"""What all command lines of the project share: how they begin, and how they end when something goes wrong."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from patchbatch.commands import CLOSED_PIPE, INTERRUPTED, drop_output, end_quietly
from patchbatch.errors import PatchBatchError, cause

COMMON = ("threads", "debug")
"""Names of the arguments that every command has."""
LEAST_MB = 1200
"""Of address space; with less, importing torch and starting its threads ends in an abort."""
_SHORT = ("allocate memory", "out of memory", "failed to map")  # what libraries say where memory is short


class Parser(argparse.ArgumentParser):
    """A command line whose usage errors are one line, with where to read on; exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def add_common(group: argparse._ActionsContainer) -> None:
    """Add the options that every command has, `--threads` and `--debug`."""
    group.add_argument(
        "--threads", type=_count, metavar="N",
        help="processors to use (default: all that this process may use, or OMP_NUM_THREADS)",
    )  # fmt: skip
    group.add_argument("--debug", action="store_true", help="show where in the program an error came up")


def run(
    name: str, work: Callable[[], int | None], arguments: argparse.Namespace, when_stopped: str = ""
) -> int:
    """Do the work of a command, and return its exit status.

    Whatever goes wrong ends in one line on stderr and status 1; Ctrl-C in status 130; output that nobody
    reads any more quietly in 141. With `--debug` errors are raised.

    Parameters
    ----------
    name
        What the line begins with.
    work
        Returns an exit status, None for 0.
    arguments
        Parsed, with what `add_common` added.
    when_stopped
        Is said, on stderr, after Ctrl-C; empty: nothing is.
    """
    _wait_without_spinning()
    _hear_interrupts()
    try:
        _check_memory()
        if arguments.threads is not None:
            from patchbatch.threads import set_threads  # noqa: PLC0415 - only where it is asked for

            set_threads(arguments.threads)
        with _notes(name):
            status = work() or 0
        sys.stdout.flush()  # while a closed pipe can still be told from success
    except KeyboardInterrupt:
        if when_stopped:
            print(when_stopped, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return CLOSED_PIPE
    except Exception as error:
        if arguments.debug:
            raise
        print(f"{name}: {explained(error)}", file=sys.stderr)
        return 1
    return status


def explained(error: Exception) -> str:
    """Return one line for an error, whatever raised it.

    Examples
    --------
    >>> explained(PatchBatchError("a.png does not exist"))
    'a.png does not exist'
    >>> explained(PermissionError(13, "Permission denied", "out.flo"))
    'out.flo: Permission denied'
    >>> explained(ImportError("No module named 'scipy'"))
    "No module named 'scipy'; a part of the installation is missing or does not fit, install it again"
    >>> explained(ValueError("bad shape"))
    'ValueError: bad shape; this is a fault of the program, --debug shows where'
    """
    text = " ".join(str(error).split())
    if isinstance(error, PatchBatchError):
        return text
    if isinstance(error, MemoryError) or any(words in text for words in _SHORT):
        return "memory is short; use smaller images, or a machine with more"
    if isinstance(error, OSError) or cause(error) != str(error):
        named = getattr(error, "filename", None)
        return f"{named}: {cause(error)}" if named else cause(error)
    if isinstance(error, ImportError):
        return f"{text}; a part of the installation is missing or does not fit, install it again"
    return f"{type(error).__name__}: {text}; this is a fault of the program, --debug shows where"


def _check_memory() -> None:
    """Refuse to begin where a shell's limit would end torch's import without a word.

    Raises
    ------
    PatchBatchError
        Tells the limit.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_MB * 2**20:
        raise PatchBatchError(
            f"memory is limited to {allowed // 2**20} MB here (ulimit -v), but torch alone takes up to "
            f"{LEAST_MB}; allow more"
        )


@contextmanager
def _notes(name: str) -> Iterator[None]:
    """Print what our packages warn of as notes of the command, unless it has its log printed anyway."""
    import logging  # noqa: PLC0415 - no help text needs it

    if logging.getLogger().isEnabledFor(logging.INFO):
        yield
        return
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: print(f"{name}: note: {record.getMessage()}", file=sys.stderr)  # type: ignore[method-assign]
    logs = [logging.getLogger(package) for package in ("patchbatch", "flow", "benchmarks")]
    for log in logs:
        log.addHandler(handler)
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)


def _hear_interrupts() -> None:
    """Let Ctrl-C raise again, where `patchbatch.commands` has had it end the process at once."""
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is end_quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _wait_without_spinning() -> None:
    """Let threads of torch that wait for each other sleep, unless the user has said how they wait.

    On a machine that others use too, threads that spin take the processors that those they wait for need.
    """
    if not any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processors; give 1 or more")
    return int(text)
