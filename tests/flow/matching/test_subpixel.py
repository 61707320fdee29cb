"""Fractions of a pixel: closed-form parabolas, borders, and what cannot be refined."""

import numpy as np
import pytest
import torch
from made_descriptors import histograms, texture

from flow.matching.subpixel import parabola_offsets, refine_subpixel
from patchbatch.errors import PatchBatchError


def coordinates(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([x, y], dim=-1)


def inner_points(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[1 : height - 1, 1 : width - 1]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.int32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (-0.31, 0.12)])
def test_quadratic_costs_give_the_exact_place(shift):
    d = coordinates(6, 8)
    points = inner_points(6, 8)
    refined = refine_subpixel(d + torch.tensor(shift), d, points, points)
    np.testing.assert_allclose(refined, points + np.array(shift), atol=1e-5)


def test_the_refined_places_are_float32_as_documented():
    d, points = coordinates(4, 5), np.array([[2, 2]])
    assert refine_subpixel(d, d, points, points).dtype == np.float32


def test_the_border_keeps_whole_pixels_across_it_only():
    d = coordinates(4, 5)
    refined = refine_subpixel(d + 0.25, d, np.array([[0, 2], [2, 0]]), np.array([[0, 2], [2, 0]]))
    np.testing.assert_allclose(refined, [[0, 2.25], [2.25, 0]], atol=1e-6)


def test_a_match_above_its_neighbour_stays():
    d = coordinates(5, 9)
    points = np.array([[2, 2]])
    np.testing.assert_array_equal(refine_subpixel(d, d, points, points + np.array([2, 0])), [[4, 2]])


@pytest.mark.parametrize(
    "costs",
    [[1] * 5, [0, np.inf, 1, 2, np.inf], [np.nan, 1, 2, 1, 2], [np.inf] * 5, [0, 1, np.nan, np.nan, 1]],
)
def test_what_has_no_lowest_point_stays(costs):
    np.testing.assert_array_equal(parabola_offsets(np.array([costs], np.float32)), [[0, 0]])


def test_offsets_follow_the_formula_and_never_leave_half_a_pixel():
    costs = np.random.default_rng(0).random((500, 5), dtype=np.float32)
    offsets = parabola_offsets(costs)
    assert np.abs(offsets).max() <= 0.5
    for row, offset in zip(costs, offsets, strict=True):
        for axis, (low, high) in enumerate([row[1:3], row[3:5]]):
            if min(low, high) < row[0]:
                assert offset[axis] == 0
            else:
                fit = np.polyfit([-1, 0, 1], [low, row[0], high], 2)
                assert offset[axis] == pytest.approx(-fit[1] / (2 * fit[0]), abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_texture_moved_by_a_fraction_is_found_better(dtype):
    image = texture(60, 80, 5)
    moved = 0.65 * image[:, :-1] + 0.35 * image[:, 1:]  # content of column x is at x - 0.35
    d1, d2 = histograms(image[:, :-1]).to(dtype), histograms(moved).to(dtype)
    points = inner_points(60, 79)[60 * 20 : 60 * 40]
    error = refine_subpixel(d1, d2, points, points) - points - np.array([-0.35, 0])
    assert np.abs(error).mean() < 0.12  # whole pixels: 0.175


@pytest.mark.parametrize(
    ("points1", "points2", "says"),
    [
        (np.zeros((2, 2), int), np.zeros((3, 2), int), "shapes"),
        (np.zeros((2, 3), int), np.zeros((2, 3), int), "shapes"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "points 1 are float64"),
        (np.zeros((2, 2), int), np.full((2, 2), 5), "points 2 lie outside"),
        (np.full((2, 2), -1), np.zeros((2, 2), int), "points 1 lie outside"),
    ],
)
def test_points_that_do_not_fit_are_refused(points1, points2, says):
    with pytest.raises(PatchBatchError, match=says) as caught:
        refine_subpixel(coordinates(4, 5), coordinates(4, 5), points1, points2)
    assert "\n" not in str(caught.value)


def test_no_points_are_no_error():
    none = np.zeros((0, 2), np.int32)
    assert refine_subpixel(coordinates(4, 5), coordinates(4, 5), none, none).shape == (0, 2)


def test_where_a_match_costs_nothing_no_place_beside_it_is_better():
    np.testing.assert_array_equal(parabola_offsets(np.array([[0, 1, 3, 2, 5]], np.float32)), [[0, 0]])
