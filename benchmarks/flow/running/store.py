"""Results of pairs, kept as they are made, so that a run that was stopped goes on where it was.

A folder holds `settings.json`, what the results were made with, and `results.jsonl`, one line a method and
pair, appended when it is scored; of several processes under torchrun each has a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.flow.running.scoring import Outcome
from benchmarks.flow.table import Label
from benchmarks.report import write_json
from patchbatch.data.files import make_folder, read_bytes
from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import Journal, flat, read_lines, refuse_differences

OTHERWISE = "give --keep another folder"


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
        name = "results.jsonl" if rank == 0 else f"results-{rank}.jsonl"
        self._journal = Journal(self.folder / name, OTHERWISE)
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
        self._journal.add(outcome.to_record())
        self.outcomes[outcome.pair, outcome.label] = outcome

    def close(self) -> None:
        """Let another run use the folder."""
        self._journal.close()


def _read(path: Path) -> list[Outcome]:
    outcomes = []
    for at, line in read_lines(path):
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
        refuse_differences(folder, before, now, OTHERWISE)
    merged = {**settings, "methods": known.get("methods", {}) | settings["methods"]}
    if merged != known:
        write_json(file, merged)
