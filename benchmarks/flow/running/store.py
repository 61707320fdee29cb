"""Results of pairs, kept as they are made, so that a run that was stopped goes on where it was.

A folder holds `settings.json`, what the results were made with, and `results.jsonl`, one line a method and
pair, appended when it is scored; of several processes under torchrun each has a file of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from benchmarks.flow.running.scoring import Outcome
from benchmarks.flow.table import Label
from benchmarks.report import write_json
from patchbatch.data.files import make_folder, read_bytes
from patchbatch.errors import PatchBatchError

MOST_DIFFERENCES = 4  # are named in one line


class Store:
    """The results in a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    settings
        What the results depend on, ready for JSON: a table `methods`, by name, and whatever holds for all.
    rank
        Of this process among those that torchrun started.

    Raises
    ------
    PatchBatchError
        If the results there were made with other settings, are damaged, or another run uses the folder.
    """

    def __init__(self, folder: Path | str, settings: Mapping[str, Any], rank: int = 0):
        self.folder = make_folder(folder)
        self._file = _opened(self.folder / ("results.jsonl" if rank == 0 else f"results-{rank}.jsonl"))
        self.outcomes: dict[tuple[str, Label], Outcome] = {}
        try:
            _check_settings(self.folder, settings)
            for file in sorted(self.folder.glob("results*.jsonl")):
                self.outcomes |= {(outcome.pair, outcome.label): outcome for outcome in _read(file)}
        except PatchBatchError:
            self.close()
            raise

    def add(self, outcome: Outcome) -> None:
        """Append a result; once this returns it survives whatever happens to the process."""
        line = json.dumps(outcome.to_record(), allow_nan=False, ensure_ascii=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise PatchBatchError(
                f"{self._file.name} cannot be written ({error.strerror}); make room"
            ) from error
        self.outcomes[outcome.pair, outcome.label] = outcome

    def close(self) -> None:
        """Let another run use the folder."""
        self._file.close()


def _opened(path: Path) -> IO[bytes]:
    """Open a file for appending, for this process alone; a line that a killed run left half is cut off."""
    try:
        file = open(path, "ab+")  # noqa: SIM115 - stays open as long as the run
    except OSError as error:
        raise PatchBatchError(
            f"{path} cannot be used ({error.strerror}); give --keep another folder"
        ) from error
    try:
        _lock(file)
    except OSError as error:
        file.close()
        raise PatchBatchError(
            f"another run is at work in {path.parent}; wait, or give --keep another folder"
        ) from error
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


def _read(path: Path) -> list[Outcome]:
    outcomes = []
    # What follows the last line break is being written by another process, or was when that was killed.
    for at, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            outcomes.append(Outcome.from_record(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PatchBatchError(
                f"{path}, line {at} is damaged; delete the line to run that pair again"
            ) from error
    return outcomes


def _check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Compare with what the results of a folder were made with, and write it down; methods may be added."""
    file = folder / "settings.json"
    known: dict[str, Any] = {}
    if file.exists():
        try:
            known = json.loads(read_bytes(file))
            before, methods = flat({**known, "methods": {}}), known["methods"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PatchBatchError(f"{file} is damaged; give --keep another folder") from error
        now = flat({**settings, "methods": {}})
        for name in settings["methods"].keys() & methods.keys():
            before |= flat(methods[name], f"{name}: ")
            now |= flat(settings["methods"][name], f"{name}: ")
        _refuse_differences(folder, before, now)
    merged = {**settings, "methods": known.get("methods", {}) | settings["methods"]}
    if merged != known:
        write_json(file, merged)


def _refuse_differences(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differ = [key for key in sorted({**before, **now}) if before.get(key) != now.get(key)]
    if differ:
        told = [f"{key} was {before.get(key)} and is {now.get(key)}" for key in differ[:MOST_DIFFERENCES]]
        more = [f"{len(differ) - len(told)} more"] if len(differ) > len(told) else []
        raise PatchBatchError(
            f"{folder} has results of other settings: {', '.join(told + more)}; "
            "give the same, or --keep another folder"
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
