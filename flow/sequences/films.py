"""The videos of a sequence, made of its results when all of them are there.

They are a second pass over the files, one at a time: only then is it known how long the longest motion is,
and the colours of all frames can mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow.sequences.results import Results
from flow.sequences.sources import FramePair, Source
from flow.sequences.video import film
from flow.sequences.work import frame_of
from flow.visualize import flow_to_color
from patchbatch.data.formats import read_flow
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError

# Of the lengths of a frame the scale leaves out the longest one in two hundred, which may be mistakes.
_SHARE = 0.995
_LEAST_PX = 1.0


def common_radius(files: Iterable[Path]) -> float:
    """Return the length in px that has full colour in all frames: the longest motion of all.

    The longest of a frame is its 99.5th percentile; it is rounded up to a tenth, and at least 1 px.
    """
    longest = _LEAST_PX
    for file in files:
        flow, valid = read_flow(file)
        if valid.any():
            longest = max(longest, float(np.quantile(np.hypot(flow[..., 0], flow[..., 1])[valid], _SHARE)))
    return float(np.ceil(10 * longest) / 10)


def color_film(path: Path, flows: Sequence[Path | None], fps: float, radius: float | None) -> float:
    """Write the flow of all pairs as a video in the colours of `flow_to_color`, and return its scale.

    Parameters
    ----------
    path
        Of the video.
    flows
        Flow files in their order; None where there is no result, which is black.
    fps
        Frames a second.
    radius
        Length in px that has full colour; None takes `common_radius`.

    Raises
    ------
    PatchBatchError
        When the flows have several sizes, and when the video cannot be written.
    """
    there = [file for file in flows if file is not None]
    scale = radius or common_radius(there)
    shape = read_flow(there[0])[1].shape
    with film(path, fps) as show:
        for file in flows:
            if file is None:
                show(np.zeros((*shape, 3), np.uint8))
                continue
            flow, valid = read_flow(file)
            if valid.shape != shape:
                raise PatchBatchError(
                    f"no {path.name}: {file.name} is {valid.shape[1]}x{valid.shape[0]}, the first flow "
                    f"{shape[1]}x{shape[0]}; a video has frames of one size"
                )
            show(flow_to_color(flow, valid, scale))
    return scale


def smooth_film(path: Path, source: Source, results: Results, fps: float) -> None:
    """Write the frames with those between them as a video as long as the sequence.

    Where a pair has no result, its first frame stands still.
    """
    with film(path, fps * (results.wanted.between + 1)) as show:
        last: FramePair | None = None
        for pair in source.pairs():
            first = frame_of(pair.first)
            show(first)
            for (way, _), file in results.paths(pair).items():
                if way == "between":
                    show(_picture(file) if file.exists() else first)
            last = pair
        if last is not None:
            show(frame_of(last.second))


def _picture(file: Path) -> NDArray[np.uint8]:
    pixels = np.asarray(read_image(file), np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
