"""Descriptors to compare with: shapes, borders, invariances, known values, foreign code."""

import numpy as np
import pytest
import torch
from kornia.feature import TFeat
from safetensors.torch import save_file

from benchmarks.descriptors import sift
from benchmarks.descriptors.baselines import load_tfeat
from benchmarks.descriptors.daisy import daisy
from benchmarks.descriptors.rows import Contender
from benchmarks.descriptors.table import BASELINES
from patchbatch.descriptors.adapters import DenseDescriptor, PatchDescriptor
from patchbatch.errors import PatchBatchError

DIMENSIONS = {"sift": 128, "rootsift": 128, "daisy": 200, "patch": 225, "census": 62}
# Beyond this many px from the border no descriptor sees it.
MARGIN = 48


def hand_made(name: str, cell_px: float = 4.0) -> DenseDescriptor | PatchDescriptor:
    return BASELINES[name].load()(cell_px)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth noise of whole 8-bit levels, which SIFT rounds to, in a middle range."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(64, 128, (height, width))
    return ((coarse + np.roll(coarse, 1, 0) + np.roll(coarse, 1, 1)) // 3 / 256).astype(np.float32)


@pytest.mark.parametrize("name", DIMENSIONS)
@pytest.mark.parametrize("size", [(33, 47), (5, 3), (1, 1), (1, 9)])
def test_every_pixel_of_any_image_is_described(name: str, size: tuple[int, int]) -> None:
    described = hand_made(name).describe(noise(*size))
    assert described.shape == (*size, DIMENSIONS[name])
    assert torch.isfinite(described).all()


@pytest.mark.parametrize("name", DIMENSIONS)
def test_points_are_described_as_the_whole_image_has_them(name: str) -> None:
    image, descriptor = noise(30, 40), hand_made(name)
    points = np.array([[0, 0], [39, 29], [17, 4], [0, 0]])
    whole = descriptor.describe(image)
    at = Contender(name, descriptor).at(image, points)
    torch.testing.assert_close(at, whole[points[:, 1], points[:, 0]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", DIMENSIONS)
def test_descriptors_move_with_the_image(name: str) -> None:
    image, (dy, dx) = noise(110, 120), (4, 8)
    first = hand_made(name).describe(image)
    moved = hand_made(name).describe(np.roll(image, (dy, dx), (0, 1)))
    inner = slice(MARGIN, -MARGIN)
    torch.testing.assert_close(
        moved.roll((-dy, -dx), (0, 1))[inner, inner], first[inner, inner], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ["patch", "census", "daisy"])
def test_brightness_and_contrast_do_not_matter(name: str) -> None:
    image = noise(30, 40)
    first = hand_made(name).describe(image)
    other = hand_made(name).describe(np.float32(1.5) * image + np.float32(0.125))
    torch.testing.assert_close(other, first, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["sift", "daisy"])
def test_the_border_is_mirrored(name: str) -> None:
    image = noise(60, 70)
    mirrored = np.pad(image, 50, mode="reflect")
    inside = hand_made(name).describe(mirrored)[50:-50, 50:-50]
    torch.testing.assert_close(hand_made(name).describe(image), inside, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cell", [1.0, 4.0, 6.5])
def test_sift_keeps_all_keypoints_in_order(cell: float, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(20, 30)
    at_once = hand_made("sift", cell).describe(image)
    monkeypatch.setattr(sift, "KEYPOINTS_AT_ONCE", 37)
    assert torch.equal(hand_made("sift", cell).describe(image), at_once)
    y, x = 13, 21
    assert torch.equal(hand_made("sift", cell).at(image, np.array([[x, y]]))[0], at_once[y, x])


@pytest.mark.parametrize("cell", [4, 8])
def test_sift_cells_have_the_size_asked_for(cell: int) -> None:
    """An edge through the middle of a column of cells shows there, and not two columns away."""
    for column in range(4):
        image = np.zeros((81, 81), np.float32)
        image[:, 40 + int((column - 1.5) * cell) :] = 1
        cells = hand_made("sift", cell).describe(image)[40, 40].view(4, 4, 8).sum(dim=(0, 2))
        assert cells.argmax() == column
        far = [other for other in range(4) if abs(other - column) > 1]
        assert cells[far].sum() < 0.05 * cells.sum()


def test_rootsift_is_the_root_of_the_shares() -> None:
    image = noise(9, 8)
    sift, root = hand_made("sift").describe(image), hand_made("rootsift").describe(image)
    torch.testing.assert_close(root**2, sift / sift.sum(dim=2, keepdim=True))
    torch.testing.assert_close(root.norm(dim=2), torch.ones(9, 8))


def test_census_bits_of_a_ramp_and_their_distance() -> None:
    rows, columns = np.mgrid[:20, :30]
    ramp = ((rows * 30 + columns) / 600).astype(np.float32)
    described = hand_made("census").describe(ramp)
    # Rising in reading order: what stands before the pixel is darker.
    assert described[10, 15].tolist() == [1] * 31 + [0] * 31
    upside = hand_made("census").describe(1 - ramp)
    assert (described[10, 15] - upside[10, 15]).square().sum() == 62


def test_census_looks_at_nine_columns_and_seven_rows() -> None:
    image = np.full((20, 20), 0.5, np.float32)
    image[10, 10] = 0.25  # darker than each pixel that sees it
    seen = hand_made("census").describe(image).sum(dim=2)
    expected = torch.zeros(20, 20)
    expected[7:14, 6:15] = 1
    expected[10, 10] = 0
    assert torch.equal(seen, expected)


def test_patch_distance_is_zncc() -> None:
    image = noise(40, 40)
    described = hand_made("patch").describe(image)
    a, b = image[5:20, 10:25], image[20:35, 12:27]
    correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    distance = (described[12, 17] - described[27, 19]).square().sum()
    assert distance.item() == pytest.approx(2 - 2 * correlation, abs=1e-5)


@pytest.mark.parametrize("name", ["patch", "daisy"])
def test_a_flat_image_has_no_contrast_to_describe(name: str) -> None:
    described = hand_made(name).describe(np.full((20, 25), 0.7, np.float32))
    assert not described.any()


def test_daisy_of_a_ramp() -> None:
    """Constant derivative to the right: each histogram is max(cos, 0) over its length."""
    ramp = np.tile(np.arange(120, dtype=np.float32), (100, 1))
    expected = np.maximum(np.cos(2 * np.pi * np.arange(8) / 8), 0)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(daisy(ramp)[50, 60], np.tile(expected, 25), atol=1e-5)


def test_daisy_reads_its_rings_to_the_right_first_then_below() -> None:
    image = noise(120, 130)
    image[:, :70] = 0.5
    places = daisy(image).reshape(120, 130, 25, 8)
    y, x = 60, 50
    # The first ring has the blur of the centre, so it shows other pixels' centres.
    np.testing.assert_allclose(places[y, x + 20, 1], places[y, x + 25, 0], atol=1e-5)
    np.testing.assert_allclose(places[y, x + 20, 3], places[y + 5, x + 20, 0], atol=1e-5)
    # What lies at 15 px to the right of one pixel lies to the left of another.
    np.testing.assert_allclose(places[y, x, 17], places[y, x + 30, 21], atol=1e-5)
    np.testing.assert_allclose(places[y, x + 20, 19], places[y + 30, x + 20, 23], atol=1e-5)
    outer = np.linalg.norm(places[y, x, 17:], axis=1)
    assert outer[0] > 0.99  # it reaches into the noise
    assert outer[4] == 0


def test_tfeat_gives_what_kornia_gives(tmp_path) -> None:
    torch.manual_seed(0)
    network = TFeat(pretrained=False).eval()
    save_file(network.state_dict(), tmp_path / "tfeat.safetensors")
    image = noise(40, 50)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image[4:36, 3:35])[None, None])[0]
    described = load_tfeat(tmp_path / "tfeat.safetensors").at(image, np.array([[19, 20]]))
    torch.testing.assert_close(described[0], expected, rtol=1e-4, atol=1e-5)


def test_weights_that_are_not_tfeats_are_refused(tmp_path) -> None:
    bad = tmp_path / "bad.safetensors"
    with pytest.raises(PatchBatchError, match=r"bad\.safetensors"):
        load_tfeat(bad)
    bad.write_bytes(b"not weights at all")
    with pytest.raises(PatchBatchError, match="does not hold TFeat's weights"):
        load_tfeat(bad)
    save_file({"weight": torch.zeros(1)}, bad)
    with pytest.raises(PatchBatchError, match="does not hold TFeat's weights"):
        load_tfeat(bad)


def test_the_table_says_how_many_numbers_there_are() -> None:
    for name, dimension in DIMENSIONS.items():
        assert hand_made(name).dimension == dimension
        assert f"{dimension} numbers" in BASELINES[name].help
