"""The figures against the hand-computed examples of the reference, sections 5.1 to 5.8."""

import numpy as np
import pytest

from benchmarks.metrics import (
    angular_error,
    endpoint_error,
    is_outlier,
    occlusion_distance,
    score,
    summarise,
)
from patchbatch.data.datasets.pairs import Truth
from patchbatch.errors import PatchBatchError


def row(*vectors: tuple[float, float]) -> np.ndarray:
    """Make a flow of one row, `(1, N, 2)`."""
    return np.array([vectors], np.float32)


def still(count: int, **masks: list[bool]) -> Truth:
    """Make the truth of one row of pixels that do not move."""
    shaped = {name: np.array([mask]) for name, mask in masks.items()}
    return Truth(np.zeros((1, count, 2), np.float32), np.ones((1, count), bool), **shaped)


def moved_by(*errors: float) -> np.ndarray:
    return row(*((error, 0.0) for error in errors))


def figures(
    dataset: str, truth: Truth, flow: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, float]:
    return summarise([score(dataset, truth, flow, valid)])


def test_kitti2012_is_a_mean_of_images() -> None:
    scores = [
        score("kitti2012", still(4), moved_by(0, 2, 3, 5)),
        score("kitti2012", still(2), moved_by(4, 4)),
    ]
    result = summarise(scores)
    assert result["Out-All"] == result["Out-All-3px"] == 62.5
    assert result["Avg-All"] == result["EPE"] == 3.25
    assert result["Fl-all"] == 50
    assert result["Fl-all-per-image"] == 62.5
    assert result["EPE-pooled"] == 3
    assert "Out-Noc" not in result


def test_kitti2012_thresholds_are_strict() -> None:
    result = figures("kitti2012", still(6), moved_by(0, 1, 2, 3, 4, 5))
    found = [round(result[f"Out-All-{t}px"] * 6 / 100) for t in (1, 2, 3, 4, 5)]
    assert found == [4, 3, 2, 1, 0]


def test_noc_leaves_out_what_left_the_image() -> None:
    truth = still(4, noc=[True, True, True, False])
    result = figures("kitti2012", truth, moved_by(0, 0, 6, 9))
    assert result["Out-All"] == 50
    assert result["Out-Noc"] == result["Out-Noc-5px"] == pytest.approx(100 / 3)
    assert result["Avg-All"] == 3.75
    assert result["Avg-Noc"] == 2


KITTI2015_TRUTH = row((10, 0), (100, 0), (100, 0), (2, 0))
KITTI2015_FLOW = row((14, 0), (104, 0), (106, 0), (4.9, 0))


def test_kitti2015_needs_both_tests() -> None:
    error = endpoint_error(KITTI2015_FLOW, KITTI2015_TRUTH)
    assert is_outlier(error, KITTI2015_TRUTH)[0].tolist() == [True, False, True, False]


def test_kitti2015_parts() -> None:
    foreground = np.array([[False, False, True, True]])
    truth = Truth(KITTI2015_TRUTH, np.ones((1, 4), bool), foreground=foreground)
    result = figures("kitti2015", truth, KITTI2015_FLOW)
    assert (result["Fl-bg"], result["Fl-fg"], result["Fl-all"]) == (50, 50, 50)


@pytest.mark.parametrize(("error", "expected"), [(3.0, False), (3.1, True)])
def test_where_nothing_moves_only_three_pixels_count(error: float, expected: bool) -> None:
    assert is_outlier(np.array([error]), np.zeros((1, 2))).tolist() == [expected]


def test_five_percent_exactly_is_no_outlier() -> None:
    assert not is_outlier(np.array([5.0, 3.5]), np.array([[100.0, 0], [0, 70.0]])).any()


def test_fl_pools_pixels_and_fl_per_image_does_not() -> None:
    scores = [score("kitti2015", still(1), moved_by(9)), score("kitti2015", still(9), moved_by(*[0] * 9))]
    result = summarise(scores)
    assert result["Fl-all"] == 10
    assert result["Fl-all-per-image"] == result["Out-All"] == 50


def test_sintel_parts() -> None:
    truth = Truth(
        row((5, 0), (20, 0), (50, 0), (50, 0)),
        np.ones((1, 4), bool),
        occluded=np.array([[False, False, False, True]]),
    )
    result = figures("sintel", truth, truth.flow + moved_by(1, 2, 3, 5))
    expected = {
        "EPE": 2.75,
        "EPE-matched": 2,
        "EPE-unmatched": 5,
        "s0-10": 1,
        "s10-40": 2,
        "s40+": 4,
        "d0-10": 2.75,
    }
    assert {name: result[name] for name in expected} == expected
    assert "d10-60" not in result


