"""Refinement: fixed points, a known shift, falling energy, small and malformed input."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from flow.refinement.settings import PRESETS, RefinementSettings
from flow.refinement.stage import refine
from flow.refinement.table import REFINEMENTS
from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in


def wave(x, y):
    """Return a smooth texture in [0, 1] that can be sampled anywhere."""
    a = np.sin(0.31 * x + 0.17 * y) + np.sin(0.23 * y - 0.11 * x + 1) + np.sin(0.41 * x - 0.37 * y + 2)
    return (0.5 + a / 6).astype(np.float32)


def pair(u, v, shape=(48, 64)):
    """Return two images between which everything moves by (u, v) px."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return wave(x, y), wave(x - u, y - v)


def constant(u, v, shape=(48, 64)):
    return np.broadcast_to(np.array([u, v], np.float32), (*shape, 2))


def energy(flow, image1, image2, settings):
    """Return E(flow) on grey images, written from its definition: warp, residuals, robust sums."""

    def derivative(image, kernel):
        return cv2.filter2D(image, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)

    row = np.array([[1, -8, 0, 8, -1]]) / 12
    size = 2 * (int(3 * settings.sigma) + 1) + 1
    first, second = (
        cv2.GaussianBlur(
            i.astype(np.float64) * 255, (size, size), settings.sigma, borderType=cv2.BORDER_REPLICATE
        )
        for i in (image1, image2)
    )
    height, width = first.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    sx, sy = x + flow[..., 0], y + flow[..., 1]
    inside = (sx >= 0) & (sx <= width - 1) & (sy >= 0) & (sy <= height - 1)
    x0, y0 = np.clip(sx, 0, width - 2).astype(int), np.clip(sy, 0, height - 2).astype(int)
    fx, fy = np.clip(sx, 0, width - 1) - x0, np.clip(sy, 0, height - 1) - y0
    top = second[y0, x0] * (1 - fx) + second[y0, x0 + 1] * fx
    bottom = second[y0 + 1, x0] * (1 - fx) + second[y0 + 1, x0 + 1] * fx
    warped = top * (1 - fy) + bottom * fy
    mean, change = (first + warped) / 2, warped - first
    squares = 0
    for kernel in (row, row.T):
        of_mean = derivative(mean, kernel)
        norm = derivative(of_mean, row) ** 2 + derivative(of_mean, row.T) ** 2 + 0.01
        squares = squares + derivative(change, kernel) ** 2 / norm
    data = settings.gamma / 6 * np.sqrt(3 * squares + 1e-6)
    luminance = first / 255
    phi = np.exp(-5 * np.hypot(derivative(luminance, row), derivative(luminance, row.T)))
    across = np.diff(flow, axis=1, append=flow[:, -1:]) ** 2
    down = np.diff(flow, axis=0, append=flow[-1:]) ** 2
    smooth = settings.alpha * phi * np.sqrt((across + down).sum(axis=2) + 1e-6)
    return (data * inside).sum() + smooth.sum()


def moves_kept(monkeypatch, moves, reach_px):
    """Return which part is kept of moves (N, 2) that a refinement makes."""
    image, start = pair(0, 0, (1, len(moves)))[0], constant(7, -3, (1, len(moves)))
    made = (start + np.float32(moves)[None]).astype(np.float32)
    monkeypatch.setattr(type(REFINEMENTS["variational"]), "load", lambda entry: lambda *given: made)
    kept = refine(start, image, image, RefinementSettings(reach_px=reach_px))
    assert kept.dtype == np.float32
    return np.linalg.norm(kept - start, axis=-1)[0] / np.linalg.norm(moves, axis=1)


def test_moves_beyond_reach_are_taken_back(monkeypatch):
    """A move d is kept by 1 / (1 + (d / reach)^4), whatever its direction."""
    moves = np.array([[0.2, 0], [0, -1], [1.2, 1.6], [-4, 0], [0, 40]])
    lengths = np.array([0.2, 1, 2, 4, 40])
    kept = moves_kept(monkeypatch, moves, 2.0)
    np.testing.assert_allclose(kept, 1 / (1 + (lengths / 2) ** 4), rtol=1e-3, atol=1e-5)
    assert kept[0] > 0.999 and kept[2] == pytest.approx(0.5) and kept[-1] < 1e-4


def test_an_infinite_reach_takes_nothing_back(monkeypatch):
    moves = np.array([[0.2, 0], [0, 40], [3e4, 0]])
    np.testing.assert_allclose(moves_kept(monkeypatch, moves, np.inf), 1, rtol=1e-6)


