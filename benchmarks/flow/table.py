"""The methods that the flow benchmark runs, by name; nothing here is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class FlowMethod(Entry):
    """A method that computes flow.

    Attributes
    ----------
    name, help
        As of every `Entry`.
    target
        A function of two 8-bit grey frames `(H, W)` -> flow `(H, W, 2)` px; for methods with models,
        `(model, benchmark) -> Method`.
    models
        Whether it is run with each model of --model.
    """

    models: bool = False


OWN = "patchbatch"
METHODS = Table(
    "method",
    [
        FlowMethod(OWN, "this project's pipeline", "benchmarks.flow.methods:patchbatch_method", models=True),
        FlowMethod("dis-ultrafast", "OpenCV's DIS, preset ultrafast", "benchmarks.flow.peers:dis_ultrafast"),
        FlowMethod("dis-fast", "OpenCV's DIS, preset fast", "benchmarks.flow.peers:dis_fast"),
        FlowMethod("dis-medium", "OpenCV's DIS, preset medium", "benchmarks.flow.peers:dis_medium"),
        FlowMethod("farneback", "OpenCV's Farneback, its usual settings", "benchmarks.flow.peers:farneback"),
        FlowMethod("zero", "no motion at all", "benchmarks.flow.peers:zero"),
    ],
)


class Label(NamedTuple):
    """What a method is told apart by.

    Attributes
    ----------
    method
        Its name.
    model
        Name or file of its network; None for a method without one.
    """

    method: str
    model: str | None


def is_function(word: str) -> bool:
    """Tell whether a word of --method is `NAME=module:function`."""
    _, equals, value = word.partition("=")
    return bool(equals) and ":" in value and not Path(value).is_dir()


def check_method(word: str) -> None:
    """Refuse a word that is neither a method, nor `NAME=FOLDER` with a folder that is there, nor a function.

    Raises
    ------
    PatchBatchError
        Names the nearest method.
    """
    name, equals, folder = word.partition("=")
    if equals:
        check_name(name, word)
        if not (is_function(word) or Path(folder).is_dir()):
            raise PatchBatchError(
                f"{word}: give NAME=FOLDER with a folder of flow files that exists, or NAME=module:function"
            )
    elif name not in METHODS:
        try:
            METHODS[name]
        except PatchBatchError as error:
            raise PatchBatchError(f"{error}, and NAME=FOLDER with results, NAME=module:function") from None


def check_matches(word: str) -> None:
    """Refuse a word of --matches that is not `NAME=FOLDER` with a folder that is there.

    Raises
    ------
    PatchBatchError
        Says what to give.
    """
    name, _, folder = word.partition("=")
    check_name(name, word)
    if not Path(folder).is_dir() or not folder:
        raise PatchBatchError(f"{word}: give NAME=FOLDER with a folder of match lists that exists")


def check_name(name: str, word: str) -> None:
    """Refuse a name that no folder could have, or that a method of the table has."""
    if not name or name.startswith(".") or "/" in name or name in METHODS:
        raise PatchBatchError(
            f"{word}: {name!r} is no name for a method; write NAME=FOLDER with a NAME of its own"
        )
