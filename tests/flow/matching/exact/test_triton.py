"""The CUDA kernel without a GPU: run by the interpreter of Triton, it finds what is nearest."""

import os
import subprocess
import sys

import numpy as np
import pytest

from flow.matching.exact.cuda import triton_is_there

pytestmark = pytest.mark.skipif(
    not triton_is_there(), reason="Triton is not installed; pip install patchbatch[triton]"
)

# In a process of its own: whether Triton interprets is decided when the kernel is imported.
PROGRAM = """
import sys
import torch
from flow.matching.exact.cuda import search_on_cuda
from flow.matching.exact.tiles import Rectangle
import numpy as np
given = np.load(sys.argv[1])
d1, d2 = (torch.from_numpy(given[name]) for name in ("d1", "d2"))
window = None if given["window"] < 0 else int(given["window"])
grid = Rectangle(0, d1.shape[0], 0, d1.shape[1], int(given["step"]))
found = search_on_cuda(d1, d2, grid, window, d1.dtype, 64.0)
np.savez(sys.argv[2], *found)
"""


def interpreted(folder, d1, d2, window, step):
    """Return distances and slots of the grid of image 1, then of image 2, as the kernel finds them."""
    np.savez(folder / "given.npz", d1=d1, d2=d2, window=-1 if window is None else window, step=step)
    files = [str(folder / name) for name in ("given.npz", "found.npz")]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, *files], env=environment, check=True)
    with np.load(folder / "found.npz") as found:
        return [found[name] for name in found.files]


def by_hand(d1, d2, window, step):
    """The same by comparing all pairs, in float64; of equal distances the lowest slot."""
    y1, x1 = (values.ravel() for values in np.mgrid[: d1.shape[0] : step, : d1.shape[1] : step])
    y2, x2 = (values.ravel() for values in np.mgrid[: d2.shape[0], : d2.shape[1]])
    rows, columns = d1[y1, x1].astype(np.float64), d2[y2, x2].astype(np.float64)
    squared = ((rows[:, None] - columns[None]) ** 2).sum(-1)
    if window is not None:
        far = np.maximum(abs(x1[:, None] - x2), abs(y1[:, None] - y2)) > window
        squared[far] = np.inf
    best = []
    for table in (squared, squared.T):
        lowest, slot = table.min(axis=1), table.argmin(axis=1)
        best += [lowest, np.where(np.isfinite(lowest), slot, -1)]
    return best


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("window", "step"), [(None, 1), (None, 3), (0, 1), (4, 1), (9, 3)])
def test_the_kernel_finds_what_is_nearest(tmp_path, dtype, window, step):
    """Sizes that fill no tile, numbers that fill no block."""
    rng = np.random.default_rng(3)
    d1 = rng.normal(size=(11, 26, 20)).astype(dtype)
    d2 = rng.normal(size=(13, 23, 20)).astype(dtype)
    found, expected = interpreted(tmp_path, d1, d2, window, step), by_hand(d1, d2, window, step)
    for slots in (1, 3):
        np.testing.assert_array_equal(found[slots], expected[slots])
    for distances in (0, 2):
        np.testing.assert_allclose(found[distances], expected[distances], rtol=1e-4)


def test_equal_distances_go_to_the_lowest_slot(tmp_path):
    rng = np.random.default_rng(4)
    d1, d2 = (rng.integers(0, 2, (12, 15, 3)).astype(np.float16) for _ in range(2))
    found, expected = interpreted(tmp_path, d1, d2, None, 1), by_hand(d1, d2, None, 1)
    for slots in (1, 3):
        np.testing.assert_array_equal(found[slots], expected[slots])


def test_what_is_no_number_matches_nothing(tmp_path):
    rng = np.random.default_rng(5)
    d1, d2 = (rng.normal(size=(6, 9, 8)).astype(np.float32) for _ in range(2))
    d1[1, 1] = np.nan
    _, slots, _, back = interpreted(tmp_path, d1, d2, None, 1)
    assert slots[1 * 9 + 1] == -1 and (np.delete(slots, 10) >= 0).all()
    assert (back >= 0).all() and 10 not in back
