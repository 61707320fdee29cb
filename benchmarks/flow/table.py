"""The methods that the flow benchmark runs, by name; nothing here is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def check_method(word: str) -> None:
    """Refuse a word that is neither a method nor `NAME=FOLDER` with a folder that is there.

    Raises
    ------
    PatchBatchError
        Names the nearest method.
    """
    name, equals, folder = word.partition("=")
    if equals and not (name and Path(folder).is_dir()):
        raise PatchBatchError(f"{word}: give NAME=FOLDER with a folder of flow files that exists")
    if not equals and name not in METHODS:
        try:
            METHODS[name]
        except PatchBatchError as error:
            raise PatchBatchError(f"{error}, and NAME=FOLDER with results") from None
