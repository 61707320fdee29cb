"""Pairs on which programs for optical flow stumble, with what a user would expect of each."""

from dataclasses import replace

import numpy as np
import pytest

from flow.alignment.settings import NEVER
from flow.cli import main
from flow.pipeline import estimate_flow
from flow.results.result import FEW_MATCHED, LEAST_MATCHED
from flow.settings import FlowSettings
from patchbatch.data.formats import read_flow
from patchbatch.data.images import write_image
from tests.helpers.flow_cases import BAR, CASES, flow_case


def in_bytes(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def estimated(name):
    case = flow_case(name)
    return case, estimate_flow(in_bytes(case.image1), in_bytes(case.image2))


def off(case, result):
    return np.linalg.norm(result.flow - case.flow, axis=-1)


def assert_nothing_known(result):
    assert not result.reliable and result.matched < LEAST_MATCHED
    assert "so no motion is known" in result.warning
    assert not result.valid.any() and not result.confidence.any() and not result.flow.any()
    assert not result.matches.confidence.any()


SLOPING = [
    *((f"rotation_{degrees}", 1.0) for degrees in (10, 20)),
    *((f"zoom_{factor}", 0.5) for factor in (1.2, 1.4, 1.6, 0.7)),
    ("tilt", 0.5),
]
ALIGNED = {
    "rotation_25": 0.2,
    "rotation_30": 0.2,
    "rotation_45": 0.2,
    "rotation_180": 0.2,
    "zoom_2": 0.5,
    "zoom_0.5": 0.2,
}
"""Those that are matched after image 2 was turned back."""
QUICK = ("zoom_1.6", "rotation_30")


@pytest.mark.parametrize(
    ("name", "bar"),
    [pytest.param(*row, marks=[] if row[0] in QUICK else pytest.mark.slow) for row in SLOPING],
)
def test_motion_that_differs_from_seed_to_seed_is_found(name, bar):
    case, result = estimated(name)
    assert result.reliable and result.warning is None
    assert off(case, result)[case.counted].mean() < bar


@pytest.mark.parametrize(
    ("name", "bar"),
    [pytest.param(*row, marks=[] if row[0] in QUICK else pytest.mark.slow) for row in ALIGNED.items()],
)
def test_what_is_turned_or_zoomed_far_is_matched_as_if_it_was_not(name, bar):
    case, result = estimated(name)
    assert result.homography is not None and result.warning is None
    assert len(result.matches) >= 1000 and result.valid.all()
    assert off(case, result)[case.counted].mean() < bar
    x, y = np.rint(result.matches.points1).astype(np.intp).T
    assert (np.linalg.norm(result.matches.vectors - case.flow[y, x], axis=1) < 3).mean() > 0.95
    assert (result.confidence[case.counted] > 0.5).mean() > 0.95
    gone = result.occluded[~case.counted] > 0.5  # what leaves the frame of image 2 as it is
    assert gone.sum() >= 0.8 * gone.size


@pytest.mark.parametrize("name", ["scene_cut", pytest.param("out_of_sight", marks=pytest.mark.slow)])
def test_frames_with_nothing_in_common_are_said_to_have_nothing(name):
    assert_nothing_known(estimated(name)[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["negative"])
def test_what_the_descriptors_cannot_match_is_right_or_said_to_be_unknown(name):
    case, result = estimated(name)
    if result.reliable:
        assert off(case, result)[case.counted].mean() < 1
    else:
        assert_nothing_known(result)


def test_a_result_that_is_mostly_guessed_says_so():
    case = flow_case("rotation_25")
    settings = replace(FlowSettings(), alignment=NEVER)
    result = estimate_flow(in_bytes(case.image1), in_bytes(case.image2), settings=settings)
    assert result.reliable and LEAST_MATCHED <= result.matched < FEW_MATCHED
    assert "much of the flow is guessed" in result.warning


def test_the_same_image_twice_moves_by_exactly_nothing():
    _, result = estimated("same")
    assert result.valid.all() and result.matched == 1
    np.testing.assert_array_equal(result.flow, 0)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("page_of_like_lines", 0.02),
        pytest.param("page_of_words", 0.01, marks=pytest.mark.slow),
        ("checkerboard", 0.02),
    ],
)
def test_of_places_that_look_alike_the_near_one_is_taken(name, share):
    case, result = estimated(name)
    assert result.reliable
    assert (off(case, result)[case.counted] > 3).mean() <= share


@pytest.mark.slow
def test_black_bars_stand_still():
    case, result = estimated("letterbox")
    error, bars = off(case, result), np.ones(case.counted.shape, np.bool_)
    bars[BAR:-BAR] = False
    assert error[case.counted & ~bars].mean() < 0.5
    assert error[bars].max() == 0


@pytest.mark.slow
def test_motion_of_many_hundred_pixels_is_found():
    case, result = estimated("far")
    assert off(case, result)[case.counted].mean() < 0.5


def test_every_case_has_an_expectation():
    """A case that is added to the helper and to no test here would go unseen."""
    elsewhere = {
        "scene_cut", "out_of_sight", "negative", "same", "page_of_like_lines", "page_of_words",
        "checkerboard", "letterbox", "far",
    }  # fmt: skip
    assert {name for name, _ in SLOPING} | set(ALIGNED) | elsewhere == set(CASES)


def test_the_command_says_that_nothing_was_matched_and_its_files_know_no_pixel(tmp_path, capsys):
    case = flow_case("scene_cut")
    frames = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path, image in zip(frames, (case.image1, case.image2), strict=True):
        write_image(path, in_bytes(image))
    files = [tmp_path / f"flow{suffix}" for suffix in (".flo", ".png", ".pfm", ".npz")]
    assert main([*frames, *(word for path in files for word in ("-o", str(path)))]) == 0
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "so no motion is known" in line]) == 1
    assert not any(read_flow(path)[1].any() for path in files)
