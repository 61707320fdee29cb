"""Pictures: the examples of the reference, and slow loops as oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flow.visualize import (
    color_wheel,
    confidence_to_image,
    flow_to_color,
    kitti_error_map,
    matches_to_color,
)
from patchbatch.errors import PatchBatchError


def field(*vectors: tuple[float, float]) -> np.ndarray:
    return np.array([vectors], np.float32)


def test_wheel_has_its_corners_and_its_last_entry() -> None:
    wheel = color_wheel()
    assert wheel.shape == (55, 3)
    starts = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)]
    np.testing.assert_array_equal(wheel[[0, 15, 21, 25, 36, 49]], starts)
    np.testing.assert_array_equal(wheel[54], (255, 0, 43))
    np.testing.assert_array_equal(wheel[1], (255, 17, 0))


@pytest.mark.parametrize(
    ("vector", "colour"),
    [
        ((0, 0), (255, 255, 255)),
        ((1, 0), (255, 0, 0)),
        ((1, -0.0), (255, 0, 0)),
        ((0, 1), (255, 229, 0)),
        ((-1, 0), (0, 209, 255)),
        ((0, -1), (88, 0, 255)),
        ((0.5, 0), (255, 127, 127)),
        ((2, 0), (191, 0, 0)),
    ],
)
def test_colours_of_the_reference(vector: tuple[float, float], colour: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(flow_to_color(field(vector), max_radius=1)[0, 0], colour)
    scaled = field((vector[0] * 40, vector[1] * 40))
    np.testing.assert_array_equal(flow_to_color(scaled, max_radius=40)[0, 0], colour)


def slow_colour(u: float, v: float) -> list[int]:
    """The wheel for one vector, step by step."""
    wheel = color_wheel()
    position = (math.atan2(-v, -u) / math.pi + 1) / 2 * 54
    first = int(position)
    share = position - first
    colour = []
    for channel in range(3):
        hue = (1 - share) * float(wheel[first, channel]) + share * float(wheel[(first + 1) % 55, channel])
        radius = math.sqrt(u * u + v * v)
        colour.append(int(255 - radius * (255 - hue) if radius <= 1 else 0.75 * hue))
    return colour


def test_colours_agree_with_a_loop() -> None:
    flow = np.random.default_rng(0).uniform(-1.2, 1.2, (9, 11, 2)).astype(np.float32)
    expected = [[slow_colour(float(u), float(v)) for u, v in row] for row in flow]
    assert np.abs(flow_to_color(flow, max_radius=1).astype(int) - expected).max() <= 1


def test_the_longest_known_vector_sets_the_scale() -> None:
    flow = field((3, 0), (1.5, 0), (1e10, 0), (90, 0), (np.nan, 0))
    picture = flow_to_color(flow, np.array([[True, True, True, False, True]]))
    np.testing.assert_array_equal(picture[0], [(255, 0, 0), (255, 127, 127), (0, 0, 0), (0, 0, 0), (0, 0, 0)])
    assert (flow_to_color(np.zeros((2, 3, 2))) == 255).all()
    assert not flow_to_color(np.ones((2, 3, 2)), np.zeros((2, 3), bool)).any()


def test_no_longest_vector_is_darkened() -> None:
    angles = np.linspace(0, 2 * np.pi, 500)
    flow = np.stack([np.cos(angles), np.sin(angles)], axis=1)[None].astype(np.float32) * 7
    assert (flow_to_color(flow).max(axis=2) >= 254).all()


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(PatchBatchError, match="max_radius"):
        flow_to_color(field((1, 2)), max_radius=radius)


def error_colour(error: float, length: float) -> tuple[int, ...]:
    truth = np.zeros((3, 3, 2))
    truth[1, 1] = (0, length)
    estimate = truth + np.array([error, 0])
    valid = np.zeros((3, 3), bool)
    valid[1, 1] = True
    return tuple(kitti_error_map(estimate, truth, valid)[1, 1].tolist())


@pytest.mark.parametrize(
    ("error", "length", "colour"),
    [
        (4, 10, (254, 224, 144)),
        (4, 100, (224, 243, 248)),
        (0, 10, (49, 54, 149)),
        (0, 0, (49, 54, 149)),
        (3 * 0.0625, 0, (69, 117, 180)),
        (3 * 0.125, 0, (116, 173, 209)),
        (3 * 0.25, 0, (171, 217, 233)),
        (3 * 0.5, 0, (224, 243, 248)),
        (3, 0, (254, 224, 144)),
        (6, 0, (253, 174, 97)),
        (12, 0, (244, 109, 67)),
        (24, 0, (215, 48, 39)),
        (48, 0, (165, 0, 38)),
        (47, 0, (215, 48, 39)),
    ],
)
def test_error_colours_of_the_reference(error: float, length: float, colour: tuple[int, ...]) -> None:
    assert error_colour(error, length) == colour


def slow_blocks(colours: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Paint block after block in raster order."""
    picture = np.zeros_like(colours)
    height, width = valid.shape
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if valid[y, x]:
                picture[y - 1 : y + 2, x - 1 : x + 2] = colours[y, x]
    return picture


