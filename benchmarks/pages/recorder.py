"""Keep the pictures and curves of every result as it is made, so that the page needs no memory for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.flow.methods import Method, StageResult
from benchmarks.metrics import dense_result
from benchmarks.pages.curves import Groups, PairCurves, curves_of, groups_of
from benchmarks.pages.folder import PAIRS, RECORD, key_of
from benchmarks.pages.layers import (
    eight_bits,
    paint_error,
    paint_flow,
    paint_share,
    radius_of,
    write_layer,
    write_thumbnail,
)
from benchmarks.report import write_json
from patchbatch.data.datasets.pairs import FlowPair, Truth
from patchbatch.data.files import make_folder
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class PairRecord:
    """What the page has to know of a pair.

    Attributes
    ----------
    width, height
        Of its pictures.
    radius
        Length in px of a flow in full colour.
    layers
        Names of what all methods share (`"frame1"`, `"frame2"`, `"truth"`, `"hidden"`), and their files.
    """

    width: int
    height: int
    radius: float
    layers: dict[str, str]


@dataclass(frozen=True)
class ResultRecord:
    """What the page has to know of the result of a method on a pair.

    Attributes
    ----------
    layers
        Names of its pictures (`"flow"`, `"error"`, `"matches"`, `"confidence"`, ...), and their files; empty
        where none were wanted.
    curves
        What it adds to the charts.
    """

    layers: dict[str, str]
    curves: PairCurves


class Recorder:
    """Writes the pictures and the record of one result after the other into the folder of a report.

    Every pair has a folder of its own, and every method one in it, so that several processes can share the
    work. What was written for a pair is written anew when the pair is run again.

    Parameters
    ----------
    folder
        Of the report.
    keep_invalid
        Whether the pixels of Sintel's invalid mask count, as in the tables.
    pictures
        Whether pictures are written and shown, or curves and figures alone: what is drawn of a data set is
        under its licence.
    """

    def __init__(self, folder: Path | str, *, keep_invalid: bool = False, pictures: bool = True) -> None:
        self.folder = Path(folder)
        self.keep_invalid, self.pictures = keep_invalid, pictures
        self._last: tuple[FlowPair, Groups, float] | None = None

    def __call__(
        self, pair: FlowPair, truth: Truth, method: Method, stages: Mapping[str, StageResult]
    ) -> None:
        """Keep a result; the methods of a pair come one after the other.

        Raises
        ------
        PatchBatchError
            If a result has not the size of the truth, or a file cannot be written.
        """
        if self._last is None or self._last[0] != pair:
            self._last = pair, *self._start(pair, truth)
        _, groups, radius = self._last
        folder = make_folder(self.pair_folder(pair.name) / key_of(method.name, method.model))
        final = stages["final"]
        curves = curves_of(truth, groups, final.flow, final.valid, final.confidence)
        files = self._paint(folder, truth, groups, radius, stages) if self.pictures else {}
        write_json(folder / RECORD, asdict(ResultRecord(files, curves)))

    def _paint(
        self, folder: Path, truth: Truth, groups: Groups, radius: float, stages: Mapping[str, StageResult]
    ) -> dict[str, str]:
        """Write the pictures of a result; return their files by name."""
        final = stages["final"]
        layers = {
            "flow" if stage == "final" else stage: paint_flow(result.flow, result.valid, radius)
            for stage, result in stages.items()
        }
        filled, _ = dense_result(truth, final.flow, final.valid)
        layers["error"] = paint_error(filled, truth, groups.counted)
        for name, values in (("confidence", final.confidence), ("occluded", final.occluded)):
            if values is not None:
                layers[name] = paint_share(values)
        write_thumbnail(folder, "error", layers["error"])
        return {name: write_layer(folder, name, picture) for name, picture in layers.items()}

    def pair_folder(self, name: str) -> Path:
        """Return where everything about a pair lies."""
        return self.folder / PAIRS / name

    def _start(self, pair: FlowPair, truth: Truth) -> tuple[Groups, float]:
        """Write what all methods share."""
        groups, radius = groups_of(truth, keep_invalid=self.keep_invalid), radius_of(truth)
        if not self.pictures:
            return groups, radius
        folder = make_folder(self.pair_folder(pair.name))
        frames = {"frame1": eight_bits(pair.image1), "frame2": eight_bits(pair.image2)}
        layers = {name: write_layer(folder, name, frame, ".jpg") for name, frame in frames.items()}
        layers["truth"] = write_layer(folder, "truth", paint_flow(truth.flow, truth.valid, radius))
        if truth.visible is not None:
            hidden = truth.valid & ~truth.visible
            layers["hidden"] = write_layer(folder, "hidden", paint_share(hidden))
        write_thumbnail(folder, "frame1", frames["frame1"])
        height, width = truth.valid.shape
        write_json(folder / RECORD, asdict(PairRecord(width, height, radius, layers)))
        return groups, radius

    def pair(self, name: str) -> PairRecord | None:
        """Return the record of a pair; None if there is none."""
        values = _read(self.pair_folder(name) / RECORD)
        return None if values is None else PairRecord(**values)

    def result(self, pair: str, method: str, model: str | None) -> ResultRecord | None:
        """Return the record of a method's result on a pair; None if there is none, or only a part of one."""
        values = _read(self.pair_folder(pair) / key_of(method, model) / RECORD)
        return None if values is None else ResultRecord(values["layers"], PairCurves(**values["curves"]))

    def has(self, pair: str, method: str, model: str | None) -> bool:
        """Tell whether all is there that is wanted of a method's result on a pair."""
        record = self.result(pair, method, model)
        return record is not None and (bool(record.layers) or not self.pictures)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PatchBatchError(f"{path} is damaged; remove it and run the pair again") from error
    return values


def recorder_for(folder: str | None, *, keep_invalid: bool = False, pictures: bool = True) -> Recorder | None:
    """Return the recorder of --report; None where no report is wanted."""
    return None if folder is None else Recorder(folder, keep_invalid=keep_invalid, pictures=pictures)
