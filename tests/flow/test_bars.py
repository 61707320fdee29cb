"""Bars at the border of a film."""

import numpy as np
import pytest

from flow.bars import bars


@pytest.fixture
def film() -> np.ndarray:
    return np.random.default_rng(3).random((12, 15, 3)).astype(np.float32)


def test_rows_and_columns_of_one_colour_are_bars(film):
    film[:3], film[-2:], film[:, :4], film[:, -2:] = 0.02, 0.02, 0.02, 0.02
    expected = np.zeros((12, 15), np.bool_)
    expected[:3], expected[-2:], expected[:, :4], expected[:, -2:] = True, True, True, True
    np.testing.assert_array_equal(bars(film, film), expected)
    np.testing.assert_array_equal(bars(film[..., 0], film[..., 0]), expected)


def test_compression_leaves_bars_bars(film):
    film[:3] = film[-3:] = 0.02 + 1 / 255
    other = film.copy()
    other[:3] = other[-3:] = 0.02
    assert bars(film, other)[:3].all() and not bars(film, other)[3:-3].any()


def test_no_bars_where_the_frames_differ_or_the_colour_is_not_at_the_border(film):
    film[4:7] = 0.02
    assert not bars(film, film).any()
    first, second = film.copy(), film.copy()
    first[:3] = first[-3:] = 0.0
    second[:3] = second[-3:] = 0.05
    assert not bars(first, second).any()


def test_a_sky_and_a_dark_rim_on_one_side_are_no_bars(film):
    for place, colour in ((slice(None, 4), 1.0), (slice(None, 4), 0.0), (slice(None, None, 11), 0.0)):
        scene = film.copy()
        scene[place] = colour
        assert not bars(scene, scene).any()
    scene = film.copy()
    scene[:4] = scene[-4:] = 1.0
    assert not bars(scene, scene).any()


def test_a_blank_pair_is_not_all_bars():
    blank = np.zeros((6, 8), np.float32)
    assert not bars(blank, blank).any()
