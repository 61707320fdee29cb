"""Results kept as they are made, so that a run that was stopped goes on where it was.

A journal is a file of JSON, a line a result, appended when the result is there. Beside it stands what the
results were made with, so that a run with other settings is told which differ.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from patchbatch.errors import PatchBatchError

MOST_DIFFERENCES = 4  # are named in one line


class Journal:
    """A file of JSON lines that one process at a time appends to.

    Parameters
    ----------
    path
        Made if it is not there. A line that a killed run left half is cut off.
    otherwise
        What to do instead, for messages, such as "give --keep another folder".

    Raises
    ------
    PatchBatchError
        If it cannot be opened, or another run has it open.
    """

    def __init__(self, path: Path, otherwise: str):
        self._file = _opened(path, otherwise)

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record; once this returns it survives whatever happens to the process."""
        line = json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise PatchBatchError(
                f"{self._file.name} cannot be written ({error.strerror}); make room"
            ) from error

    def close(self) -> None:
        """Let another run use the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and text of the whole lines of a journal.

    What follows the last line break is being written by another process, or was when that was killed.
    """
    yield from enumerate(path.read_bytes().split(b"\n")[:-1], 1)


def _opened(path: Path, otherwise: str) -> IO[bytes]:
    """Open a file for appending, for this process alone; a line that a killed run left half is cut off."""
    try:
        file = open(path, "ab+")  # noqa: SIM115 - stays open as long as the run
    except OSError as error:
        raise PatchBatchError(f"{path} cannot be used ({error.strerror}); {otherwise}") from error
    try:
        _lock(file)
    except OSError as error:
        file.close()
        raise PatchBatchError(f"another run is at work in {path.parent}; wait, or {otherwise}") from error
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
    return file


def _lock(file: IO[bytes]) -> None:
    """Keep other processes off a file until it is closed; does nothing on Windows."""
    try:
        import fcntl  # noqa: PLC0415 - Windows has no such module
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def refuse_differences(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], otherwise: str
) -> None:
    """Compare what the results in a folder were made with and what they would be made with now.

    Parameters
    ----------
    folder
        For the message.
    before, now
        Names and values, see `flat`.
    otherwise
        What to do instead, for the message.

    Raises
    ------
    PatchBatchError
        If they differ; names the first few.
    """
    differ = [key for key in sorted({**before, **now}) if before.get(key) != now.get(key)]
    if differ:
        told = [f"{key} was {before.get(key)} and is {now.get(key)}" for key in differ[:MOST_DIFFERENCES]]
        more = [f"{len(differ) - len(told)} more"] if len(differ) > len(told) else []
        raise PatchBatchError(
            f"{folder} has results of other settings: {', '.join(told + more)}; give the same, or {otherwise}"
        )


def flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return a table of tables as one, with the names joined by dots.

    Examples
    --------
    >>> flat({"a": {"b": 1, "c": {"d": [2]}}})
    {'a.b': 1, 'a.c.d': [2]}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: infinite numbers, which it does not know, become "inf" and "-inf"."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
