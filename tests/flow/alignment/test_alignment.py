"""Turning image 2 back: what is found, what is refused, and that both directions of it fit each other."""

import logging
import math

import cv2
import numpy as np
import pytest

import flow.pipeline as module
from flow.alignment import Alignment, AlignmentSettings, find_alignment
from flow.alignment.stage import is_sane
from flow.arguments import build_parser
from flow.cli import main, resolved_settings
from flow.cost import StageCost
from flow.pipeline import estimate_flow
from flow.settings import FlowSettings, flow_settings
from patchbatch.data.images import write_image
from tests.helpers.flow_cases import (
    HEIGHT,
    WIDTH,
    about_the_middle,
    flow_case,
    moved,
    pixels,
    plane,
    texture,
    turned,
)


def in_bytes(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def still(case):
    return np.zeros((HEIGHT, WIDTH, 2), np.float32)


@pytest.mark.parametrize("degrees", [25, -40, 90, 180])
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.8])
def test_turn_and_zoom_are_found(degrees, factor):
    case = plane(about_the_middle(degrees=degrees, factor=factor), 1)
    found = find_alignment(case.image1, case.image2)
    off = np.linalg.norm(found.flow(still(case)) - case.flow, axis=-1)[case.counted]
    assert off.mean() < 1
    assert abs((found.degrees + degrees + 180) % 360 - 180) < 1  # OpenCV turns the other way round


