"""Figures of descriptors against plain loops, and where their value is known beforehand."""

import numpy as np
import pytest
import torch

from benchmarks.descriptors import metrics as descriptor_metrics
from benchmarks.descriptors.metrics import (
    FIGURES,
    NEGATIVES_PER_POINT,
    Samples,
    draw_samples,
    false_positive_rate,
    score_descriptors,
)
from patchbatch.data.datasets.pairs import Truth
from patchbatch.errors import PatchBatchError

HEIGHT, WIDTH = 40, 90
PERFECT = {"rank1@1px": 100, "rank1@2px": 100, "rank1@3px": 100, "fpr95": 0, "near-miss": 0, "raw-error": 0}


def shifted_truth(u: float, v: float) -> Truth:
    flow = np.full((HEIGHT, WIDTH, 2), (u, v), np.float32)
    return Truth(flow, np.ones((HEIGHT, WIDTH), bool))


def one_hot_field() -> torch.Tensor:
    return torch.eye(HEIGHT * WIDTH, dtype=torch.float16).view(HEIGHT, WIDTH, -1)


def described_points(samples: Samples, described2: torch.Tensor) -> torch.Tensor:
    """Return what an ideal descriptor gives in image 1: the same as at the match."""
    x, y = samples.matches.T
    return described2[y, x]


def test_codes_of_a_known_shift_are_perfect() -> None:
    samples = draw_samples(shifted_truth(7, -3), 60, seed=1)
    field = one_hot_field()
    assert score_descriptors(samples, described_points(samples, field), field).figures == PERFECT


def test_codes_of_another_shift_fail() -> None:
    samples = draw_samples(shifted_truth(7, -3), 60, seed=1)
    field = one_hot_field()
    described1 = described_points(samples, field.roll((0, 5), (0, 1)))  # as if the match were 5 px off
    figures = score_descriptors(samples, described1, field).figures
    assert figures["rank1@3px"] == 0
    assert figures["raw-error"] == 100
    # All but the one wrong code are equally far, and what is not closer than the match counts.
    assert figures["near-miss"] == 100
    assert figures["fpr95"] == 100


def test_a_subpixel_truth_is_measured_from_where_it_is() -> None:
    samples = draw_samples(shifted_truth(6.5, 0.4), 60, seed=1)
    field = one_hot_field()
    figures = score_descriptors(samples, described_points(samples, field), field).figures
    assert figures["rank1@1px"] == 100  # rounded away by at most (0.5, 0.4)
    two_off = score_descriptors(samples, described_points(samples, field.roll(-2, 1)), field).figures
    assert two_off["rank1@1px"] == 0
    assert two_off["rank1@3px"] == 100


@pytest.mark.parametrize(("window", "dtype"), [(None, torch.float32), (9, torch.bfloat16)])
def test_figures_equal_plain_loops(
    window: int | None, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptor_metrics, "RANK_WINDOW_PX", 6)
    monkeypatch.setattr(descriptor_metrics, "POINTS_AT_ONCE", 7)
    monkeypatch.setattr(descriptor_metrics, "PIXELS_AT_ONCE", 1000)
    rng = np.random.default_rng(0)
    samples = draw_samples(shifted_truth(4.3, -2.6), 16, seed=2)
    # Few small whole numbers: products are exact and many distances equal, so ties are seen too.
    field = torch.from_numpy(rng.integers(0, 4, (HEIGHT, WIDTH, 6))).to(dtype)
    noise = torch.from_numpy(rng.integers(0, 2, (16, 6))).to(dtype)
    described1 = described_points(samples, field) + noise
    expected = looped(samples, described1.double().numpy(), field.double().numpy(), window)
    assert score_descriptors(samples, described1, field, window).figures == pytest.approx(expected)
    assert 0 < expected["raw-error"] < 100
    assert 0 < expected["near-miss"] < 100