def test_sintel_distances_are_half_open() -> None:
    occluded = np.zeros((1, 200), bool)
    occluded[0, 0] = True  # the boundary is columns 0 and 1
    truth = Truth(np.zeros((1, 200, 2), np.float32), np.ones((1, 200), bool), occluded=occluded)
    distance = np.maximum(np.arange(200) - 1, 0)
    result = figures("sintel", truth, moved_by(*distance))
    assert result["d0-10"] == pytest.approx(distance[distance < 10].mean())
    assert result["d10-60"] == pytest.approx(distance[(distance >= 10) & (distance < 60)].mean())
    assert result["d60-140"] == pytest.approx(distance[(distance >= 60) & (distance < 140)].mean())


def test_distance_to_an_occlusion_boundary_is_euclidean() -> None:
    rng = np.random.default_rng(3)
    occluded = rng.random((9, 11)) < 0.03
    padded = np.pad(occluded, 1, mode="edge")
    neighbours = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    boundary = np.argwhere(np.any([near != occluded for near in neighbours], axis=0))
    assert len(boundary)
    for y, x in np.ndindex(9, 11):
        nearest = np.hypot(*(boundary - (y, x)).T).min()
        assert occlusion_distance(occluded)[y, x] == pytest.approx(nearest)


@pytest.mark.parametrize("hidden", [False, True])
def test_without_an_occlusion_boundary_no_distance_counts(hidden: bool) -> None:
    result = figures("sintel", still(3, occluded=[hidden] * 3), moved_by(1, 2, 3))
    assert not any(name.startswith("d0") for name in result)
    assert ("EPE-matched" in result) != hidden


def test_sintel_leaves_invalid_pixels_out_unless_told() -> None:
    truth = still(2, invalid=[False, True])
    assert summarise([score("sintel", truth, moved_by(1, 5))])["EPE"] == 1
    assert summarise([score("sintel", truth, moved_by(1, 5), keep_invalid=True)])["EPE"] == 3


@pytest.mark.parametrize(
    ("truth", "flow", "angle", "distance"),
    [
        ((1, 0), (0, 1), 60, 2**0.5),
        ((10, 0), (11, 0), 0.516, 1),
        ((0, 0), (1, 0), 45, 1),
        ((3, -7), (3, -7), 0, 0),
    ],
)
def test_middlebury_errors(truth: tuple, flow: tuple, angle: float, distance: float) -> None:
    assert angular_error(row(flow), row(truth))[0, 0] == pytest.approx(angle, abs=5e-4)
    assert endpoint_error(row(flow), row(truth))[0, 0] == pytest.approx(distance)


def test_middlebury_shares_and_unknown_pixels() -> None:
    truth = still(5)
    truth.valid[0, 4] = False
    result = figures("middlebury", truth, moved_by(0.5, 0.75, 1.5, 3, 99))
    assert (result["R0.5"], result["R1"], result["R2"]) == (75, 50, 25)
    assert result["EPE"] == 5.75 / 4
    assert result["AAE"] == pytest.approx(np.degrees(np.arctan([0.5, 0.75, 1.5, 3])).mean())


def test_chairs_pools_all_pixels() -> None:
    scores = [score("chairs", still(1), moved_by(8)), score("chairs", still(3), moved_by(0, 0, 4))]
    result = summarise(scores)
    assert result["EPE-pooled"] == 3
    assert result["EPE"] == pytest.approx((8 + 4 / 3) / 2)


def test_a_sparse_result_is_scored_twice() -> None:
    valid = np.array([[True, False, False, True]])
    result = figures("kitti2012", still(4), moved_by(0, 99, 99, 4), valid)
    assert result["density"] == 50
    assert result["Out-All (submitted)"] == 50
    assert result["EPE (submitted)"] == 2
    assert result["Out-All"] == 25  # the gap took the smaller value, 0
    assert result["EPE"] == 1


def test_a_dense_result_has_no_second_set() -> None:
    result = figures("kitti2012", still(2), moved_by(0, 4))
    assert result["density"] == 100
    assert not any("submitted" in name for name in result)


def test_both_rules_hold_for_submitted_pixels_too() -> None:
    valid = np.array([[True, False, True]])
    scores = [
        score("kitti2015", still(3), moved_by(9, 0, 9), valid),
        score("kitti2015", still(3), moved_by(0, 0, 0), np.array([[True, False, False]])),
    ]
    result = summarise(scores)
    assert result["Fl-all (submitted)"] == pytest.approx(200 / 3)
    assert result["Fl-all-per-image (submitted)"] == 50
    assert result["density"] == pytest.approx(50)


def test_values_that_are_not_numbers_are_not_taken_for_right() -> None:
    result = figures("chairs", still(3), moved_by(5, np.nan, 5))
    assert result["EPE"] == 5
    assert result["density"] == pytest.approx(200 / 3)


def test_nothing_submitted_leaves_its_figures_out() -> None:
    result = figures("chairs", still(2), moved_by(1, 1), np.zeros((1, 2), bool))
    assert result["EPE"] == 0
    assert result["density"] == 0
    assert "EPE (submitted)" not in result


def test_another_size_is_refused() -> None:
    with pytest.raises(PatchBatchError, match="the flow is 1x3 but the ground truth 1x2"):
        score("chairs", still(2), moved_by(1, 1, 1))
