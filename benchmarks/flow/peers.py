"""Public methods to compare with, and results that other programs have written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.flow.methods import Method, StageResult
from benchmarks.flow.table import METHODS, check_method
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import read_flow
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError

Grey = NDArray[np.uint8]
Flow = NDArray[np.floating]

RESULT_SUFFIXES = (".flo", ".png", ".pfm", ".npz")
# A field to start from is optional, which OpenCV's type stubs leave out.
_NO_START: Any = None


def read_grey(path: Path) -> Grey:
    """Read a frame as the 8-bit grey image, `(H, W)`, that OpenCV's methods ask for."""
    image = read_image(path)
    if image.dtype == np.uint16:
        image = np.round(image / 257.0).astype(np.uint8)
    # Decoding straight to grey would use the PNG library's weights, which differ.
    return np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _dis(preset: int, grey1: Grey, grey2: Grey) -> Flow:
    return np.asarray(cv2.DISOpticalFlow.create(preset).calc(grey1, grey2, _NO_START))


def dis_ultrafast(grey1: Grey, grey2: Grey) -> Flow:
    """Compute OpenCV's DIS, preset ultrafast."""
    return _dis(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, grey1, grey2)


def dis_fast(grey1: Grey, grey2: Grey) -> Flow:
    """Compute OpenCV's DIS, preset fast."""
    return _dis(cv2.DISOPTICAL_FLOW_PRESET_FAST, grey1, grey2)


def dis_medium(grey1: Grey, grey2: Grey) -> Flow:
    """Compute OpenCV's DIS, preset medium."""
    return _dis(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, grey1, grey2)


def farneback(grey1: Grey, grey2: Grey) -> Flow:
    """Compute OpenCV's Farneback with the settings of its documentation."""
    flow = cv2.calcOpticalFlowFarneback(
        grey1,
        grey2,
        _NO_START,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )
    return np.asarray(flow)


def zero(grey1: Grey, _grey2: Grey) -> Flow:
    """Return no motion."""
    return np.zeros((*grey1.shape, 2), np.float32)


def peer_method(word: str) -> Method:
    """Return the method that a word of the command line stands for.

    Parameters
    ----------
    word
        A name of `METHODS` that needs no model, or `NAME=FOLDER` for results in files: see `result_names`.

    Raises
    ------
    PatchBatchError
        For an unknown name, or a folder that is not there.
    """
    check_method(word)
    name, equals, folder = word.partition("=")
    if equals:
        return folder_method(name, Path(folder))
    compute: Callable[[Grey, Grey], Flow] = METHODS[name].load()

    def run(pair: FlowPair) -> dict[str, StageResult]:
        grey1, grey2 = read_grey(pair.image1), read_grey(pair.image2)
        if grey1.shape != grey2.shape:
            raise PatchBatchError(
                f"{pair.image1} and {pair.image2} differ in size; use frames of one sequence"
            )
        start = time.perf_counter()
        flow = compute(grey1, grey2)
        seconds = time.perf_counter() - start
        return {"final": StageResult(flow, np.ones(flow.shape[:2], np.bool_), {"total": seconds})}

    return Method(name, None, run)


def result_names(pair: FlowPair) -> tuple[str, ...]:
    """Return the names, without suffix, under which a result for the pair is looked for, in that order.

    The first ones are those of the benchmark's upload, then those of its own ground truth, then the bare
    name of the pair.

    Examples
    --------
    >>> from pathlib import Path
    >>> frame = Path("kitti2015/training/image_2/000002_10.png")
    >>> result_names(FlowPair("kitti2015", "000002", frame, frame, frame))
    ('flow/000002_10', '000002_10', '000002')
    """
    # Sintel's upload has no underscore (frame0002), the data set itself has one (frame_0002).
    upload = pair.name.replace("/frame_", "/frame")
    patterns = DATASETS[pair.dataset].results
    return tuple(dict.fromkeys(pattern.format(name=pair.name, upload=upload) for pattern in patterns))


def folder_method(name: str, folder: Path) -> Method:
    """Return a method that reads its results from `.flo`, KITTI `.png`, `.pfm` or `.npz` files.

    Parameters
    ----------
    name
        For the table.
    folder
        Where the files lie, named as `result_names` says.

    Raises
    ------
    PatchBatchError
        When run, if a pair has no file.
    """

    def run(pair: FlowPair) -> dict[str, StageResult]:
        flow, valid = read_flow(_result_file(folder, pair))
        return {"final": StageResult(flow, valid, {"total": None})}

    return Method(name, None, run)


def _result_file(folder: Path, pair: FlowPair) -> Path:
    names = result_names(pair)
    for name in names:
        for suffix in RESULT_SUFFIXES:
            # A name may hold dots, so the suffix is added and not replaced.
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path
    raise PatchBatchError(
        f"no result in {folder}: tried {', '.join(names)} with {', '.join(RESULT_SUFFIXES)}"
    )
