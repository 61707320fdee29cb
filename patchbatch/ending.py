"""How commands end: a mistake is one line, Ctrl-C and a reader that went away are no mistakes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from patchbatch.errors import PatchBatchError

STOPPED, PIPE_CLOSED = 130, 141
"""Exit statuses that a shell has for Ctrl-C and for a closed pipe."""


def ended(work: Callable[[], int], when_stopped: str = "") -> int:
    """Do the work of a command; return its exit status.

    Parameters
    ----------
    work
        Returns the status.
    when_stopped
        Is said, on stderr, after Ctrl-C; empty: nothing is.

    Returns
    -------
    int
        The work's own; 1 after a `PatchBatchError`, whose line goes to stderr; 130 after Ctrl-C; 141 if
        nobody reads the output any more.
    """
    try:
        status = work()
        sys.stdout.flush()
    except PatchBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if when_stopped:
            print(when_stopped, file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status
