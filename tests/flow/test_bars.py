"""Bars at the border of a film."""

import numpy as np
import pytest

from flow.bars import bars


@pytest.fixture
def film() -> np.ndarray:
    return np.random.default_rng(3).random((12, 15, 3)).astype(np.float32)


def test_rows_and_columns_of_one_colour_are_bars(film):
    film[:3], film[-2:], film[:, :4] = 0.1, 0.1, 0.1
    expected = np.zeros((12, 15), np.bool_)
    expected[:3], expected[-2:], expected[:, :4] = True, True, True
    np.testing.assert_array_equal(bars(film, film), expected)
    np.testing.assert_array_equal(bars(film[..., 0], film[..., 0]), expected)


def test_compression_leaves_bars_bars(film):
    film[:3] = 0.1 + 1 / 255
    other = film.copy()
    other[:3] = 0.1
    assert bars(film, other)[:3].all() and not bars(film, other)[3:].any()


def test_no_bars_where_the_frames_differ_or_the_colour_is_not_at_the_border(film):
    film[4:7] = 0.1
    assert not bars(film, film).any()
    first, second = film.copy(), film.copy()
    first[:3], second[:3] = 0.1, 0.4
    assert not bars(first, second).any()


def test_a_blank_pair_is_not_all_bars():
    blank = np.full((6, 8), 0.5, np.float32)
    assert not bars(blank, blank).any()
