"""The numbers of the charts against cases that can be worked out by hand."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from made_reports import SIZE, made_truth

from benchmarks.metrics import score, summarise
from benchmarks.pages.curves import (
    COVERAGE,
    DISTANCES_PX,
    LENGTHS_PX,
    THRESHOLDS_PX,
    CurveSum,
    PairCurves,
    curves_of,
    groups_of,
)
from patchbatch.data.datasets.pairs import Truth


def measured(truth, flow, **parts) -> PairCurves:
    return curves_of(truth, groups_of(truth), flow, **parts)


def added(*curves: PairCurves) -> CurveSum:
    total = CurveSum()
    for one in curves:
        total.add(one)
    return total


def test_a_constant_shift_is_a_step_and_the_same_everywhere() -> None:
    truth = made_truth()
    curves = measured(truth, truth.flow + np.float32([3, -4]), confidence=np.ones(SIZE))
    assert curves.epe == 5
    assert curves.within == [float(threshold >= 5) for threshold in THRESHOLDS_PX]
    assert curves.risk == curves.ideal == [1.0] * len(COVERAGE)
    total = added(curves)
    assert total.errors("seen") == [5, 5]
    assert {error for error in total.errors("length") if error is not None} == {5}
    assert {error for error in total.errors("border") if error is not None} == {5}


def test_steps_count_the_pixels_of_their_lengths() -> None:
    truth = made_truth()
    flow = truth.flow.copy()
    fast = truth.flow[..., 0] == 20
    flow[fast, 1] += 7
    total = added(measured(truth, flow))
    errors, shares = (dict(zip(LENGTHS_PX, values, strict=True)) for values in
                      (total.errors("length"), total.shares("length")))  # fmt: skip
    assert (errors[5], errors[20], errors[0]) == (0, 7, None)
    assert shares[20] == pytest.approx(24 * 24 / (48 * 64))
    assert shares[5] == pytest.approx(1 - shares[20])
    # Sintel's own figures pool in the same way.
    figures = summarise([score("sintel", truth, flow)])
    assert figures["s10-40"] == errors[20]
    assert figures["EPE-matched"] == pytest.approx(total.errors("seen")[0])
    assert figures["EPE-unmatched"] == pytest.approx(total.errors("seen")[1])


def test_errors_at_the_border_stay_in_the_first_steps() -> None:
    truth = made_truth()
    flow = truth.flow.copy()
    flow[11:37, 15:41, 1] += 3
    flow[13:35, 17:39, 1] -= 3  # what is left: the pixels on both sides of the jump
    total = added(measured(truth, flow))
    errors = dict(zip(DISTANCES_PX, total.errors("border"), strict=True))
    # The corners outside touch no pixel of the block; they are √2 from the jump.
    ring = 26 * 26 - 22 * 22
    assert errors[0] == pytest.approx(3)
    assert errors[1] > 0
    assert all(not error for start, error in errors.items() if start > 1)
    assert total.shares("border")[0] == pytest.approx((ring - 4) / (48 * 64))


def test_without_a_motion_border_all_is_far_from_it() -> None:
    truth = Truth(np.ones((*SIZE, 2), np.float32), np.ones(SIZE, bool))
    total = added(measured(truth, truth.flow))
    assert total.shares("border") == [0] * (len(DISTANCES_PX) - 1) + [1]
    assert total.errors("seen") is None and total.shares("seen") is None


def test_risk_of_a_right_order_a_wrong_one_and_none() -> None:
    truth = made_truth()
    flow, sure = truth.flow.copy(), np.ones(SIZE)
    flow[:, :16, 1] += 30
    sure[:, :16] = 0.2
    right, reverse, even = (measured(truth, flow, confidence=one) for one in (sure, 1 - sure, np.zeros(SIZE)))
    assert right.risk == right.ideal == reverse.ideal
    one_pixel = 2 / (48 * 64)  # coverage is in whole pixels
    np.testing.assert_allclose(right.risk, np.maximum(0, COVERAGE - 0.75) / COVERAGE, atol=one_pixel)
    np.testing.assert_allclose(reverse.risk, np.minimum(1, 0.25 / COVERAGE), atol=2 * one_pixel)
    np.testing.assert_allclose(even.risk, 0.25)
    assert measured(truth, flow).risk is None


def test_curves_weigh_pairs_and_steps_weigh_pixels() -> None:
    truth = made_truth()
    few = Truth(truth.flow, np.zeros(SIZE, bool), occluded=truth.occluded)
    few.valid[0, :10] = True
    all_right = measured(truth, truth.flow, confidence=np.ones(SIZE))
    ten_wrong = measured(few, truth.flow + 10, confidence=np.ones(SIZE))
    none = measured(Truth(truth.flow, np.zeros(SIZE, bool)), truth.flow)
    total = added(all_right, ten_wrong, none)
    at_3px = THRESHOLDS_PX.tolist().index(3)
    assert total.mean("within")[at_3px] == 0.5
    assert total.mean("risk")[-1] == 0.5
    slow = 48 * 64 - 24 * 24
    assert total.errors("length")[LENGTHS_PX.index(5)] == pytest.approx(10 * np.hypot(10, 10) / (slow + 10))
    assert none == PairCurves(None, None, {})
    assert CurveSum().mean("within") is None


def test_holes_are_filled_as_in_the_tables_and_invalid_pixels_left_out() -> None:
    truth = made_truth()
    flow, valid = truth.flow.copy(), np.ones(SIZE, bool)
    valid[:, 20:30], flow[:, 20:30] = False, np.nan
    flow[5, 5] = np.nan
    curves = measured(truth, flow, valid=valid)
    assert curves.epe == summarise([score("sintel", truth, flow, valid)])["EPE"] == 0
    masked = Truth(truth.flow, truth.valid, occluded=truth.occluded, invalid=truth.flow[..., 0] == 20)
    wrong = truth.flow + (truth.flow[..., :1] == 20) * np.float32([0, 9])
    assert measured(masked, wrong).epe == 0
    assert curves_of(masked, groups_of(masked, keep_invalid=True), wrong).epe > 0


def test_a_record_survives_json() -> None:
    truth = made_truth()
    curves = measured(truth, truth.flow * 1.1, confidence=np.full(SIZE, 0.5))
    assert PairCurves(**json.loads(json.dumps(asdict(curves)))) == curves
