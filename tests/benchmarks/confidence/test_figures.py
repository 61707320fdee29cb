"""Every figure of the confidence benchmark in closed form."""

import numpy as np
import pytest

from benchmarks.confidence import calibration, occlusion
from benchmarks.confidence.calibration import calibration_error, calibration_figures, calibration_of
from benchmarks.confidence.causes import CAUSES, motion_border, near_motion_border, wrong_by_cause
from benchmarks.confidence.occlusion import detection_of, occlusion_figures, unseen_of
from benchmarks.confidence.ranking import CURVE_POINTS, ideal_curve, ranking_figures, risk_curve, sampled
from patchbatch.data.datasets.pairs import Truth


def judged(confidence, right, off=9.0):
    """Calibration of pixels that are right, or wrong by so many px."""
    confidence, wrong = np.asarray(confidence, np.float32), ~np.asarray(right, np.bool_)
    return calibration_of(confidence, np.where(wrong, off, 0.0), wrong)


def test_a_confidence_that_keeps_its_word_has_no_calibration_error():
    rng = np.random.default_rng(0)
    confidence = rng.random(200_000)
    found = judged(confidence, rng.random(200_000) < confidence)
    assert calibration_error(found) < 0.006
    assert found.share.sum() == pytest.approx(1)


def test_a_known_miscalibration():
    # Half say 0.95 and are right in 4 of 5, half say 0.3 and are right in half.
    found = judged([0.95] * 10 + [0.3] * 10, [True] * 8 + [False] * 2 + [True] * 5 + [False] * 5)
    figures = calibration_figures(found)
    assert figures["ECE"] == pytest.approx(100 * (0.15 + 0.2) / 2, rel=1e-5)
    assert figures["sure"] == 50
    assert figures["sure-wrong>3px"] == figures["sure-Fl"] == pytest.approx(20)
    assert calibration_error(judged([0, 1, 1], [True, False, False])) == 1


def test_errors_within_a_bin_are_averaged_and_bins_are_a_twentieth_wide():
    assert calibration_error(judged([0.51, 0.54], [True, False])) == pytest.approx(0.025, abs=1e-6)
    assert calibration_error(judged([0.51, 0.56], [True, False])) == pytest.approx(
        (0.49 + 0.56) / 2, abs=1e-6
    )


def test_plain_3_px_count_and_fl_beside_them():
    found = calibration_of(np.full(4, 0.95), np.array([3.0, 3.1, 4.0, 9.0]), np.array([0, 0, 0, 1], bool))
    figures = calibration_figures(found)
    assert (figures["sure-wrong>3px"], figures["sure-Fl"]) == (75, 25)


def test_sure_is_above_09_and_nothing_of_nothing_is_none():
    figures = calibration_figures(calibration_of(np.full(3, 0.9), np.zeros(3), np.zeros(3, bool)))
    assert figures["sure"] == 0 and figures["sure-Fl"] is None and figures["sure-wrong>3px"] is None


def test_pairs_weigh_the_same_whatever_their_size():
    one, other = judged([0.8] * 100, [True] * 100), judged([0.8], [False])
    both = calibration.joined([one, other])
    assert calibration_error(both) == pytest.approx(0.3, abs=1e-6)
    [row] = calibration.reliability_rows(both)
    assert row == pytest.approx({"confidence": 80, "right": 50, "share": 100}, abs=1e-4)


