"""What is made of one pair of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.inputs import load_pair
from flow.outputs import write_map
from flow.pipeline import estimate_flow
from flow.results.result import FlowResult
from flow.sequences.between import Motion, frame_between
from flow.sequences.settings import SequenceSettings
from flow.sequences.sources import Frame, FramePair
from flow.settings import FlowSettings
from flow.visualize import confidence_to_image
from patchbatch.data.formats import write_flow
from patchbatch.data.images import as_float, to_grey, write_image
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.descriptors.remembered import Memory
from patchbatch.errors import PatchBatchError

Image = NDArray[np.float32]


class Worker:
    """Makes the results of pairs, one after the other; the descriptors of their frames are kept in between.

    Parameters
    ----------
    model, precision, preset, settings
        As `estimate_flow` takes them.
    wanted
        What is written.
    interpolate, refine
        As `estimate_flow` takes them.
    memory
        Of descriptors, in which this runs.
    """

    def __init__(
        self, model: Descriptor, settings: FlowSettings, wanted: SequenceSettings, memory: Memory, *,
        precision: str = "auto", preset: str = "default", interpolate: bool = True, refine: bool = True,
    ):  # fmt: skip
        self._model, self._wanted, self._memory = model, wanted, memory
        self._options: dict[str, Any] = {
            "settings": settings, "precision": precision, "preset": preset, "interpolate": interpolate,
            "refine": refine,
        }  # fmt: skip

    def results(self, pair: FramePair, ahead: FramePair | None = None) -> dict[str, FlowResult]:
        """Estimate the flow of a pair, by way: "" and, where it is wanted, "backward".

        Parameters
        ----------
        pair
            Two frames.
        ahead
            The pair that comes next: its second frame is described while this pair is at its later stages,
            and of this pair's descriptors those of its frames are kept.

        Raises
        ------
        PatchBatchError
            For frames that cannot be read or have two sizes, and as `estimate_flow`.
        """
        first, second = load_pair(pair.first.pixels, pair.second.pixels)
        following = [] if ahead is None else _readable(ahead, pair)
        self._memory.keep_only([to_grey(image) for image in (first, second)])

        def begin_next(stage: str, _cost: object) -> None:
            if stage == "describe":
                for image in following:
                    self._memory.prepare(image)

        found = {"": self._estimate(first, second, begin_next)}
        if self._wanted.both_ways or self._wanted.between:
            found["backward"] = self._estimate(second, first, None)
        return found

    def _estimate(
        self, first: Image, second: Image, on_stage: Callable[[str, Any], None] | None
    ) -> FlowResult:
        return estimate_flow(first, second, self._model, on_stage=on_stage, **self._options)


def _readable(pair: FramePair, before: FramePair) -> list[Image]:
    """Return the frames of a pair in grey that the one before does not have; those that can be read."""
    images = []
    for frame in (pair.first, pair.second):
        if frame is before.first or frame is before.second:
            continue
        try:
            images.append(to_grey(as_float(frame.pixels)))
        except PatchBatchError:  # is told when it is the frame's turn
            return []
    return images


def write_results(
    pair: FramePair, results: dict[str, FlowResult], paths: dict[tuple[str, str], Path]
) -> None:
    """Write what is wanted of a pair.

    Parameters
    ----------
    pair, results
        As `Worker.results` takes and returns them.
    paths
        By way and kind, see `SequenceSettings.files`.

    Raises
    ------
    PatchBatchError
        When a file cannot be written.
    """
    for (way, kind), path in paths.items():
        if way == "between":
            continue
        result = results[way]
        if kind == "flow":
            write_flow(path, result.flow, result.valid, result.confidence)
        elif kind == "confidence":
            _write_map(path, result.confidence)
        elif result.occluded is not None:
            _write_map(path, result.occluded)
    between = [path for (way, _), path in paths.items() if way == "between"]
    if between:
        first, second = load_pair(pair.first.pixels, pair.second.pixels)
        there, back = _motion(results[""]), _motion(results["backward"])
        for number, path in enumerate(between, 1):
            made = frame_between(first, second, there, back, number / (len(between) + 1))
            write_image(path, made)


def _write_map(path: Path, values: NDArray[np.float32]) -> None:
    """Write a map `(H, W)` in [0, 1] as numbers, or as a grey picture of its size: 0 black, 1 white."""
    if path.suffix == ".png":
        write_image(path, confidence_to_image(values))
    else:
        write_map(path, values)


def _motion(result: FlowResult) -> Motion:
    occluded = result.occluded
    return Motion(result.flow, np.zeros_like(result.confidence) if occluded is None else occluded)


def told_of(results: dict[str, FlowResult]) -> dict[str, Any]:
    """Return what is kept about the results of a pair beside them, ready for JSON."""
    warnings = [result.warning for result in results.values() if result.warning]
    matched = [round(result.matched, 4) for result in results.values()]
    return {"matched": matched, "warning": warnings[0] if warnings else None}


def frame_of(frame: Frame) -> NDArray[np.uint8]:
    """Return a frame as a video shows it, `(H, W, 3)` uint8 RGB."""
    pixels = np.rint(255 * as_float(frame.pixels)).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
