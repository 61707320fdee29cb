"""The folder of a sequence: what is there already, and what it was made with.

`settings.json` says what the results depend on, `pairs.jsonl` has a line a pair that is done; of several
processes under torchrun each has a file of its own. Both stand beside the folders of the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flow.sequences.settings import SequenceSettings
from flow.sequences.sources import FramePair
from patchbatch.data.files import TEMPORARY, atomic_path, make_folder, read_bytes
from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import Journal, flat, read_lines, refuse_differences

SETTINGS = "settings.json"
PROGRAM = "patchbatch-flow, a sequence"
OTHERWISE = "give -o another folder"


def check_folder(folder: Path) -> None:
    """Refuse, before anything is made, a folder that holds other things than results of a sequence.

    Raises
    ------
    PatchBatchError
        Names the folder.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise PatchBatchError(f"{folder} is a file; give -o a folder")
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others and _read_settings(folder) is None:
        raise PatchBatchError(
            f"{folder} holds {others[0]}, which is of no sequence of this program; give -o a new folder"
        )


class Results:
    """The results of a sequence in a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    wanted
        What is written of each pair.
    depends
        What the results depend on, ready for JSON.
    rank
        Of this process among those that torchrun started.

    Raises
    ------
    PatchBatchError
        If the results there were made with other settings, are damaged, or another run uses the folder.
    """

    def __init__(self, folder: Path, wanted: SequenceSettings, depends: Mapping[str, Any], rank: int = 0):
        check_folder(folder)
        self.folder, self.wanted = make_folder(folder), wanted
        name = "pairs.jsonl" if rank == 0 else f"pairs-{rank}.jsonl"
        self._check_settings(depends)
        self._journal = Journal(self.folder / name, OTHERWISE)
        self._done: dict[str, dict[str, Any]] = {}
        try:
            self._read()
            for sub in {Path(file).parent for file in wanted.files("0").values()}:
                make_folder(self.folder / sub)
        except PatchBatchError:
            self.close()
            raise

    def paths(self, pair: FramePair) -> dict[tuple[str, str], Path]:
        """Return where the results of a pair go, see `SequenceSettings.files`."""
        return {key: self.folder / file for key, file in self.wanted.files(pair.name).items()}

    def is_done(self, pair: FramePair) -> bool:
        """Whether all that is wanted of a pair is there, made of these very frames.

        Raises
        ------
        PatchBatchError
            If what is there under the name of the pair was made of other files.
        """
        known = self._done[pair.name]["frames"] if pair.name in self._done else None
        now = [pair.first.identity, pair.second.identity]
        if known is not None and [one[:1] for one in known] != [one[:1] for one in now]:
            raise PatchBatchError(
                f"{self.folder} has a result {pair.name} of {known[0][0]} and {known[1][0]}, not of "
                f"{now[0][0]} and {now[1][0]}; {OTHERWISE}"
            )
        return known == now and all(path.exists() for path in self.paths(pair).values())

    def add(self, pair: FramePair, told: Mapping[str, Any]) -> None:
        """Say that all of a pair is there."""
        record = {"pair": pair.name, "frames": [pair.first.identity, pair.second.identity], **told}
        self._journal.add(record)
        self._done[pair.name] = record

    def path(self, name: str) -> Path:
        """Return the file with the flow of a pair."""
        return self.folder / self.wanted.files(name)["", "flow"]

    def doubtful(self, names: Iterable[str]) -> int:
        """Return how many of these pairs come with a warning, by whatever process they were made."""
        self._read()
        return sum(bool(self._done.get(name, {}).get("warning")) for name in names)

    def close(self) -> None:
        """Let another run use the folder."""
        self._journal.close()

    def tidy(self) -> None:
        """Take away what killed runs left half-written; not while another process writes here."""
        for file in self.folder.rglob(f"{TEMPORARY}*"):
            file.unlink(missing_ok=True)

    def _read(self) -> None:
        for file in sorted(self.folder.glob("pairs*.jsonl")):
            self._done |= _read(file)

    def _check_settings(self, depends: Mapping[str, Any]) -> None:
        before = _read_settings(self.folder)
        now = {"program": PROGRAM, **depends}
        if before is not None:
            refuse_differences(self.folder, flat(before), flat(now), OTHERWISE)
            return
        text = json.dumps(now, indent=1, allow_nan=False, ensure_ascii=False)
        with atomic_path(self.folder / SETTINGS) as part:
            part.write_text(text + "\n", encoding="utf-8")


def _read_settings(folder: Path) -> dict[str, Any] | None:
    """Return what the results of a folder were made with; None where they are not of this program.

    Raises
    ------
    PatchBatchError
        If the file is there and is damaged.
    """
    file = folder / SETTINGS
    if not file.is_file():
        return None
    try:
        known = json.loads(read_bytes(file))
    except ValueError as error:
        raise PatchBatchError(f"{file} is damaged; {OTHERWISE}") from error
    return known if isinstance(known, dict) and known.get("program") == PROGRAM else None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    done: dict[str, dict[str, Any]] = {}
    for at, line in read_lines(path):
        try:
            record = json.loads(line)
            first, second = record["frames"]
            done[str(record["pair"])] = record | {"frames": [list(first), list(second)]}
        except (ValueError, KeyError, TypeError) as error:
            raise PatchBatchError(
                f"{path}, line {at} is damaged; delete the line to make that pair again"
            ) from error
    return done
