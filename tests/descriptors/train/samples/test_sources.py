"""Training samples: exact by number, right after cropping, flipping and halving."""

import cv2
import numpy as np
import pytest

from patchbatch.data.formats import write_flo
from patchbatch.data.scenes.render import ScenePair
from patchbatch.descriptors.train.samples.sources import (
    PairSource,
    _crop_pair,
    _halvings_of_pair,
    seen_once,
)
from patchbatch.descriptors.train.settings import SourceSettings
from patchbatch.errors import PatchBatchError


def photo(seed, size=(120, 160)):
    noise = np.random.default_rng(seed).random(size).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2) * 3 - 1


@pytest.fixture
def folders(tmp_path):
    """Photographs, driving frames, and one real pair (a shift by (6, -4)) in the chairs layout."""
    for name, count, size in (("photos", 21, (120, 160)), ("streets", 21, (120, 400))):
        (tmp_path / name).mkdir()
        for k in range(count):
            picture = np.clip(photo(k, size) * 255, 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{k:02}.png"), picture)
    data = tmp_path / "pairs" / "chairs" / "data"
    data.mkdir(parents=True)
    image = np.clip(photo(99, (220, 260)) * 255, 0, 255).astype(np.uint8)
    image = np.repeat(image[..., None], 3, axis=2)
    cv2.imwrite(str(data / "00001_img1.ppm"), image[10:210, 10:250])
    cv2.imwrite(str(data / "00001_img2.ppm"), image[14:214, 4:244])
    write_flo(data / "00001_flow.flo", np.full((200, 240, 2), (6, -4), np.float32))
    return tmp_path


def source(folders, seed=0, **changes):
    settings = SourceSettings(crop=70, **changes)
    return PairSource([folders / "photos"], [folders / "streets"], [folders / "pairs"], settings, seed, 50)


def warp_back(image2, flow):
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return cv2.remap(image2, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)


def test_a_sample_depends_on_seed_and_number_alone(folders):
    one, two = source(folders), source(folders)
    _ = one[3]
    for a, b in zip(one[7], two[7], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[7][0], source(folders, seed=1)[7][0])
    assert not np.array_equal(one[7][0], one[8][0])


@pytest.mark.parametrize(
    "kind", [{"real": 1.0, "street": 0.0}, {"real": 0.0, "street": 1.0}, {"real": 0.0, "street": 0.0}]
)
def test_samples_of_each_kind_match_where_visible(folders, kind):
    samples = source(folders, light=0.0, **kind)
    for index in range(6):
        image1, image2, flow, visible = samples[index]
        assert image1.shape == image2.shape == visible.shape == (70, 70)
        assert flow.shape == (70, 70, 2)
        assert image1.dtype == image2.dtype == flow.dtype == np.float32
        if visible.sum() > 100:
            # The two crops are standardised apart: compare after removing what that changes.
            warped = warp_back(image2, flow)[visible]
            assert np.corrcoef(warped, image1[visible])[0, 1] > 0.95


def test_light_changes_the_images_but_not_the_flow(folders):
    plain, changed = source(folders, light=0.0)[4], source(folders, light=1.0)[4]
    np.testing.assert_array_equal(plain[2], changed[2])
    assert not np.array_equal(plain[1], changed[1])


def test_held_out_photographs_are_others(folders):
    settings = SourceSettings(crop=70)
    seen = PairSource([folders / "photos"], [], [], settings, 0, 5)
    held = PairSource([folders / "photos"], [], [], settings, 0, 5, held_out=True)
    assert not set(seen.photo_files) & set(held.photo_files)
    assert len(held.photo_files) == 2


def test_no_photographs_is_told(tmp_path):
    with pytest.raises(PatchBatchError, match="no photographs"):
        PairSource([tmp_path], [], [], SourceSettings(), 0, 5)


def pair_with_ramp():
    """A pair whose flow names its own pixel, so that crops and flips show."""
    y, x = np.mgrid[:90, :100].astype(np.float32)
    flow = np.stack([5 + 0.1 * x, -3 + 0.05 * y], axis=-1)
    image = photo(5, (90, 100))
    return ScenePair(image, image, flow, (x + flow[..., 0] < 100) & (y + flow[..., 1] >= 0))


def test_crops_keep_the_meeting_of_points():
    """A scene point marked in both images: after crop and flip the flow still leads from mark to mark."""
    pair = pair_with_ramp()
    marked1, marked2 = np.zeros((90, 100), np.float32), np.zeros((90, 100), np.float32)
    marked1[40, 50] = 1
    target = np.rint(np.array([50, 40]) + pair.flow[40, 50]).astype(int)
    marked2[target[1], target[0]] = 1
    found = 0
    for seed in range(60):
        cut = _crop_pair(
            ScenePair(marked1, marked2, pair.flow, pair.visible), 40, np.random.default_rng(seed)
        )
        ys, xs = np.nonzero(cut.image1)
        if len(ys) == 1 and cut.visible[ys[0], xs[0]]:
            goal = np.rint(np.array([xs[0], ys[0]]) + cut.flow[ys[0], xs[0]]).astype(int)
            assert cut.image2[goal[1], goal[0]] == 1
            found += 1
    assert found > 5


def test_halving_halves_the_flow():
    pair = pair_with_ramp()
    half = _halvings_of_pair(pair)[1]
    assert half.image1.shape == half.visible.shape == (45, 50)
    np.testing.assert_allclose(half.flow, pair.flow[::2, ::2] / 2)


def test_seen_once_drops_both_claims_on_a_pixel():
    flow = np.zeros((1, 6, 2), np.float32)
    flow[0, 1, 0] = 3  # pixel 1 goes to 4, where pixel 4 stays
    valid = np.ones((1, 6), bool)
    valid[0, 5] = False
    np.testing.assert_array_equal(seen_once(flow, valid), [[True, False, True, True, False, False]])