def test_error_blocks_agree_with_a_loop() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(0, 20, (12, 14, 2))
    estimate = truth + random.normal(0, 1, truth.shape) * random.uniform(0, 20, (12, 14, 1))
    valid = random.random((12, 14)) < 0.2
    noc = valid & (random.random((12, 14)) < 0.5)
    colours = np.zeros((12, 14, 3), np.uint8)
    for y, x in np.ndindex(12, 14):
        error = float(np.hypot(*(np.float32(estimate[y, x]) - np.float32(truth[y, x]))))
        colour = np.array(error_colour(error, float(np.hypot(*truth[y, x]))))
        colours[y, x] = colour if noc[y, x] else colour // 2
    np.testing.assert_array_equal(kitti_error_map(estimate, truth, valid, noc), slow_blocks(colours, valid))


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 2), (3, 1)])
def test_an_error_map_without_an_inside_is_black(shape: tuple[int, int]) -> None:
    flow = np.ones((*shape, 2))
    assert not kitti_error_map(flow, flow, np.ones(shape, bool)).any()


def test_confidence_is_grey() -> None:
    np.testing.assert_array_equal(
        confidence_to_image(np.array([[0, 0.5, 1, 2, -1]])), [[0, 128, 255, 255, 0]]
    )
    assert confidence_to_image(np.zeros((2, 3))).dtype == np.uint8


def test_matches_are_dots_cut_at_the_border() -> None:
    points = np.array([[0, 0], [3.4, 2.6], [90, 1], [1e30, -1e30]])
    vectors = np.array([[1, 0], [-1, 0], [1, 0], [1, 0]])
    picture = matches_to_color(points, vectors, (5, 6), max_radius=1)
    expected = np.zeros((5, 6, 3), np.uint8)
    expected[:2, :2] = (255, 0, 0)
    expected[2:5, 2:5] = (0, 209, 255)
    np.testing.assert_array_equal(picture, expected)
    reach = matches_to_color(np.array([[-1.0, 2], [6, 2]]), vectors[:2], (5, 6), max_radius=1)
    assert reach[1:4, [0, 5]].any(axis=2).all()
    assert not matches_to_color(np.zeros((0, 2)), np.zeros((0, 2)), (5, 6)).any()


def test_a_later_match_covers_an_earlier_one() -> None:
    points = np.array([[2, 2], [3, 2]])
    picture = matches_to_color(points, np.array([[1, 0], [-1, 0]]), (5, 6))
    np.testing.assert_array_equal(picture[2, 1:5, 0], [255, 0, 0, 0])


def test_shapes_that_do_not_fit_are_refused() -> None:
    flow = np.zeros((3, 4, 2))
    good, other = np.ones((3, 4), bool), np.ones((4, 3), bool)
    for act in (
        lambda: flow_to_color(np.zeros((3, 4))),
        lambda: flow_to_color(flow, other),
        lambda: kitti_error_map(flow, np.zeros((4, 3, 2)), other),
        lambda: kitti_error_map(flow, flow, other),
        lambda: kitti_error_map(flow, flow, good, other),
        lambda: confidence_to_image(np.zeros(3)),
        lambda: confidence_to_image(np.full((2, 2), np.nan)),
        lambda: matches_to_color(np.zeros((3, 2)), np.zeros((4, 2)), (3, 4)),
        lambda: matches_to_color(np.full((3, 2), np.nan), np.zeros((3, 2)), (3, 4)),
    ):
        with pytest.raises(PatchBatchError):
            act()
