"""Local models against numpy's least squares, and fields they must reproduce."""

import numpy as np
import pytest

from flow.interpolation.estimators.least_squares import locally_weighted_affine, nadaraya_watson
from flow.interpolation.estimators.robust import robust_affine
from flow.interpolation.estimators.weights import kernel_weights
from flow.interpolation.settings import InterpolationSettings
from flow.interpolation.support import neighbour_support

A = 0.7
FIELD = np.array([[0.02, -0.01, 3.0], [0.005, 0.03, -2.0]])


def neighbourhoods(count=30, n=14, seed=0):
    """Random points, each with its n Euclidean-nearest as neighbours."""
    generator = np.random.default_rng(seed)
    points = (generator.random((count, 2)) * 1200).astype(np.float32)
    separation = np.linalg.norm(points[:, None] - points[None], axis=2) / 100
    index = np.argsort(separation, axis=1, kind="stable")[:, :n].astype(np.int32)
    return points, index, np.take_along_axis(separation, index, axis=1).astype(np.float32)


def affine_vectors(points):
    return (points @ FIELD[:, :2].T + FIELD[:, 2]).astype(np.float32)


def rows_by_lstsq(points, vectors, index, distance):
    """The system as written in EpicFlow: a row per neighbour times k, and four helper rows."""
    k = np.exp(-A * distance).astype(np.float32).astype(float) + 1e-8
    centre = points[index[0]].astype(float)
    offsets = np.vstack([points[index] - centre, [[0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]]])
    targets = np.vstack([vectors[index], np.repeat(vectors[index[:1]], 4, axis=0)])
    rows = np.append(k, np.full(4, 0.01 * k[0]))
    rows[0] *= 0.96
    design = np.column_stack([offsets, np.ones(len(offsets))])
    return np.linalg.lstsq(rows[:, None] * design, rows[:, None] * targets, rcond=None)[0].T


def test_affine_fit_is_the_weighted_least_squares_of_the_rows():
    points, index, distance = neighbourhoods()
    vectors = np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32) * 5
    models = locally_weighted_affine(points, vectors, index, kernel_weights(index, distance, A))
    for m in range(30):
        np.testing.assert_allclose(
            models[m], rows_by_lstsq(points, vectors, index[m], distance[m]), rtol=1e-6, atol=1e-8
        )


def test_nadaraya_watson_is_the_weighted_mean():
    points, index, distance = neighbourhoods()
    index[:, 9:], distance[:, 9:] = -1, np.inf
    vectors = np.random.default_rng(2).normal(size=(30, 2)).astype(np.float32)
    models = nadaraya_watson(points, vectors, index, kernel_weights(index, distance, A))
    k = np.exp(-A * distance[:, :9].astype(float)) + 1e-8
    expected = (k[..., None] * vectors[index[:, :9]]).sum(axis=1) / k.sum(axis=1)[:, None]
    np.testing.assert_allclose(models[:, :, 2], expected, rtol=1e-6)
    assert (models[:, :, :2] == 0).all()


@pytest.mark.parametrize("estimator", [locally_weighted_affine, robust_affine])
def test_an_affine_field_is_reproduced(estimator):
    points, index, distance = neighbourhoods()
    models = estimator(points, affine_vectors(points), index, kernel_weights(index, distance, A))
    # The helper rows pull to translation by a few parts in a million, float32 vectors round at 1e-6.
    np.testing.assert_allclose(models[:, :, :2], np.broadcast_to(FIELD[:, :2], (30, 2, 2)), atol=2e-5)
    np.testing.assert_allclose(models[:, :, 2], affine_vectors(points), atol=1e-3)


def test_robust_fit_bears_a_third_of_wrong_matches():
    points, index, distance = neighbourhoods(count=200, n=60)
    vectors = affine_vectors(points)
    wrong = np.random.default_rng(3).random(200) < 0.33
    vectors[wrong] += np.random.default_rng(4).normal(size=(wrong.sum(), 2)).astype(np.float32) * 60
    errors = {
        estimator: np.linalg.norm(
            estimator(points, vectors, index, kernel_weights(index, distance, 0.1))[:, :, 2]
            - affine_vectors(points),
            axis=1,
        )
        for estimator in (locally_weighted_affine, robust_affine)
    }
    assert np.median(errors[robust_affine]) < 0.2
    assert np.median(errors[locally_weighted_affine]) > 1


def test_a_smaller_truncation_bears_wrong_matches_that_are_less_far_off():
    points, index, distance = neighbourhoods(count=200, n=60)
    vectors = affine_vectors(points)
    wrong = np.random.default_rng(3).random(200) < 0.3
    vectors[wrong] += 4
    weights = kernel_weights(index, distance, 0.1)
    error = {}
    for truncation in (0.5, 2.0, 8.0):
        settings = InterpolationSettings(truncation_px=truncation)
        models = robust_affine(points, vectors, index, weights, settings)
        error[truncation] = np.abs(models[:, :, 2] - affine_vectors(points)).mean()
    assert error[0.5] < error[2.0] < error[8.0]


@pytest.mark.parametrize("estimator", [nadaraya_watson, locally_weighted_affine, robust_affine])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_and_collinear_neighbours_give_finite_models(estimator, count):
    points = np.array([[5, 5], [6, 6], [9, 9]], np.float32)[:count]
    vectors = np.full((count, 2), 4, np.float32)
    index = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]], np.int32)[:count]
    index[index >= count] = -1
    index = -np.sort(-index[:, 1:], axis=1) if count == 1 else index
    index = np.column_stack([np.arange(count), index]).astype(np.int32)[:, :count]
    distance = np.abs(index - np.arange(count)[:, None]).astype(np.float32)
    models = estimator(points, vectors, index, kernel_weights(index, distance, A))
    np.testing.assert_allclose(models[:, :, 2], 4, rtol=1e-6)
    np.testing.assert_allclose(models[:, :, :2], 0, atol=1e-6)


def test_support_is_the_share_that_agrees_and_the_range_of_the_near():
    points, index, distance = neighbourhoods(count=6, n=6)
    vectors = np.zeros((6, 2), np.float32)
    confidence = np.full(6, 0.8, np.float32)
    models = nadaraya_watson(points, vectors, index, kernel_weights(index, distance, A))
    support, bounds = neighbour_support(
        points, vectors, confidence, index, kernel_weights(index, distance, A), models
    )
    np.testing.assert_allclose(support, 0.8, rtol=1e-6)
    assert (bounds == 0).all()
    vectors[index[0, 5]] = 30
    distance[0, 5] = 1e3  # too far to have made anything of the value
    support, bounds = neighbour_support(
        points, vectors, confidence, index, kernel_weights(index, distance, A), models
    )
    assert bounds[0].max() == 0 and bounds[index[0, 5]].max() == 30
    assert support[0] == pytest.approx(0.8, rel=1e-5)
