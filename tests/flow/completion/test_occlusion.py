"""Occlusion in scenes small enough to be told by hand, and where the pipeline knows it."""

import numpy as np
import pytest

from flow.completion.occlusion import covered_pixels, landing_pixels, occlusion_evidence, with_what_leaves
from flow.pipeline import estimate_flow
from flow.synthetic import demo_scene
from patchbatch.errors import PatchBatchError


def moving_bar(confidence_of_the_bar=0.9):
    """A bar of columns 4 to 7 that moves 6 px to the right in front of a still ground."""
    flow, confidence = np.zeros((12, 20, 2), np.float32), np.full((12, 20), 0.5, np.float32)
    flow[:, 4:8, 0], confidence[:, 4:8] = 6, confidence_of_the_bar
    return flow, confidence


def test_what_another_motion_lands_on_is_covered():
    flow, confidence = moving_bar()
    covered = covered_pixels(flow, confidence, *landing_pixels(flow))
    expected = np.zeros((12, 20), np.bool_)
    expected[:, 10:14] = True
    np.testing.assert_array_equal(covered, expected)
    evidence = occlusion_evidence(flow, confidence)
    assert evidence[6, 12] > 0.5 > evidence[6, 16] > evidence[6, 5]


def test_the_less_confident_one_covers_nothing():
    flow, confidence = moving_bar(0.2)
    covered = covered_pixels(flow, confidence, *landing_pixels(flow))
    expected = np.zeros((12, 20), np.bool_)
    expected[:, 4:8] = True
    np.testing.assert_array_equal(covered, expected)


def test_neighbours_that_move_alike_do_not_cover_each_other():
    flow = np.zeros((8, 9, 2), np.float32)
    flow[..., 0] = -np.arange(9) / 2  # shrinks to half
    confidence = np.random.default_rng(0).random((8, 9), dtype=np.float32)
    assert not covered_pixels(flow, confidence, *landing_pixels(flow)).any()


def test_what_leaves_the_frame_is_not_seen_and_covers_nothing():
    flow = np.zeros((6, 10, 2), np.float32)
    flow[:, 8:, 0] = 5
    flow[0, 3] = (0, -4)
    evidence = occlusion_evidence(flow, np.ones((6, 10), np.float32))
    assert (evidence[:, 8:] > 0.9).all() and evidence[0, 3] > 0.9
    assert (evidence[1:, :8] < 0.1).all()
    assert evidence.dtype == np.float32


def test_doubt_raises_it():
    flow, doubts = np.zeros((1, 3, 2), np.float32), np.array([[1, 0.5, 0]], np.float32)
    assert (np.diff(occlusion_evidence(flow, doubts)) > 0).all()


def test_shapes_that_do_not_fit():
    with pytest.raises(PatchBatchError, match="the flow has shape"):
        occlusion_evidence(np.zeros((4, 5, 2), np.float32), np.zeros((5, 4), np.float32))


def test_the_pipeline_knows_it_of_its_own_dense_flow_only():
    scene = demo_scene(48, 64)
    images = scene.image1, scene.image2
    found = estimate_flow(*images)
    assert found.occluded is not None
    assert found.occluded.shape == (48, 64) and 0 <= found.occluded.min() < found.occluded.max() <= 1
    for others in ({"interpolate": False}, {"matches": found.matches}, {"initial_flow": found.flow}):
        assert estimate_flow(*images, **others).occluded is None


def test_what_the_flow_itself_takes_out_of_the_frame_is_not_seen():
    flow, unseen = np.zeros((4, 6, 2), np.float32), np.full((4, 6), 0.1, np.float32)
    flow[:, 5, 0] = 3
    told = with_what_leaves(unseen, flow, np.full((4, 6), 0.8, np.float32))
    np.testing.assert_allclose(told[:, 5], 0.8)
    np.testing.assert_allclose(told[:, :5], 0.1)
    assert (with_what_leaves(unseen, flow, np.zeros((4, 6), np.float32)) == unseen).all()
