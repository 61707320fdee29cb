"""What a result can do for whoever has it."""

import cv2
import numpy as np
import pytest
import torch

from flow.matching.matches import Matches
from flow.results.result import FlowResult
from flow.results.warping import warp
from flow.synthetic import demo_scene
from flow.visualize import flow_to_color
from patchbatch.data import read_flow
from patchbatch.errors import PatchBatchError


@pytest.fixture(scope="module")
def scene():
    return demo_scene(64, 80)


@pytest.fixture
def result(scene):
    """A result with the true flow of the scene, known but for a corner."""
    valid = np.ones(scene.flow.shape[:2], np.bool_)
    valid[:5, :5] = False
    points = np.float32([[10, 20], [30, 40], [50, 8]])
    sure = np.float32([0.5, 0.9, 0.2])
    matches = Matches(points, points + np.float32([1.5, -2]), np.zeros(3, np.float32), sure)
    return FlowResult(scene.flow.astype(np.float32), valid, valid.astype(np.float32), matches, True, {})


def test_warping_by_the_true_flow_brings_image_1_back(scene, result):
    back = result.warp(scene.image2)
    seen = result.valid & scene.visible
    before, after = (np.abs(image - scene.image1)[seen].mean() for image in (scene.image2, back))
    assert after < before / 5
    assert (back[:5, :5] == 0).all() and (result.warp(scene.image2, fill=0.5)[:5, :5] == 0.5).all()
    as_tensor = torch.from_numpy(np.moveaxis(scene.image2, 2, 0).copy())
    np.testing.assert_array_equal(result.warp(as_tensor), back)


def test_warping_is_bilinear_between_pixels():
    image = np.random.default_rng(0).random((9, 12, 3), np.float32)
    flow = np.random.default_rng(1).uniform(-3, 3, (9, 12, 2)).astype(np.float32)
    flow = np.round(flow * 32) / 32  # OpenCV's steps
    x, y = np.meshgrid(np.arange(12, dtype=np.float32), np.arange(9, dtype=np.float32))
    there = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    ours = warp(image, flow)
    inside = (
        (x + flow[..., 0] >= 0) & (x + flow[..., 0] <= 11) & (y + flow[..., 1] >= 0) & (y + flow[..., 1] <= 8)
    )
    np.testing.assert_allclose(ours[inside], there[inside], atol=1e-5)
    assert (ours[~inside] == 0).all() and inside.any() and not inside.all()
    np.testing.assert_array_equal(warp(image, np.zeros((9, 12, 2))), image)
    np.testing.assert_array_equal(
        warp(image[..., 0], np.full((9, 12, 2), [2, 1]))[:-1, :-2], image[1:, 2:, 0]
    )


def test_warping_refuses_what_does_not_fit(scene, result):
    with pytest.raises(PatchBatchError, match="has shape"):
        result.warp(scene.image2[:9])
    with pytest.raises(PatchBatchError, match="fill is 2"):
        result.warp(scene.image2, fill=2)


def test_colour_and_file(tmp_path, result):
    np.testing.assert_array_equal(result.color(9.0), flow_to_color(result.flow, result.valid, 9.0))
    for suffix in (".flo", ".npz", ".png", ".pfm"):
        result.save(tmp_path / f"f{suffix}")
        flow, valid = read_flow(tmp_path / f"f{suffix}")
        np.testing.assert_allclose(flow[result.valid], result.flow[result.valid], atol=1 / 64)
        assert suffix == ".pfm" or (valid == result.valid).all()
    with pytest.raises(PatchBatchError, match="jpg"):
        result.save(tmp_path / "f.jpg")
    assert not (tmp_path / "f.jpg").exists()


def test_key_points_are_those_that_opencv_draws(result):
    first, second, pairs = result.to_keypoints()
    assert [one.pt for one in first] == [(30, 40), (10, 20), (50, 8)]  # the most confident first
    assert [one.pt for one in second] == [(31.5, 38), (11.5, 18), (51.5, 6)]
    assert [(pair.queryIdx, pair.trainIdx) for pair in pairs] == [(0, 0), (1, 1), (2, 2)]
    np.testing.assert_allclose([pair.distance for pair in pairs], [0.1, 0.5, 0.8], atol=1e-6)
    grey = np.zeros((64, 80), np.uint8)
    assert cv2.drawMatches(grey, first, grey, second, pairs, None).shape == (64, 160, 3)
    assert [len(part) for part in result.to_keypoints(least_confidence=0.5)] == [2, 2, 2]
    assert [len(part) for part in result.to_keypoints(most=1)] == [1, 1, 1]
    assert result.to_keypoints(most=0) == ([], [], [])
    for wrong in ({"least_confidence": 2}, {"most": -1}, {"most": 1.5}):
        with pytest.raises(PatchBatchError, match="; give"):
            result.to_keypoints(**wrong)