def test_reach_holds_for_every_method_and_brings_the_flow_back():
    image1, image2 = pair(0.6, -0.4)
    for method in REFINEMENTS:
        free = refine(constant(0, 0), image1, image2, RefinementSettings(method=method))
        held = refine(constant(0, 0), image1, image2, RefinementSettings(method=method, reach_px=0.05))
        assert np.abs(free[8:-8, 8:-8]).mean() > 0.15
        assert np.abs(held).max() < 0.05


@pytest.mark.parametrize("channels", [None, 3])
def test_still_images_stay_still(channels):
    image, _ = pair(0, 0)
    if channels:
        image = np.repeat(image[..., None], channels, axis=2)
    assert not refine(constant(0, 0), image, image).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_shift_of_part_of_a_pixel_is_found(preset):
    image1, image2 = pair(0.6, -0.4)
    refined = refine(constant(0, 0), image1, image2, PRESETS[preset])
    error = np.linalg.norm(refined - constant(0.6, -0.4), axis=2)[6:-6, 6:-6]
    assert error.mean() < 0.35 * np.hypot(0.6, 0.4)  # two warps at sigma 1.7 leave a third


def test_a_start_near_a_larger_shift_gets_nearer():
    image1, image2 = pair(5.3, 2.2)
    refined = refine(constant(5, 3), image1, image2, RefinementSettings(outer_iterations=15))
    error = np.linalg.norm(refined - constant(5.3, 2.2), axis=2)[8:-8, 8:-8]
    assert error.mean() < 0.1


def test_brightness_constancy_alone_finds_a_shift():
    image1, image2 = pair(0.4, 0.3)
    settings = RefinementSettings(gamma=0, delta=1, outer_iterations=10)
    error = np.linalg.norm(refine(constant(0, 0), image1, image2, settings) - constant(0.4, 0.3), axis=2)
    assert error[6:-6, 6:-6].mean() < 0.1


def test_energy_falls():
    image1, image2 = pair(1.2, -0.7)
    noise = np.random.default_rng(0).normal(size=(48, 64, 2)).astype(np.float32) * 0.3
    start = constant(1, -0.5) + noise
    settings = RefinementSettings()
    values = [
        energy(refine(start, image1, image2, replace(settings, outer_iterations=n)), image1, image2, settings)
        for n in (0, 1, 3, 10)
    ]
    assert values[1] < 0.6 * values[0]
    assert values[3] < values[2] < values[1]


def test_without_data_the_flow_only_gets_smoother():
    flat = np.full((20, 30), 0.5, np.float32)
    start = np.random.default_rng(1).normal(size=(20, 30, 2)).astype(np.float32)
    refined = refine(start, flat, flat, RefinementSettings(outer_iterations=20))
    assert refined.std(axis=(0, 1)).max() < 0.3
    assert start.min() < refined.min() and refined.max() < start.max()


def test_grey_equals_repeated_grey():
    image1, image2 = pair(0.5, 0.5)
    colour1, colour2 = (np.repeat(i[..., None], 3, axis=2) for i in (image1, image2))
    grey = refine(constant(0, 0), image1, image2)
    np.testing.assert_allclose(grey, refine(constant(0, 0), colour1, colour2), atol=1e-3)


def test_the_input_is_left_alone_and_zero_iterations_return_it():
    image1, image2 = pair(0.5, 0.5)
    start = np.array(constant(0.1, 0.2))
    same = refine(start, image1, image2, RefinementSettings(outer_iterations=0))
    refine(start, image1, image2)
    np.testing.assert_array_equal(same, start)
    np.testing.assert_array_equal(start, constant(0.1, 0.2))


def test_motion_that_leaves_the_image_is_finite():
    image1, image2 = pair(0, 0)
    refined = refine(constant(1000, -1000), image1, image2)
    np.testing.assert_allclose(refined, constant(1000, -1000), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 9), (9, 1)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_smallest_images(shape, channels):
    generator = np.random.default_rng(2)
    image1, image2 = (generator.random(shape + channels).astype(np.float32) for _ in range(2))
    refined = refine(generator.random((*shape, 2)).astype(np.float32), image1, image2)
    assert refined.shape == (*shape, 2) and refined.dtype == np.float32 and np.isfinite(refined).all()


def test_same_bytes_for_any_number_of_threads():
    image1, image2 = pair(0.7, 0.1)
    results = []
    for threads in (1, 3):
        with loops_in(threads):
            results.append(refine(constant(0, 0), image1, image2))
    np.testing.assert_array_equal(*results)