def test_grey_images_and_large_ones():
    """Large images are looked at in a smaller copy; places are those of the image itself."""
    case = turned(40)
    large1, large2 = (
        cv2.resize(image, None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
        for image in (case.image1, case.image2)
    )
    grey = find_alignment(case.image1.mean(-1), case.image2.mean(-1))
    large = find_alignment(large1, large2)
    points = np.float32([[40, 50], [200, 100], [160, 120]])
    np.testing.assert_allclose(large.points(6 * points + 2.5), 6 * grey.points(points) + 2.5, atol=9)


@pytest.mark.parametrize(
    "name", ["scene_cut", "out_of_sight", "negative", "same", "rotation_10", "page_of_like_lines"]
)
def test_nothing_is_found_where_nothing_is_turned(name):
    case = flow_case(name)
    if name == "rotation_10":
        case = turned(4)
    assert find_alignment(case.image1, case.image2) is None


def test_a_picture_in_a_mirror_is_found():
    image = texture(1)[:HEIGHT, :WIDTH]
    found = find_alignment(image, image[:, ::-1].copy())
    x, y = pixels(HEIGHT, WIDTH)[..., 0], np.zeros((HEIGHT, WIDTH))
    off = np.linalg.norm(found.flow(still(None)) - np.dstack([WIDTH - 1 - 2 * x, y]), axis=-1)
    assert off.max() < 1


@pytest.mark.slow
def test_the_flow_of_a_mirrored_pair_is_right():
    image = in_bytes(texture(1)[:HEIGHT, :WIDTH])
    result = estimate_flow(image, image[:, ::-1].copy())
    x, y = pixels(HEIGHT, WIDTH)[..., 0], np.zeros((HEIGHT, WIDTH))
    assert np.linalg.norm(result.flow - np.dstack([WIDTH - 1 - 2 * x, y]), axis=-1).mean() < 0.5
    assert np.linalg.det(result.homography[:2, :2]) < 0


def test_flat_images_have_no_features():
    flat = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    assert find_alignment(flat, flat) is None
    assert find_alignment(flat, flow_case("rotation_45").image2.mean(-1)) is None


def test_evidence_can_be_asked_for():
    case = turned(45)
    assert find_alignment(case.image1, case.image2, AlignmentSettings(least_inliers=5000)) is None


def test_what_is_turned_inside_out_is_not_believed():
    shape = (HEIGHT, WIDTH)
    tipped = np.array([[1.3, 0, 0], [0, 1.3, 0], [-0.99 / WIDTH, 0, 1]])
    assert not is_sane(tipped, shape)
    assert not is_sane(np.diag([-1.5, 1.5, 1.0]), shape)
    assert not is_sane(np.diag([20.0, 20.0, 1.0]), shape)
    assert not is_sane(np.eye(3), shape)
    assert is_sane(np.diag([1.5, 1.5, 1.0]), shape)


def test_pixels_of_the_aligned_image_are_where_it_says():
    """Twice the size: the aligned image is image 2 at every second pixel, and a flow goes on from there."""
    image2 = cv2.GaussianBlur(texture(2)[:HEIGHT, :WIDTH], (0, 0), 4)
    alignment = Alignment(np.diag([2.0, 2.0, 1.0]))
    seen = alignment.applied_to(image2)
    np.testing.assert_allclose(seen[: HEIGHT // 2, : WIDTH // 2], image2[::2, ::2], atol=0.02)
    np.testing.assert_allclose(seen[HEIGHT // 2 + 3 :], image2.mean(), atol=1e-4)
    flow = np.full((HEIGHT, WIDTH, 2), [3, -1], np.float32)
    places = pixels(HEIGHT, WIDTH)
    np.testing.assert_allclose(alignment.flow(flow), 2 * (places + flow) - places, atol=1e-4)
    inside = alignment.inside(
        np.float32([[0, 0], [WIDTH / 2, 0], [WIDTH / 2 - 1, HEIGHT / 2 - 1], [-1, 3]]), image2.shape
    )
    assert inside.tolist() == [True, False, True, False]


def test_the_finer_is_blurred_away_when_image_2_gets_smaller():
    stripes = np.zeros((HEIGHT, WIDTH), np.float32)
    stripes[:, ::3] = 1
    seen = Alignment(np.diag([2.0, 2.0, 1.0])).applied_to(stripes)[10:100, 10:150]
    unblurred = cv2.warpPerspective(
        stripes, np.diag([2.0, 2.0, 1.0]), (WIDTH, HEIGHT), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC
    )
    assert seen.std() < 0.5 * unblurred[10:100, 10:150].std()


def test_the_usual_pair_is_not_touched(monkeypatch):
    """The threshold stands between what matches and what does not."""
    asked = []
    monkeypatch.setattr(module, "find_alignment", lambda *given: asked.append(given))
    case = moved(texture(6)[:120, :160], 3, 1, 0.5)
    plain = estimate_flow(in_bytes(case.image1), in_bytes(case.image2), refine=False)
    assert not asked and plain.homography is None and "align" not in plain.seconds
    always = FlowSettings(alignment=AlignmentSettings(below=1.0))
    same = estimate_flow(in_bytes(case.image1), in_bytes(case.image2), settings=always, refine=False)
    assert len(asked) == 1 and same.homography is None and "align" in same.seconds
    np.testing.assert_array_equal(same.flow, plain.flow)


def test_it_is_taken_only_where_more_matches(monkeypatch):
    """What a wrong homography brings is thrown away, and the cost of both matchings is told."""
    wrong = Alignment(about_the_middle(degrees=90))
    monkeypatch.setattr(module, "find_alignment", lambda *given: wrong)
    case = moved(texture(6)[:120, :160], 3, 1, 0.5)
    always = FlowSettings(alignment=AlignmentSettings(below=1.0))
    told = []
    result = estimate_flow(
        in_bytes(case.image1), in_bytes(case.image2), settings=always, refine=False,
        on_stage=lambda name, cost: told.append((name, cost.seconds)),
    )  # fmt: skip
    assert result.homography is None
    assert np.linalg.norm(result.flow - case.flow, axis=-1)[case.counted].mean() < 0.5
    assert [name for name, _ in told[:5]] == ["describe", "match", "align", "describe", "match"]
    assert result.seconds["match"] == pytest.approx(told[1][1] + told[4][1])


def test_costs_of_a_stage_that_runs_again():
    total = StageCost(2.0, 3.0, 100.0).after(StageCost(1.0, 4.0, 300.0))
    assert (total.seconds, total.gflop, total.peak_mb) == (3.0, 7.0, 300.0)
    assert StageCost(2.0, None, 1.0).after(StageCost(1.0, 4.0, 1.0)).gflop is None


def test_the_command_can_leave_it_out(tmp_path):
    parser = build_parser()
    assert resolved_settings(parser.parse_args(["a", "b"])) == flow_settings("default")
    assert resolved_settings(parser.parse_args(["a", "b", "--no-align"])).alignment.below == 0
    assert flow_settings("patchbatch-2016").alignment.below == 0  # the paper had none


@pytest.mark.slow
def test_the_command_turns_back(tmp_path, capsys, caplog):
    case, frames = turned(120), [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path, image in zip(frames, (case.image1, case.image2), strict=True):
        write_image(path, in_bytes(image))
    files = {"-o": "flow.npz", "--matches": "matches.txt", "--save-stages": "stages"}
    words = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    with caplog.at_level(logging.INFO):
        assert main([*frames, *words]) == 0
    assert "turned by -120 degrees" in caplog.text
    matches = np.loadtxt(tmp_path / "matches.txt")
    x, y = np.rint(matches[:, :2]).astype(int).T
    off = np.linalg.norm(matches[:, 2:4] - matches[:, :2] - case.flow[y, x], axis=1)
    assert len(matches) > 1000 and (off < 3).mean() > 0.95
    assert math.isfinite(off.max())
    assert main([*frames, "--no-align", "-o", str(tmp_path / "plain.npz")]) == 0
    assert "no motion is known" in capsys.readouterr().err
