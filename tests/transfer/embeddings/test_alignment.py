"""Faces brought to their place: the similarity against its definition, and where the points end up."""

import cv2
import numpy as np
import pytest
from scipy.optimize import minimize

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.alignment import align, similarity
from patchbatch.transfer.embeddings.table import CROPS, FIVE, WITHOUT_MOUTH


def test_the_similarity_is_the_least_squares_one():
    generator = np.random.default_rng(0)
    points, targets = generator.normal(size=(5, 2)) * 30, generator.normal(size=(5, 2)) * 30

    def error(parameters):
        a, b, x, y = parameters
        return ((points @ np.array([[a, b], [-b, a]]) + (x, y) - targets) ** 2).sum()

    best = minimize(error, [1, 0, 0, 0], method="BFGS").x
    found = similarity(points, targets)
    np.testing.assert_allclose(found[:, 0], best[:2], atol=1e-4)
    np.testing.assert_allclose(found[:, 2], best[2:], atol=1e-3)


def test_what_was_turned_scaled_and_moved_is_brought_back():
    points = np.random.default_rng(1).uniform(0, 100, (5, 2))
    angle, scale = 0.7, 2.5
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points @ turn.T + (7, -3), points)
    np.testing.assert_allclose(found[:, :2] @ turn, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("names", [FIVE, WITHOUT_MOUTH])
def test_marked_points_come_to_lie_where_the_crop_has_them(crop, names):
    places = np.array([CROPS[crop].points[name] for name in names])
    matrix = cv2.getRotationMatrix2D((60, 60), 20, 1.3)
    points = (places * 90) @ matrix[:, :2].T + matrix[:, 2] + (40, 30)
    image = np.zeros((240, 260), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), 3, 255, -1)
    face = align(image, points, crop, 100, names)
    for x, y in places * 100 - 0.5:
        assert face[round(y), round(x)] > 150, (x, y)
    assert (face > 100).sum() < 400


def test_a_smaller_crop_is_not_aliased():
    image = np.indices((400, 400)).sum(axis=0) % 2 * np.uint8(255)
    points = np.array([CROPS["lfw"].points[name] for name in FIVE]) * 400
    face = align(image.astype(np.uint8), points, "lfw", 50)
    assert np.abs(face.astype(int) - 127).max() < 12  # single pixels would be black or white


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((5, 2)), "all at one place"),
        (np.full((5, 2), np.nan), "not finite"),
        (np.zeros((1, 2)), "give \\(K, 2\\)"),
        (np.zeros((5, 3)), "give \\(K, 2\\)"),
    ],
)
def test_points_that_are_none(points, words):
    with pytest.raises(PatchBatchError, match=words):
        similarity(points, np.zeros_like(points))
    if points.shape == (5, 2):
        with pytest.raises(PatchBatchError, match=words):
            align(np.zeros((9, 9), np.uint8), points)


def test_names_that_a_crop_does_not_have():
    with pytest.raises(PatchBatchError, match="has no chin"):
        align(np.zeros((9, 9), np.uint8), [[0, 0], [1, 1]], names=("chin", "left eye"))
    with pytest.raises(PatchBatchError, match="unknown crop"):
        align(np.zeros((9, 9), np.uint8), np.eye(5, 2), "passport")
