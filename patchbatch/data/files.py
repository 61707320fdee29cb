"""Opening input files and putting output files in place, with errors that name the file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patchbatch.errors import PatchBatchError

FilePath = str | os.PathLike[str]

# A field is refused beyond this many rows or columns, the limit of the Middlebury .flo reader.
MAX_SIDE = 99_999
# Whole files are read up to here; OpenCV counts their bytes in a signed 32-bit integer.
MAX_FILE_BYTES = 2**31 - 1
TEMPORARY = ".patchbatch-"
"""What the names of files begin with that are still being written."""


def peek(path: FilePath, count: int, *, may_be_empty: bool = False) -> tuple[int, bytes]:
    """Return the size of a file and its first bytes, without reading the rest.

    Parameters
    ----------
    path
        The file to look into.
    count
        How many bytes to read at most.
    may_be_empty
        Whether a file without a byte is no mistake.

    Returns
    -------
    tuple
        The size in bytes, and the first `count` bytes or fewer.

    Raises
    ------
    PatchBatchError
        The file is missing, a folder, empty or unreadable.
    """
    try:
        if Path(path).is_dir():
            raise IsADirectoryError
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(count)
    except FileNotFoundError:
        raise PatchBatchError(f"{path} does not exist; check the name") from None
    except IsADirectoryError:
        raise PatchBatchError(f"{path} is a folder; name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise PatchBatchError(f"{path!s} cannot be read ({_reason(error)}); check the file") from error
    if not size and not may_be_empty:
        raise PatchBatchError(f"{path} is empty; write or copy it again")
    return size, head


def read_bytes(path: FilePath) -> bytes:
    """Return the content of a file of at most 2 GiB.

    Raises
    ------
    PatchBatchError
        The file is missing, a folder, empty, unreadable or larger than 2 GiB.
    """
    size, _ = peek(path, 0)
    if size > MAX_FILE_BYTES:
        raise PatchBatchError(f"{path} has {size} bytes, more than 2 GiB; is it the right file?")
    return peek(path, size)[1]  # to ask for more sets aside room for it


@contextmanager
def atomic_path(path: FilePath) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block succeeds.

    The temporary file lies in the same folder and has the same suffix, so the move is one step of
    the file system: a reader sees the old file or the whole new one. A block that raises leaves
    nothing behind. A link is written through.

    Parameters
    ----------
    path
        Where the finished file shall be.

    Yields
    ------
    Path
        The temporary path; the block must create this file.

    Raises
    ------
    PatchBatchError
        The folder does not exist, `path` is a folder or a device, or writing fails.

    Examples
    --------
    >>> with atomic_path("notes.txt") as temporary:
    ...     characters = temporary.write_text("whole or not at all")
    >>> Path("notes.txt").read_text()
    'whole or not at all'
    """
    target = _checked_target(path)
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise PatchBatchError(f"{path} cannot be written ({_reason(error)}); choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: FilePath) -> Path:
    """Make a folder, and those above it, if it is not there; return it.

    Raises
    ------
    PatchBatchError
        When it cannot be made, is a file, or cannot be written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("no permission to write")
    except (OSError, ValueError) as error:
        raise PatchBatchError(f"folder {path!s} cannot be used ({_reason(error)}); choose another") from error
    return folder


def _checked_target(path: FilePath) -> Path:
    """Follow links and refuse what a finished file cannot be moved to."""
    try:
        target = Path(path).resolve()
        if not target.parent.is_dir():
            raise PatchBatchError(f"folder {Path(path).parent} does not exist; create it or choose another")
        if target.exists() and not target.is_file():
            raise PatchBatchError(f"{path} is a folder or a device; name a file")
    except PatchBatchError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
        raise PatchBatchError(f"{path!s} is no usable file name ({_reason(error)})") from error
    return target


def _reason(error: Exception) -> str:
    """Return the bare cause of an error, without the file name that the caller adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def check_overwriting(
    reads: Iterable[tuple[str, FilePath | None]], writes: Iterable[tuple[str, FilePath | None]]
) -> None:
    """Refuse outputs that would overwrite an input or each other.

    Parameters
    ----------
    reads, writes
        What a file is called, such as an option, and the file; None stands for no file.

    Raises
    ------
    PatchBatchError
        Names the file and both uses of it.
    """
    taken = {Path(path).resolve(): f"the input of {name}" for name, path in reads if path is not None}
    for name, path in writes:
        if path is None:
            continue
        place = Path(path).resolve()
        if place in taken:
            raise PatchBatchError(f"{path}: {name} would overwrite {taken[place]}; choose another name")
        taken[place] = f"the output of {name}"
