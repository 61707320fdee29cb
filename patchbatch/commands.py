"""Where the commands begin: before anything is imported, Ctrl-C and closed outputs already end in good order.

Importing what a command needs takes some tenths of a second, in which users stop it too.
"""

import os
import signal
import sys
from importlib import import_module

INTERRUPTED, CLOSED_PIPE = 130, 141
"""Exit status after Ctrl-C, and when nobody reads the output any more: those of a shell."""


def flow() -> int:
    """Run `patchbatch-flow`."""
    return begin("flow.cli")


def benchmark() -> int:
    """Run `patchbatch-benchmark`."""
    return begin("benchmarks.__main__")


def export() -> int:
    """Run `patchbatch-export`."""
    return begin("patchbatch.descriptors.export.command")


def verify() -> int:
    """Run `patchbatch-verify`."""
    return begin("patchbatch.transfer.cli")


def begin(module: str) -> int:
    """Import a module and run its `main`; return its exit status.

    Ctrl-C ends the process at once and quietly, status 130, until `patchbatch.program.run` has taken over;
    and again when that is done.

    Parameters
    ----------
    module
        Has a function `main` without arguments that returns a status.
    """
    signal.signal(signal.SIGINT, end_quietly)
    try:
        status = int(import_module(module).main())
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        # `flow` is a name that other packages have too; what is found first hides the rest.
        package = module.split(".", maxsplit=1)[0]
        if error.name != module:
            raise
        found = getattr(sys.modules.get(package), "__path__", ["?"])
        print(
            f"{module} is missing: another package named {package} hides it ({next(iter(found))}); "
            "install patchbatch in an environment of its own", file=sys.stderr,
        )  # fmt: skip
        return 1
    except BrokenPipeError:
        drop_output()
        return CLOSED_PIPE
    except SystemExit:  # help, version and wrong usage
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            drop_output()
            return CLOSED_PIPE
        raise
    finally:
        signal.signal(signal.SIGINT, end_quietly)
    return status


def end_quietly(*_: object) -> None:
    """End the process as Ctrl-C does, without a word; nothing has been written yet, or all has."""
    os._exit(INTERRUPTED)


def drop_output() -> None:
    """Send what is left to be printed nowhere, or Python complains when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
