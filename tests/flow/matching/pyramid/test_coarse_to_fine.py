"""Coarse-to-fine matching: primitives against slow versions, known motion, tiny images, determinism."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_descriptors import histograms, pyramid, texture

from flow.matching.costs import NOWHERE, candidate_costs, gathered_costs, keep_distinct, leave_out_repeats
from flow.matching.pyramid.belief_propagation import agreed_beliefs
from flow.matching.pyramid.coarse_to_fine import match_pyramids
from flow.matching.search_settings import CoarseToFineSettings, ExactMatcherSettings, ExactSettings
from flow.matching.seeds import seed_grid
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match
from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in


def moved_pair(height, width, shift, levels):
    """Return the pyramids of two windows on one texture, the second showing it moved by the shift."""
    dx, dy = shift
    whole = texture(height + abs(dy), width + abs(dx), 0)
    y0, x0 = max(dy, 0), max(dx, 0)
    first = whole[y0 : y0 + height, x0 : x0 + width]
    second = whole[y0 - dy : y0 - dy + height, x0 - dx : x0 - dx + width]
    return pyramid(first, levels), pyramid(second, levels)


def random_candidates(rng, seeds, count):
    points = rng.integers(0, [9, 7], (seeds, 2)).astype(np.int32)
    targets = rng.integers(0, [5, 6], (seeds, count, 2)).astype(np.int32)
    targets[rng.random((seeds, count)) < 0.2, 0] = NOWHERE
    return points, targets


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_costs_equal_the_definition_and_the_gather(dtype):
    rng = np.random.default_rng(0)
    d1, d2 = (torch.from_numpy(rng.standard_normal((h, w, 37))).to(dtype) for h, w in ((7, 9), (6, 5)))
    points, targets = random_candidates(rng, 40, 6)
    costs = candidate_costs(d1, d2, points, targets)
    for s, k in np.ndindex(*costs.shape):
        (x1, y1), (x2, y2) = points[s], targets[s, k]
        expected = (d1[y1, x1].double() - d2[y2, x2].double()).square().sum() if x2 != NOWHERE else np.inf
        assert costs[s, k] == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(costs, gathered_costs(d1, d2, points, targets), rtol=1e-5)


def test_costs_do_not_depend_on_memory_layout():
    numbers = np.random.default_rng(1).standard_normal((12, 7, 9), dtype=np.float32)
    d1 = torch.from_numpy(numbers).permute(1, 2, 0)
    points, targets = random_candidates(np.random.default_rng(2), 20, 4)
    straight = candidate_costs(d1.contiguous(), d1.contiguous(), points, targets)
    np.testing.assert_array_equal(candidate_costs(d1, d1, points, targets), straight)


def test_repeats_are_left_out():
    targets = np.array([[[1, 1], [2, 2], [1, 1], [3, 3], [3, 3], [2, 2]]], np.int32)
    leave_out_repeats(targets, 1)
    assert targets[0, :, 0].tolist() == [NOWHERE, 2, NOWHERE, 3, NOWHERE, NOWHERE]


def test_distinct_candidates_equal_the_sorted_greedy_choice():
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 8, (50, 12, 2)).astype(np.int32)
    costs = rng.integers(0, 6, (50, 12)).astype(np.float32)
    costs[rng.random(costs.shape) < 0.3] = np.inf
    kept, kept_costs = np.empty((50, 3, 2), np.int32), np.empty((50, 3), np.float32)
    keep_distinct(targets, costs, 2, kept, kept_costs)
    for s in range(50):
        chosen = []
        for k in np.argsort(costs[s], kind="stable"):
            apart = all(abs(targets[s, k] - targets[s, other]).max() > 2 for other in chosen)
            if np.isfinite(costs[s, k]) and apart and len(chosen) < 3:
                chosen.append(k)
        assert kept_costs[s].tolist() == [*costs[s, chosen], *[np.inf] * (3 - len(chosen))]
        np.testing.assert_array_equal(kept[s, : len(chosen)], targets[s, chosen])


def test_beliefs_on_a_chain_find_the_least_energy():
    rng = np.random.default_rng(4)
    vectors = rng.integers(0, 6, (1, 6, 3, 2)).astype(np.int32)
    costs = rng.random((1, 6, 3), dtype=np.float32) + 0.1
    scale = np.median(costs.min(axis=-1))
    beliefs = agreed_beliefs(vectors, costs, 0.4, 3.0, rounds=6)

    def energy(labels):
        chosen = vectors[0, range(6), labels].astype(float)
        apart = np.minimum(np.linalg.norm(np.diff(chosen, axis=0), axis=1), 3.0)
        return costs[0, range(6), labels].sum() / scale + 0.4 * apart.sum()

    best = min(itertools.product(range(3), repeat=6), key=lambda labels: energy(list(labels)))
    assert beliefs[0].argmin(axis=-1).tolist() == list(best)


@pytest.mark.parametrize(("shift", "levels"), [((0, 0), 2), ((5, -3), 3), ((-100, 4), 4)])
def test_a_shift_is_found_both_ways(shift, levels):
    first, second = moved_pair(60, 200, shift, levels)
    dense = match_pyramids(first, second)
    for field, sign, (height, width) in ((dense.forward, 1, (60, 200)), (dense.backward, -1, (60, 200))):
        truth = sign * np.array(shift)
        target = field.points + truth
        inner = ((target >= 8) & (target < np.array([width, height]) - 8)).all(axis=-1)
        inner &= ((field.points >= 8) & (field.points < np.array([width, height]) - 8)).all(axis=-1)
        error = np.linalg.norm(field.vectors - truth, axis=-1)[inner]
        assert inner.sum() > 100
        assert (error < 1).mean() > 0.98


def test_of_places_that_look_alike_the_nearest_is_taken():
    """The pattern repeats every 12 px and moves by 4: it might also have moved by -8 or 16."""
    period = np.random.default_rng(0).normal(size=(12, 12, 8)).astype(np.float32)
    first = torch.as_tensor(np.tile(period, (6, 8, 1)))
    second = first.roll((2, 4), (0, 1))
    pair = [[level, level[::2, ::2], level[::4, ::4]] for level in (first, second)]
    forward = match_pyramids(*pair).forward
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_array_equal(
        forward.vectors[inside], np.broadcast_to([4, 2], forward.vectors[inside].shape)
    )


def test_half_a_pixel_is_found():
    whole = texture(80, 161, 1)
    second = (whole[:, 1:] + whole[:, :-1]) / 2
    dense = match_pyramids(pyramid(whole[:, 1:], 2), pyramid(second, 2))
    u = dense.forward.vectors[4:-4, 4:-4, 0]
    assert abs(np.median(u) - 0.5) < 0.1


def test_two_layers_keep_their_own_motion():
    background, front = texture(96, 160, 2), texture(96, 160, 3)
    first, second = background.copy(), np.roll(background, 4, axis=1)
    first[30:60, 40:70] = front[30:60, 40:70]
    second[30:60, 70:100] = front[30:60, 40:70]
    found = match(pyramid(first, 2), pyramid(second, 2))
    inside = ((found.points1 >= (44, 34)) & (found.points1 < (66, 56))).all(axis=1)
    outside = (found.points1[:, 1] > 70) & (found.points1[:, 0] > 10) & (found.points1[:, 0] < 145)
    assert inside.sum() > 30 and outside.sum() > 100
    assert (np.linalg.norm(found.vectors[inside] - (30, 0), axis=1) < 1).mean() > 0.95
    assert (np.linalg.norm(found.vectors[outside] - (4, 0), axis=1) < 1).mean() > 0.95


def test_same_seed_same_answer_for_any_number_of_threads():
    first, second = moved_pair(40, 60, (3, 2), 2)
    answers = []
    for threads in (1, 3):
        with loops_in(threads):
            answers.append(match_pyramids(first, second).forward)
    np.testing.assert_array_equal(answers[0].vectors, answers[1].vectors)
    np.testing.assert_array_equal(answers[0].second_cost, answers[1].second_cost)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 4)])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("fill", ["random", "constant", "nan"])
def test_tiny_and_odd_images_give_targets_inside(size, levels, fill):
    (height, width), sizes = size, [size]
    for _ in range(levels - 1):
        sizes.append(tuple((length + 1) // 2 for length in sizes[-1]))
    generator = torch.Generator().manual_seed(5)
    first, second = [[torch.randn(*s, 4, generator=generator) for s in sizes] for _ in range(2)]
    if fill != "random":
        for level in (*first, *second):
            level.fill_(1.0 if fill == "constant" else np.nan)
    for field in (match_pyramids(first, second).forward, match_pyramids(first, second).backward):
        target = field.points + field.vectors
        assert np.isfinite(target).all()
        assert ((target >= 0) & (target <= (width - 1, height - 1))).all()
    if fill == "nan":
        with pytest.raises(PatchBatchError, match="not finite; mend what describes"):
            match(first, second)


def test_images_of_different_size_match():
    whole = texture(70, 120, 6)
    dense = match_pyramids(pyramid(whole[10:60, 20:100], 2), pyramid(whole, 2))
    assert dense.forward.cost.shape != dense.backward.cost.shape
    error = np.linalg.norm(dense.forward.vectors - (20, 10), axis=-1)[3:-3, 3:-3]
    assert (error < 1).mean() > 0.98


def test_bfloat16_finds_nearly_the_same():
    first, second = moved_pair(50, 80, (6, 3), 2)
    exact = match_pyramids(first, second).forward.vectors
    short = match_pyramids([d.bfloat16() for d in first], [d.bfloat16() for d in second]).forward.vectors
    assert (np.linalg.norm(exact - short, axis=-1) < 0.5).mean() > 0.9


def test_exact_method_finds_a_shift_on_every_pixel():
    first, second = moved_pair(30, 40, (4, -2), 1)
    settings = MatchingSettings("exact", ExactMatcherSettings(step=1))
    found = match(first[0], second[0], settings)
    assert len(found) > 600
    inner = ((found.points1 >= 10) & (found.points1 < (26, 20))).all(axis=1)  # clear of the border
    assert inner.sum() > 100
    assert (found.vectors[inner] == (4, -2)).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    thinned = match(first, second, MatchingSettings("exact"))
    assert len(found) / 12 < len(thinned) < len(found) / 6


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([], [], "at least the full image"),
        ([torch.zeros(4, 4, 2)], [torch.zeros(4, 4, 2), torch.zeros(2, 2, 2)], "1 and 2 levels"),
        ([torch.zeros(5, 4, 2), torch.zeros(2, 2, 2)], [torch.zeros(5, 4, 2)] * 2, r"\(3, 2, 2\)"),
        ([torch.zeros(4, 4, 2)], [torch.zeros(4, 4, 3)], "one model"),
        (torch.zeros(4, 4, 2), torch.zeros(4, 4, 2), "needs a list"),
    ],
)
def test_pyramids_that_do_not_fit_are_refused(first, second, says):
    with pytest.raises(PatchBatchError, match=says):
        match(first, second)


@pytest.mark.parametrize("settings", [{"step": 0}, {"hypotheses": 0}, {"strides": (0,)}, {"smoothness": -1}])
def test_search_settings_out_of_range_are_refused(settings):
    with pytest.raises(PatchBatchError):
        CoarseToFineSettings(**settings)


@pytest.mark.parametrize(
    "settings", [{"method": "guess"}, {"search": ExactSettings()}, {"check_threshold": -1.0}]
)
def test_matching_settings_out_of_range_are_refused(settings):
    with pytest.raises(PatchBatchError):
        MatchingSettings(**settings)


@pytest.mark.parametrize("method", ["exact", "patchmatch", "jump-flooding"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_identical_images_keep_a_match_at_every_seed_of_any_step(method, step):
    # A grid index taken for a pixel leaves none of them once the step is above 1.
    same = histograms(texture(20, 24, 6))
    search = replace(MatchingSettings(method).search, step=step)
    found = match(same, same, MatchingSettings(method, search, smallest_island=1))
    np.testing.assert_array_equal(found.points1, seed_grid(20, 24, step).reshape(-1, 2))
    assert (found.vectors == 0).all()


def test_an_empty_pyramid_is_refused_by_the_exact_method():
    with pytest.raises(PatchBatchError, match="empty"):
        match([], [], MatchingSettings(method="exact"))
