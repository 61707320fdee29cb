"""The KITTI kits' hole filling against a pixel-by-pixel reading of its rule."""

import numpy as np
import pytest

from benchmarks.holes import fill_holes


def fill_slowly(flow: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Walk row by row, then column by column, as reference section 5.3 tells it."""
    height, width = valid.shape
    filled, done = np.where(valid[..., None], flow, 0.0), valid.copy()
    for y in range(height):
        known = [x for x in range(width) if valid[y, x]]
        if not known:
            continue
        for x in range(width):
            left = [k for k in known if k <= x]
            right = [k for k in known if k >= x]
            sides = (flow[y, left[-1]] if left else None, flow[y, right[0]] if right else None)
            ends = [side for side in sides if side is not None]
            filled[y, x] = [min(end[0] for end in ends), min(end[1] for end in ends)]
            done[y, x] = True
    for x in range(width):
        known = [y for y in range(height) if done[y, x]]
        for y in range(height):
            if known and y < known[0]:
                filled[y, x] = filled[known[0], x]
            if known and y > known[-1]:
                filled[y, x] = filled[known[-1], x]
    return filled


def test_the_row_of_the_reference() -> None:
    flow = np.zeros((1, 6, 2))
    flow[0, 1], flow[0, 4] = (2, 1), (-4, 3)
    valid = np.array([[False, True, False, False, True, False]])
    expected = [(2, 1), (2, 1), (-4, 1), (-4, 1), (-4, 3), (-4, 3)]
    assert fill_holes(flow, valid)[0].tolist() == [list(map(float, vector)) for vector in expected]


def test_an_empty_row_between_filled_ones_stays_zero() -> None:
    flow = np.full((5, 2, 2), 3.0)
    valid = np.zeros((5, 2), bool)
    valid[1, 0] = valid[3, 1] = True
    assert fill_holes(flow, valid)[:, 0, 0].tolist() == [3, 3, 0, 3, 3]


def test_nothing_known_gives_zero() -> None:
    assert not fill_holes(np.full((3, 4, 2), np.nan), np.zeros((3, 4), bool)).any()


def test_a_dense_field_is_kept() -> None:
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    assert (fill_holes(flow, np.ones((5, 7), bool)) == flow).all()


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_against_the_slow_reading(density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 14, 2)
    valid = rng.random((height, width)) < density
    flow = np.where(valid[..., None], rng.normal(scale=20, size=(height, width, 2)), np.nan)
    assert (fill_holes(flow, valid) == fill_slowly(flow, valid)).all()
