"""Hard scenes: exact flow, much that is hidden or leaves the frame, and large motions where they belong."""

import cv2
import numpy as np
import pytest

from patchbatch.data.scenes.hard import KINDS, hard_pair
from patchbatch.data.scenes.photometric import worsen_pair
from patchbatch.data.scenes.render import flow_at

SIZE = (96, 160)


def smooth_photo(seed, size):
    noise = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 1, cv2.NORM_MINMAX)


@pytest.fixture(scope="module")
def photos():
    return [smooth_photo(k, (120, 160)) for k in range(3)]


@pytest.fixture(scope="module")
def frames():
    return [smooth_photo(9, (120, 400))]


@pytest.fixture(scope="module")
def pairs(photos, frames):
    return {
        kind: [hard_pair(photos, frames, SIZE, np.random.default_rng(seed), kind) for seed in range(6)]
        for kind in KINDS
    }


def targets(pair):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    return pair.flow + np.stack([x, y], axis=-1)


def inside(pair):
    return ((targets(pair) >= 0) & (targets(pair) <= [SIZE[1] - 1, SIZE[0] - 1])).all(axis=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_visible_looks_the_same_in_both_frames(pairs, kind):
    for pair in pairs[kind]:
        assert pair.image1.shape == pair.image2.shape == (*SIZE, 3)
        assert pair.image1.dtype == pair.image2.dtype == pair.flow.dtype == np.float32
        assert pair.image1.min() >= 0 and pair.image1.max() <= 1.5
        assert np.isfinite(pair.flow).all()
        warped = cv2.remap(pair.image2, targets(pair), None, cv2.INTER_LINEAR)
        difference = np.abs(warped - pair.image1).mean(axis=-1)
        assert np.median(difference[pair.visible]) < 0.02
        assert not pair.visible[~inside(pair)].any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_hides_pixels_and_moves_others_out(pairs, kind):
    hidden = np.mean([(inside(pair) & ~pair.visible).mean() for pair in pairs[kind]])
    left = np.mean([(~inside(pair)).mean() for pair in pairs[kind]])
    assert hidden > 0.01
    assert left > 0.01


def test_streets_move_most_below_and_at_the_sides(pairs):
    speed = np.stack([np.linalg.norm(pair.flow, axis=-1) for pair in pairs["street"]])
    middle = speed[:, 32:64, 60:100].mean()
    assert speed[:, -16:].mean() > 2 * middle
    assert speed[:, :, [*range(16), *range(-16, 0)]].mean() > 2 * middle
    assert speed.max() > 0.15 * SIZE[1]


def test_a_pair_depends_on_the_seed_alone(photos, frames):
    first, again, other = (hard_pair(photos, frames, SIZE, np.random.default_rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.image2, again.image2)
    np.testing.assert_array_equal(first.flow, again.flow)
    assert not np.array_equal(first.image2, other.image2)


def test_worse_light_leaves_the_flow_alone(photos, pairs):
    before = pairs["layers"][0]
    unchanged = before.image1.copy()
    changed = 0
    for seed in range(20):
        pair, again = (worsen_pair(before, photos, np.random.default_rng(seed)) for _ in range(2))
        assert pair.flow is before.flow and pair.visible is before.visible
        assert pair.image1.dtype == pair.image2.dtype == np.float32
        assert pair.image2.min() >= 0 and pair.image2.max() <= 1
        np.testing.assert_array_equal(pair.image2, again.image2)
        changed += not np.array_equal(pair.image2, before.image2)
    np.testing.assert_array_equal(before.image1, unchanged)
    assert changed > 10


def test_nothing_moves_where_nothing_is_seen():
    assert np.isinf(flow_at([], np.zeros((2, 2)))).all()
