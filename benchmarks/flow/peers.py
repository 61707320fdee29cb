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
from benchmarks.flow.names import result_file
from benchmarks.flow.table import METHODS, check_method, is_function
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.formats import read_flow
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.tables import in_one_line, load_object

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
        A name of `METHODS` that needs no model; `NAME=FOLDER` for results in files, see `result_names`; or
        `NAME=module:function`, see `function_method`.

    Raises
    ------
    PatchBatchError
        For an unknown name, or a folder that is not there.
    """
    check_method(word)
    name, equals, folder = word.partition("=")
    if is_function(word):
        return function_method(name, folder)
    if equals:
        return folder_method(name, Path(folder))
    compute: Callable[[Grey, Grey], Flow] = METHODS[name].load()

    def run(pair: FlowPair) -> dict[str, StageResult]:
        grey1, grey2 = read_grey(pair.image1), read_grey(pair.image2)
        _check_sizes(pair, grey1, grey2)
        start = time.perf_counter()
        try:
            flow = compute(grey1, grey2)
        except cv2.error as error:  # DIS, for one, has a smallest frame
            raise PatchBatchError(f"{in_one_line(error)}; OpenCV cannot compute this pair") from error
        seconds = time.perf_counter() - start
        return {"final": StageResult(flow, np.ones(flow.shape[:2], np.bool_), {"total": seconds})}

    return Method(name, None, run)


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
        flow, valid = read_flow(result_file(folder, pair, RESULT_SUFFIXES))
        return {"final": StageResult(flow, valid, {"total": None})}

    return Method(name, None, run)


def function_method(name: str, path: str) -> Method:
    """Return a user's own function as a method.

    Parameters
    ----------
    name
        For the table.
    path
        `package.module:function` of a function that takes two frames, uint8 RGB `(H, W, 3)`, and returns the
        flow `(H, W, 2)` in pixels, u to the right and v downward; not finite where it has none. Anything that
        numpy makes such an array of will do.

    Raises
    ------
    PatchBatchError
        If it cannot be imported; when run, for whatever it raises, for another shape or numbers that are not
        real, and for frames of two sizes.
    """
    compute = load_object(path)
    if not callable(compute):
        raise PatchBatchError(f"{path} is no function; name one that takes two frames")

    def run(pair: FlowPair) -> dict[str, StageResult]:
        frames = read_rgb(pair.image1), read_rgb(pair.image2)
        _check_sizes(pair, *frames)
        start = time.perf_counter()
        try:
            made = np.asarray(compute(*frames))
        except PatchBatchError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise PatchBatchError(f"{path} failed ({in_one_line(error)}); check it") from error
        seconds = time.perf_counter() - start
        expected = (*frames[0].shape[:2], 2)
        if made.shape != expected:
            raise PatchBatchError(f"{path} returned the shape {made.shape}; return {expected}")
        if made.dtype.kind not in "fiu":  # complex numbers would lose a part without a word
            raise PatchBatchError(f"{path} returned {made.dtype} numbers; return real ones, in pixels")
        flow = made.astype(np.float32)
        known = np.asarray(np.isfinite(flow).all(axis=-1))
        return {"final": StageResult(flow, known, {"total": seconds})}

    return Method(name, None, run)


def _check_sizes(pair: FlowPair, frame1: NDArray[np.uint8], frame2: NDArray[np.uint8]) -> None:
    if frame1.shape[:2] != frame2.shape[:2]:
        raise PatchBatchError(f"{pair.image1} and {pair.image2} differ in size; use frames of one sequence")


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a frame as 8-bit RGB, `(H, W, 3)`; of a grey one all three channels are the same."""
    image = read_image(path)
    if image.dtype == np.uint16:
        image = np.round(image / 257.0)
    colours = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image
    return np.ascontiguousarray(colours, np.uint8)
