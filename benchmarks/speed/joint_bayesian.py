"""Speed and memory of Joint Bayesian scores in eigen-form: a list of pairs, and all pairs of a face set."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from patchbatch.transfer.joint_bayesian.eigen import BLOCK_ROWS, EigenForm

DIMENSION = 160
FACES = 13_233  # images of Labeled Faces in the Wild; their all-pairs matrix takes 700 MB in float32
PAIRS = 5_000_000


def measure(repeats: int) -> list[dict[str, object]]:
    """Time both ways of scoring, in float32, on made rows of 160 numbers.

    Parameters
    ----------
    repeats
        Timed runs of each, after one that is not; the median is reported.

    Returns
    -------
    list
        Two rows, for `"jb"` (five million pairs drawn from 13,233 rows) and `"jb all pairs"` (the whole
        matrix of these rows, a block at a time). "stage", "model" and "size" (None), "dimension",
        "pairs-per-second", "seconds", and "extra-MB": the most that is held at once beside the rows and the
        list's answer; blocks count, so this bounds the matrix.
    """
    rng = np.random.default_rng(0)
    gamma = np.geomspace(4, 0.05, DIMENSION)
    form = EigenForm(np.zeros(DIMENSION), np.eye(DIMENSION), gamma)
    y = (rng.normal(size=(FACES, DIMENSION)) * np.sqrt(1 + gamma)).astype(np.float32)
    pairs = rng.integers(0, FACES, (PAIRS, 2))

    def score_list() -> None:
        form.pair_scores(y, y, pairs)

    def score_all() -> None:
        for _ in form.matrix_blocks(y, y, np.float32, BLOCK_ROWS):
            pass

    return [
        _row("jb", score_list, PAIRS, repeats, answer_bytes=4 * PAIRS),
        _row("jb all pairs", score_all, FACES**2, repeats, answer_bytes=0),
    ]


def _row(
    stage: str, work: Callable[[], None], count: int, repeats: int, answer_bytes: int
) -> dict[str, object]:
    extra = _peak_bytes(work) - answer_bytes
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "stage": stage, "model": None, "size": None, "dimension": DIMENSION,
        "pairs-per-second": count / median, "seconds": median, "extra-MB": extra / 1e6,
    }  # fmt: skip


def _peak_bytes(work: Callable[[], None]) -> int:
    """Return the most bytes of arrays that were held at once."""
    work()  # compiled outside of the count
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
