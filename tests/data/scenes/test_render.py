"""Made scenes: flow and visibility are exact."""

import cv2
import numpy as np
import pytest

from flow.synthetic import demo_scene
from patchbatch.data.scenes.motion import layered_pair, street_pair
from patchbatch.data.scenes.render import Surface, render_pair


def smooth_texture(seed, size=(80, 100)):
    noise = np.random.default_rng(seed).random(size).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2.5)


def shifted(x, y):
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def layer(texture, motion, rank, mask=None):
    nearness = np.array([0.0, 0.0, 1.0 + rank])
    return Surface(texture, (np.eye(3), np.linalg.inv(motion)), (nearness, nearness), mask)


def test_two_layers_by_hand():
    mask = np.zeros((80, 100), bool)
    mask[20:40, 30:50] = True
    ground = layer(smooth_texture(0), np.eye(3), 0)
    square = layer(smooth_texture(1), shifted(10, 4), 1, mask)
    pair = render_pair([ground, square], (80, 100), origin2=(0, 0))
    expected = np.zeros((80, 100, 2), np.float32)
    expected[mask] = 10, 4
    np.testing.assert_allclose(pair.flow, expected, atol=1e-4)
    hidden = np.zeros((80, 100), bool)
    hidden[24:44, 40:60] = True  # where the square goes; its own pixels stay visible
    np.testing.assert_array_equal(pair.visible, ~hidden | mask)
    np.testing.assert_array_equal(pair.image2[24:44, 40:60], pair.image1[20:40, 30:50])


def test_what_leaves_the_frame_is_not_visible():
    pair = render_pair([layer(smooth_texture(0), shifted(7, 0), 0)], (80, 100), origin2=(0, 0))
    np.testing.assert_array_equal(pair.visible, np.broadcast_to(np.arange(100) + 7 <= 99, (80, 100)))


def test_the_second_window_follows_the_motion():
    pair = render_pair([layer(smooth_texture(0), shifted(12.25, -3), 0)], (80, 100))
    np.testing.assert_allclose(pair.flow, np.broadcast_to([0.25, 0], (80, 100, 2)), atol=1e-4)


def warp_back(pair):
    height, width = pair.visible.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(pair.image2, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR)


@pytest.mark.parametrize("kind", ["layers", "street"])
@pytest.mark.parametrize("seed", range(4))
def test_random_scenes_look_the_same_where_they_are_visible(kind, seed):
    rng = np.random.default_rng(seed)
    textures = [smooth_texture(k, (120, 160)) for k in range(3)]
    if kind == "layers":
        pair = layered_pair(textures, (90, 90), rng)
    else:
        pair = street_pair(smooth_texture(9, (150, 400)), textures, (90, 90), rng)
    assert np.isfinite(pair.flow).all()
    if not pair.visible.any():
        return
    difference = np.abs(warp_back(pair) - pair.image1)
    # A border between layers falls between pixels; all else differs by resampling alone.
    assert np.median(difference[pair.visible]) < 0.01
    hidden = ~pair.visible
    assert difference[pair.visible].mean() < 0.02 + 0.5 * difference[hidden].mean() if hidden.any() else True


def test_random_scenes_depend_on_the_seed_alone():
    textures = [smooth_texture(k, (120, 160)) for k in range(3)]
    first, again, other = (layered_pair(textures, (60, 60), np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.image2, again.image2)
    assert not np.array_equal(first.image2, other.image2)


def test_demo_scene_is_what_it_says():
    scene = demo_scene()
    speed = np.hypot(*np.moveaxis(scene.flow, -1, 0))
    assert scene.image1.shape == (300, 400, 3)
    assert 30 < speed.max() <= 40
    assert 0.05 < 1 - scene.visible.mean() < 0.3
    difference = np.abs(warp_back(scene) - scene.image1).mean(axis=2)
    assert difference[scene.visible].mean() < 0.01
    np.testing.assert_array_equal(demo_scene().image1, scene.image1)


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_small_demo_scenes_move_less(size):
    scene = demo_scene(*size)
    assert np.hypot(*np.moveaxis(scene.flow, -1, 0)).max() < 0.25 * size[0]