def test_risk_of_perfect_reversed_and_random_order():
    # 3 of 10 are wrong; the last three of a perfect order, the first three of a reversed one.
    wrong = np.arange(10) >= 7
    perfect = ranking_figures(-np.arange(10.0), 9.0 * wrong, wrong)
    least = 100 * np.mean([0] * 7 + [1 / 8, 2 / 9, 3 / 10])
    assert perfect["AURC"] == perfect["AURC-ideal"] == pytest.approx(least)
    assert perfect["Fl"] == pytest.approx(30) and perfect["AUSE"] == 0
    backward = ranking_figures(np.arange(10.0), 9.0 * wrong, wrong)
    most = 100 * np.mean([1, 1, 1, *(3 / k for k in range(4, 11))])
    assert backward["AURC"] == pytest.approx(most) and backward["AURC-ideal"] == pytest.approx(least)
    assert backward["AUSE"] == pytest.approx((most - least) / 30)
    alike = ranking_figures(np.full(10, 0.5), 9.0 * wrong, wrong)
    assert alike["AURC"] == pytest.approx(30) and alike["AUSE"] == pytest.approx((30 - least) / 30)
    rng = np.random.default_rng(0)
    many = rng.random(100_000) < 0.3
    assert ranking_figures(rng.random(100_000), 9.0 * many, many)["AURC"] == pytest.approx(30, abs=0.5)


def test_ties_do_not_depend_on_the_order_of_the_pixels():
    score, loss = np.array([0.5, 0.5, 0.9, 0.5]), np.array([6.0, 0.0, 1.0, 3.0])
    np.testing.assert_allclose(risk_curve(score, loss), [1, 2, 7 / 3, 2.5])
    np.testing.assert_allclose(risk_curve(score[::-1], loss[::-1]), [1, 2, 7 / 3, 2.5])
    np.testing.assert_allclose(ideal_curve(loss), [0, 0.5, 4 / 3, 2.5])


def test_without_any_error_there_is_no_sparsification():
    figures = ranking_figures(np.array([0.2, 0.7]), np.zeros(2), np.zeros(2, bool))
    assert figures["AUSE"] is None and figures["AURC"] == figures["Fl"] == 0


@pytest.mark.parametrize("count", [1, 3, CURVE_POINTS, 457])
def test_sampled_curves_end_with_the_mean_of_all(count):
    curve = np.arange(count, dtype=np.float64)
    taken = sampled(curve)
    assert len(taken) == CURVE_POINTS and taken[-1] == count - 1 and (np.diff(taken) >= 0).all()
    if count == CURVE_POINTS:
        np.testing.assert_array_equal(taken, curve)


def test_f_measure_by_hand():
    # At one half 3 are told, 2 of them right, of 4; from 0.3 on 6 are told, 4 of them right.
    probability = np.array([0.9, 0.8, 0.5, 0.3, 0.3, 0.3, 0.1, 0.0])
    hidden = np.array([1, 1, 0, 1, 1, 0, 0, 0], bool)
    figures = occlusion_figures(detection_of(probability, hidden))
    assert figures == pytest.approx(
        {
            "unseen": 50,
            "precision": 200 / 3,
            "recall": 50,
            "F": 100 * 2 * 2 / (3 + 4),
            "best-F": 100 * 2 * 4 / (6 + 4),
            "best-at": 0.11,
        }
    )


def test_the_threshold_itself_is_told():
    steps = occlusion.THRESHOLDS.astype(np.float32)
    found = detection_of(steps, np.ones(len(steps), bool))
    np.testing.assert_allclose(found.told, np.arange(len(steps), 0, -1) / len(steps))


def test_occlusion_of_nothing():
    seen = detection_of(np.array([0.1, 0.9]), np.zeros(2, bool))
    assert occlusion_figures(seen)["unseen"] == 0 and occlusion_figures(seen)["best-F"] is None
    assert set(occlusion_figures(None).values()) == {None}
    silent = occlusion_figures(detection_of(np.zeros(2), np.array([True, False])))
    assert silent["precision"] is None and silent["recall"] == silent["F"] == 0


def test_pairs_of_occlusion_weigh_the_same():
    found = detection_of(np.ones(100), np.ones(100, bool))
    missed = detection_of(np.zeros(1), np.ones(1, bool))
    figures = occlusion_figures(occlusion.joined([found, missed]))
    assert (figures["recall"], figures["precision"]) == (50, 100)