def looped(samples: Samples, described1: np.ndarray, field: np.ndarray, window: int | None) -> dict:
    """Compute the figures pixel by pixel."""
    rank_errors, raw_errors, positives, negatives, fooled = [], [], [], [], []
    for i, (x2, y2) in enumerate(samples.targets):
        near, everywhere = (np.inf, 0.0), (np.inf, 0.0)
        mx, my = round(x2), round(y2)
        positive = np.sum((described1[i] - field[my, mx]) ** 2)
        for y in range(HEIGHT):
            for x in range(WIDTH):
                distance = np.sum((described1[i] - field[y, x]) ** 2)
                error = np.hypot(x - x2, y - y2)
                if abs(x - mx) <= 6 and abs(y - my) <= 6 and distance < near[0]:
                    near = (distance, error)
                px, py = samples.points[i]
                seen = window is None or (abs(x - px) <= window and abs(y - py) <= window)
                if seen and distance < everywhere[0]:
                    everywhere = (distance, error)
                if 2 <= error <= 8:
                    fooled.append(distance <= positive)
        rank_errors.append(near[1])
        raw_errors.append(everywhere[1])
        positives.append(positive)
        negatives += [np.sum((described1[i] - field[y, x]) ** 2) for x, y in samples.negatives[i]]
    rank = np.array(rank_errors)
    threshold = sorted(positives)[int(np.ceil(0.95 * len(positives))) - 1]
    return {
        **{f"rank1@{limit}px": 100 * np.mean(rank <= limit) for limit in (1, 2, 3)},
        "fpr95": 100 * np.mean(np.array(negatives) <= threshold),
        "near-miss": 100 * np.mean(fooled),
        "raw-error": 100 * np.mean(np.array(raw_errors) > 3),
    }


def test_figures_have_their_names_in_order() -> None:
    assert tuple(PERFECT) == FIGURES


def test_false_positives_at_the_threshold_that_95_percent_pass() -> None:
    positives = np.arange(1, 101)  # 95 of them are at most 95
    assert false_positive_rate(positives, np.array([94.0, 95.0, 95.5, 200.0])) == 50
    assert false_positive_rate(np.array([3.0]), np.array([3.0, 4.0])) == 50
    assert false_positive_rate(positives, np.array([50.0, 51.0]), recall=0.5) == 50


def test_values_that_are_not_numbers_are_never_nearest() -> None:
    samples = draw_samples(shifted_truth(0, 0), 20, seed=0)
    field = one_hot_field().float()
    described1 = described_points(samples, field)
    used = np.zeros((HEIGHT, WIDTH), bool)
    used[samples.matches[:, 1], samples.matches[:, 0]] = True
    field[torch.from_numpy(~used)] = torch.nan
    assert score_descriptors(samples, described1, field).figures == PERFECT


def test_points_are_seen_inside_and_known_and_negatives_far() -> None:
    truth = shifted_truth(20.2, 5)
    rng = np.random.default_rng(3)
    occluded, invalid, valid = (rng.random((HEIGHT, WIDTH)) < share for share in (0.3, 0.3, 0.8))
    masked = Truth(truth.flow, valid, occluded=occluded, invalid=invalid)
    samples = draw_samples(masked, 10**6, seed=0)
    y, x = samples.points[:, 1], samples.points[:, 0]
    inside = (np.arange(WIDTH) <= WIDTH - 1 - 20.2) & (np.arange(HEIGHT) <= HEIGHT - 6)[:, None]
    assert len(samples.points) == np.count_nonzero(valid & ~occluded & ~invalid & inside)
    assert (valid & ~occluded & ~invalid & inside)[y, x].all()
    np.testing.assert_allclose(samples.targets, samples.points + np.array([20.2, 5]), atol=1e-5)
    assert samples.negatives.shape == (len(x), NEGATIVES_PER_POINT, 2)
    away = np.linalg.norm(samples.negatives - samples.targets[:, None], axis=-1)
    assert away.min() >= 10
    assert (samples.negatives >= 0).all()
    assert (samples.negatives < (WIDTH, HEIGHT)).all()


def test_not_occluded_truth_goes_before_all_truth() -> None:
    truth = shifted_truth(0, 0)
    noc = np.zeros((HEIGHT, WIDTH), bool)
    noc[5, 6] = True
    samples = draw_samples(Truth(truth.flow, truth.valid, noc=noc), 10, seed=0)
    assert samples.points.tolist() == [[6, 5]]


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (draw_samples(shifted_truth(3, 3), 50, seed) for seed in (4, 4, 5))
    assert (first.points == again.points).all()
    assert (first.negatives == again.negatives).all()
    assert (first.points != other.points).any()


def test_a_pair_without_points_or_room_is_refused() -> None:
    with pytest.raises(PatchBatchError, match="no pixel with ground truth"):
        draw_samples(shifted_truth(500, 0), 10, seed=0)
    small = Truth(np.zeros((20, 90, 2), np.float32), np.ones((20, 90), bool))
    with pytest.raises(PatchBatchError, match="90x20 is too small"):
        draw_samples(small, 10, seed=0)
