"""Opening input files and putting output files in place, with errors that name the file."""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patchbatch.errors import PatchBatchError, cause

FilePath = str | os.PathLike[str]

# A field is refused beyond this many rows or columns, the limit of the Middlebury .flo reader.
MAX_SIDE = 99_999
# Whole files are read up to here; OpenCV counts their bytes in a signed 32-bit integer.
MAX_FILE_BYTES = 2**31 - 1
TEMPORARY = ".patchbatch-"
"""What the names of files begin with that are still being written."""


def peek(path: FilePath, count: int, *, may_be_empty: bool = False) -> tuple[int, bytes]:
    """Return the size of a file and its first bytes, without reading the rest.

    A pipe, such as the `/dev/fd/63` of a shell's `<(...)`, is read to its end and kept for `read_bytes`.

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
        The file is missing, a folder, a device, empty or unreadable.
    """
    with _naming(path):
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError
        if stat.S_ISREG(about.st_mode):
            with open(path, "rb") as file:
                size, head = os.fstat(file.fileno()).st_size, file.read(count)
        else:
            piped = _piped_bytes(path, about, keep=True)
            size, head = len(piped), piped[:count]
    if not size and not may_be_empty:
        raise PatchBatchError(f"{path} is empty; write or copy it again")
    return size, head


def read_bytes(path: FilePath, *, may_be_empty: bool = False) -> bytes:
    """Return the content of a file of at most 2 GiB, or what comes out of a pipe.

    Raises
    ------
    PatchBatchError
        The file is missing, a folder, a device, empty, unreadable or larger than 2 GiB.
    """
    with _naming(path):
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            piped = _piped_bytes(path, about, keep=False)
            if not piped and not may_be_empty:
                raise PatchBatchError(f"nothing comes out of {path}; each pipe can be read once")
            return piped
    size, _ = peek(path, 0, may_be_empty=may_be_empty)
    if size > MAX_FILE_BYTES:
        raise PatchBatchError(f"{path} has {size} bytes, more than 2 GiB; is it the right file?")
    return peek(path, size, may_be_empty=may_be_empty)[1]  # to ask for more sets aside room for it


def need_file(path: FilePath) -> None:
    """Refuse what cannot be read from any place, such as a pipe, and what `peek` refuses.

    Raises
    ------
    PatchBatchError
        One line naming the file.
    """
    with _naming(path):
        mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise PatchBatchError(f"{path} is a pipe or a device; this format needs a file: save it to one first")
    peek(path, 0)


@contextmanager
def _naming(path: FilePath) -> Iterator[None]:
    """Turn what the system says of a file into one line with its name."""
    try:
        yield
    except FileNotFoundError:
        raise PatchBatchError(f"{path} does not exist; check the name") from None
    except IsADirectoryError:
        raise PatchBatchError(f"{path} is a folder; name a file in it") from None
    except PatchBatchError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise PatchBatchError(f"{path!s} cannot be read ({cause(error)}); check the file") from error


# What was read of pipes that somebody has looked into and nobody has taken yet, by device and node.
_PIPED: dict[tuple[int, int], bytes] = {}


def _piped_bytes(path: FilePath, about: os.stat_result, *, keep: bool) -> bytes:
    """Return all that comes out of a pipe, once; of devices only the null device is read, as nothing."""
    if not stat.S_ISFIFO(about.st_mode):
        null = stat.S_ISCHR(about.st_mode) and os.path.samestat(about, os.stat(os.devnull))
        if null:
            return b""
        raise PatchBatchError(f"{path} is a device or a socket; name a file")
    node = about.st_dev, about.st_ino
    if node not in _PIPED:
        with open(path, "rb") as pipe:
            _PIPED[node] = pipe.read(MAX_FILE_BYTES + 1)
        if len(_PIPED[node]) > MAX_FILE_BYTES:
            del _PIPED[node]
            raise PatchBatchError(f"more than 2 GiB come out of {path}; is it the right one?")
    return _PIPED[node] if keep else _PIPED.pop(node)


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
        raise PatchBatchError(f"{path} cannot be written ({cause(error)}); choose another place") from error
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
        raise PatchBatchError(f"folder {path!s} cannot be used ({cause(error)}); choose another") from error
    return folder


def _checked_target(path: FilePath) -> Path:
    """Follow links and refuse what a finished file cannot be moved to."""
    try:
        target = Path(path).resolve()
        if not target.parent.is_dir():
            raise PatchBatchError(f"folder {Path(path).parent} does not exist; create it or choose another")
        # What an open file is called under /dev/fd need not be a place that files can be put in.
        if (target.exists() and not target.is_file()) or (os.path.exists(path) and not target.exists()):
            raise PatchBatchError(f"{path} is a folder, a pipe or a device; name a file")
    except PatchBatchError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
        raise PatchBatchError(f"{path!s} is no usable file name ({cause(error)})") from error
    return target


def check_overwriting(
    reads: Iterable[tuple[str, FilePath | None]], writes: Iterable[tuple[str, FilePath | None]]
) -> None:
    """Refuse outputs that would overwrite an input or each other, by whatever name they go.

    Followed are links, hard links too. Two outputs whose names differ only in case, or in how letters with
    accents are coded, are one file on some systems and are refused on all.

    Parameters
    ----------
    reads, writes
        What a file is called, such as an option, and the file; None stands for no file.

    Raises
    ------
    PatchBatchError
        Names the file and both uses of it.
    """
    inputs = [(Path(path), f"the input of {name}") for name, path in reads if path is not None]
    outputs: list[tuple[Path, str]] = []
    for name, path in writes:
        if path is None:
            continue
        for other, words in [*inputs, *outputs]:
            if _same_file(Path(path), other):
                raise PatchBatchError(f"{path}: {name} would overwrite {words}; choose another name")
        for other, words in outputs:
            if _folded(Path(path)) == _folded(other):
                raise PatchBatchError(
                    f"{path}: {name} differs from {words} only in case, so that some systems take them for "
                    "one file; choose another name"
                )
        outputs.append((Path(path), f"the output of {name}"))


def _same_file(one: Path, other: Path) -> bool:
    """Return whether two names are one file now, or would be."""
    try:
        return one.resolve() == other.resolve() or os.path.samefile(one, other)
    except (OSError, RuntimeError):  # one is not there, or a loop of links, which writing refuses
        return False


def _folded(path: Path) -> str:
    """Return a name as file systems see it that tell neither case nor ways to code accents apart."""
    return unicodedata.normalize("NFC", str(path.resolve())).casefold()