def test_malformed_input_is_named():
    image, flow = np.zeros((4, 5), np.float32), np.zeros((4, 5, 2), np.float32)
    with pytest.raises(PatchBatchError, match="image 2"):
        refine(flow, image, image[:3])
    with pytest.raises(PatchBatchError, match="flow has shape"):
        refine(flow[:3], image, image)
    with pytest.raises(PatchBatchError, match="not finite"):
        refine(np.full_like(flow, np.nan), image, image)
    with pytest.raises(PatchBatchError, match="omega"):
        RefinementSettings(omega=2)
    with pytest.raises(PatchBatchError, match="alpha"):
        RefinementSettings(alpha=-1)
    with pytest.raises(PatchBatchError, match="magic"):
        RefinementSettings(method="magic")
    with pytest.raises(PatchBatchError, match="trust"):
        RefinementSettings(trust=1.5)
    with pytest.raises(PatchBatchError, match="confidence"):
        refine(flow, image, image, None, np.ones((2, 2), np.float32))


def grainy_pair(u, v):
    """As `pair`, of smoothed noise, whose gradients are steep enough for OpenCV's weights."""
    noise = cv2.GaussianBlur(np.random.default_rng(5).random((48, 64)).astype(np.float32), (0, 0), 1.5)
    image = cv2.normalize(noise, None, 0, 1, cv2.NORM_MINMAX)
    shift = np.array([[1, 0, u], [0, 1, v]], np.float32)
    moved = cv2.warpAffine(image, shift, (64, 48), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return image, np.clip(moved, 0, 1)


def test_pixels_without_trust_are_left_alone():
    image1, image2 = grainy_pair(0.6, -0.4)
    confidence = np.ones((48, 64), np.float32)
    confidence[:, 40:] = 0.1
    for method in list(REFINEMENTS):
        settings = RefinementSettings(trust=0.5, method=method)
        refined = refine(constant(0, 0), image1, image2, settings, confidence)
        assert not refined[:, 40:].any()
        error = np.linalg.norm(refined - constant(0.6, -0.4), axis=2)[8:40, 8:30]
        assert error.mean() < 0.8 * np.hypot(0.6, 0.4)


def test_between_no_trust_and_trust_a_pixel_moves_by_a_share():
    images, still = grainy_pair(0.6, -0.4), constant(0, 0)
    settings = RefinementSettings(trust=0.5, method="opencv")
    confidence = np.ones((48, 64), np.float32)
    whole = refine(still, *images, settings, confidence)
    for trusted, share in ((0.39, 0), (0.45, 0.25), (0.5, 0.5), (0.55, 0.75), (0.61, 1)):
        confidence[:] = trusted
        np.testing.assert_allclose(refine(still, *images, settings, confidence), share * whole, atol=1e-5)


def test_data_of_pixels_without_trust_do_not_count():
    image1, image2 = pair(0.6, -0.4)
    hidden = np.zeros((48, 64), np.float32)
    blind = refine(constant(0.2, 0), image1, image2, RefinementSettings(data_trust=0.5), hidden)
    np.testing.assert_allclose(blind, constant(0.2, 0), atol=1e-6)
    hidden[20:28] = 1
    seen = refine(constant(0.2, 0), image1, image2, RefinementSettings(data_trust=0.5), hidden)
    assert abs(seen[20:28, 8:-8, 0].mean() - 0.6) < 0.2


def test_full_trust_changes_nothing():
    image1, image2 = pair(0.6, -0.4)
    settings = RefinementSettings(trust=0.5, data_trust=0.5)
    held = refine(constant(0, 0), image1, image2, settings, np.ones((48, 64), np.float32))
    np.testing.assert_array_equal(held, refine(constant(0, 0), image1, image2))


@pytest.mark.parametrize("channels", [None, 3])
def test_opencv_finds_a_shift_and_leaves_the_input_alone(channels):
    images = grainy_pair(0.6, -0.4)
    if channels:
        images = tuple(np.repeat(i[..., None], channels, axis=2) for i in images)
    start = np.array(constant(0, 0))
    settings = RefinementSettings(method="opencv")
    refined = refine(start, *images, settings)
    error = np.linalg.norm(refined - constant(0.6, -0.4), axis=2)[8:-8, 8:-8]
    assert error.mean() < 0.75 * np.hypot(0.6, 0.4)  # its smoothness is strong: it takes small steps
    assert not start.any()
    np.testing.assert_array_equal(refined, refine(start, *images, settings))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5)])
def test_opencv_bears_the_smallest_images(shape):
    image1, image2 = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    refined = refine(np.zeros((*shape, 2), np.float32), image1, image2, RefinementSettings(method="opencv"))
    assert refined.shape == (*shape, 2) and np.isfinite(refined).all()