SHAPE = (30, 60)


def truth_of(jump_at=30, **masks):
    """A still left side, and a right side that moves 10 px to the right."""
    flow = np.zeros((*SHAPE, 2), np.float32)
    flow[:, jump_at:, 0] = 10
    return Truth(flow, masks.pop("valid", np.ones(SHAPE, bool)), **masks)


def test_what_is_not_seen_is_the_data_sets_word():
    occluded = np.zeros(SHAPE, bool)
    occluded[3, 40] = True
    [mask, source] = unseen_of(truth_of(occluded=occluded))
    assert mask.sum() == 1 + 10 * 30 and mask[3, 40] and source == "mask + frame"
    valid = np.zeros(SHAPE, bool)
    valid[:, ::2] = True
    noc = valid.copy()
    noc[:, 50:] = False
    [mask, source] = unseen_of(truth_of(valid=valid, noc=noc))
    assert mask.sum() == 5 * 30 and source == "noc"
    assert unseen_of(truth_of()) is None


def test_each_wrong_pixel_has_one_cause():
    occluded = np.zeros(SHAPE, bool)
    occluded[:, 35:52] = True  # some near the border, some that leave the frame too
    truth, everywhere = truth_of(occluded=occluded), np.ones(SHAPE, bool)
    shares = wrong_by_cause(truth, everywhere, everywhere)
    columns = {"leaves": 10, "hidden": 15, "border": 9 + 5, "other": 60 - 10 - 15 - 14}
    assert shares == pytest.approx({name: 100 * count / 60 for name, count in columns.items()})
    assert tuple(shares) == CAUSES
    wrong = np.zeros(SHAPE, bool)
    wrong[0, [0, 22, 36, 51]] = True  # other, border, hidden, leaves
    assert wrong_by_cause(truth, wrong, everywhere) == pytest.approx(dict.fromkeys(CAUSES, 100 / (30 * 60)))
    region = everywhere.copy()
    region[:, 30:] = False
    assert wrong_by_cause(truth, everywhere, region) == pytest.approx(
        {"leaves": 0, "hidden": 0, "border": 100 * 9 / 30, "other": 100 * 21 / 30}
    )


def test_without_masks_nothing_is_hidden():
    everywhere = np.ones(SHAPE, bool)
    assert wrong_by_cause(truth_of(), everywhere, everywhere)["hidden"] == 0


def test_a_motion_border_of_dense_truth_is_where_it_jumps_by_more_than_3_px():
    border = motion_border(truth_of().flow, np.ones(SHAPE, bool))
    np.testing.assert_array_equal(np.flatnonzero(border.any(axis=0)), [29, 30])
    near = near_motion_border(truth_of())
    np.testing.assert_array_equal(np.flatnonzero(near.all(axis=0)), np.arange(21, 39))
    small = truth_of().flow * 0.3
    assert not motion_border(small, np.ones(SHAPE, bool)).any()


def test_a_slope_of_sparse_truth_is_no_border_but_a_jump_is():
    valid = np.zeros(SHAPE, bool)
    valid[::5, ::5] = True
    slope = np.zeros((*SHAPE, 2), np.float32)
    slope[..., 0] = np.arange(60) * 0.9  # 4.5 px between known pixels
    assert not motion_border(slope, valid).any()
    border = motion_border(truth_of().flow, valid)
    columns = np.flatnonzero(border.any(axis=0))
    assert len(columns) == 2 and 25 <= columns[0] < 30  # between the known columns 25 and 30


def test_what_stands_where_truth_is_unknown_does_not_matter():
    valid = np.random.default_rng(0).random(SHAPE) < 0.2
    flow = truth_of().flow
    spoiled = np.where(valid[..., None], flow, np.float32(500))
    np.testing.assert_array_equal(motion_border(spoiled, valid), motion_border(flow, valid))
    assert not motion_border(spoiled, np.zeros(SHAPE, bool)).any()
