"""What the choice looks at: units, trust, colours."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from completion_scenes import random_cells, random_judged, random_scene

from flow.completion.scene import Scene, scene_of
from flow.matching.seeds import DenseMatches

SHAPE = (30, 44)


def scene_with(image, judged=None) -> Scene:
    rng = np.random.default_rng(0)
    judged = judged or random_judged(rng, SHAPE)
    some = torch.zeros(*SHAPE, 3)
    return scene_of(image, image, some, some, judged, random_cells(rng, judged.matches, SHAPE))


def test_costs_are_in_units_of_the_usual_one():
    scene = random_scene(0)
    judged = scene.judged
    assert scene.cost_scale == np.median(judged.dense.forward.cost[judged.keep])
    none = replace(judged, keep=np.zeros_like(judged.keep))
    cells, described = scene.cells, torch.zeros(*SHAPE, 3)
    assert scene_of(scene.image1, scene.image2, described, described, none, cells).cost_scale == 1


def test_costs_of_nothing_still_divide():
    scene = random_scene(0)
    scene.judged.dense.forward.cost[:] = 0
    made = scene_with(scene.image1, scene.judged)
    assert made.cost_scale > 0


def test_what_comes_back_is_trusted():
    """A backward match that comes back r px off counts exp(-r / 3), one without a cost nothing."""
    judged = random_scene(0).judged
    forward, backward = judged.dense.forward, judged.dense.backward
    forward.vectors[:], backward.vectors[:] = (1, 0), (-1, 0)
    forward.cost[:] = backward.cost[:] = 1
    backward.vectors[5, 5] = (2, 4)  # 5 px off
    backward.vectors[7, 7] = (99, 0)
    backward.cost[2, 2] = np.inf
    judged = replace(judged, keep=np.isfinite(forward.cost), dense=DenseMatches(forward, backward))
    trust = scene_with(np.zeros(SHAPE, np.float32), judged).backward_trust
    assert trust.dtype == np.float32
    assert trust[4, 4] == 1 and trust[2, 2] == 0
    assert trust[5, 5] == pytest.approx(np.exp(-5 / 3), rel=1e-5)
    assert trust[7, 7] == pytest.approx(np.exp(-10), rel=1e-5)


def test_colours_are_slightly_smoothed_and_grey_is_three_alike():
    spot = np.zeros(SHAPE, np.float32)
    spot[10, 10] = 1
    made = scene_with(spot).image1
    assert made.shape == (*SHAPE, 3) and made.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_allclose(made[..., channel], cv2.GaussianBlur(spot, (0, 0), 1), atol=1e-7)
    assert scene_with(spot).shape == SHAPE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_descriptors_are_kept_as_they_are_stored(dtype):
    scene = random_scene(0, dtype=dtype)
    assert scene.descriptors1.shape == (*SHAPE, 6)
    assert scene.descriptors1.itemsize == torch.empty(0, dtype=dtype).element_size()
