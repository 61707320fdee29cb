"""Folds, thresholds, ROC figures, pairs and ensembles, against slow and closed-form ones."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.pairs import Pairs, check_disjoint, deal_folds, make_pairs
from patchbatch.transfer.verification.protocol import (
    cross_validate,
    paired_difference,
    verify,
    verify_source,
    verify_splits,
)
from patchbatch.transfer.verification.roc import (
    accuracy,
    choose_threshold,
    equal_error_rate,
    roc_curve,
    tar_at_far,
)
from patchbatch.transfer.verification.scorers import (
    Cosine,
    Projected,
    Projection,
    average_scores,
    concatenate_features,
    score_pairs,
)


def tied_scores(seed, count=60):
    """Scores on a coarse grid, so that many are equal."""
    generator = np.random.default_rng(seed)
    same = np.arange(count) % 2 == 0
    return np.round(generator.normal(size=count) + same, 1), same


# --- ROC ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_roc_is_the_counts_at_every_threshold(seed):
    scores, same = tied_scores(seed)
    roc = roc_curve(scores, same)
    assert roc.thresholds.tolist() == [np.inf, *sorted(set(scores), reverse=True)]
    for far, tar, threshold in zip(roc.far, roc.tar, roc.thresholds, strict=True):
        assert far == np.mean(scores[~same] >= threshold)
        assert tar == np.mean(scores[same] >= threshold)
    wins = [(s > n) + 0.5 * (s == n) for s in scores[same] for n in scores[~same]]
    assert roc.area == pytest.approx(np.mean(wins), abs=1e-12)


def test_roc_does_not_depend_on_the_order_of_ties():
    scores, same = tied_scores(0)
    order = np.random.default_rng(1).permutation(scores.size)
    one, other = roc_curve(scores, same), roc_curve(scores[order], same[order])
    np.testing.assert_array_equal(one.far, other.far)
    np.testing.assert_array_equal(one.tar, other.tar)


def test_all_scores_equal_say_nothing():
    roc = roc_curve(np.zeros(10), np.arange(10) < 4)
    assert roc.far.tolist() == roc.tar.tolist() == [0, 1]
    assert equal_error_rate(roc) == roc.area == 0.5


def test_equal_error_rate_of_two_gaussians():
    # N(0, 1) against N(2, 1): the rates cross at 1, where both are Phi(-1) = 0.1587.
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.normal(2, 1, 100_000), generator.normal(0, 1, 100_000)])
    roc = roc_curve(scores, np.repeat([True, False], 100_000))
    assert equal_error_rate(roc) == pytest.approx(0.15866, abs=2e-3)
    assert roc.area == pytest.approx(0.92135, abs=2e-3)  # Phi(sqrt 2)


def test_equal_error_rate_lies_on_the_line_between_points():
    # Points (0, 0), (0, 2/3), (1/2, 2/3) ...: on FAR = FRR = 1/3, between the second and the third.
    roc = roc_curve([5, 4, 3, 2, 1], [1, 1, 0, 1, 0])
    assert equal_error_rate(roc) == pytest.approx(1 / 3)
    assert equal_error_rate(roc_curve([2, 1], [1, 0])) == 0
    assert equal_error_rate(roc_curve([2, 1], [0, 1])) == 1


def test_tar_at_far_is_a_real_threshold():
    scores, same = tied_scores(2, 400)
    roc = roc_curve(scores, same)
    for far in (0.005, 0.01, 0.1, 1.0):
        slow = max(np.mean(scores[same] >= t) for t in roc.thresholds if np.mean(scores[~same] >= t) <= far)
        assert tar_at_far(roc, far) == slow


def test_tar_at_far_needs_negatives():
    roc = roc_curve(np.arange(2000.0), np.arange(2000) % 2)
    tar_at_far(roc, 0.001)
    with pytest.raises(PatchBatchError, match="needs 2000 not-same pairs, there are 1000"):
        tar_at_far(roc, 0.0005)
    for far in (0, -0.1, 1.5, np.nan):
        with pytest.raises(PatchBatchError, match="not in"):
            tar_at_far(roc, far)


# --- thresholds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_no_cut_is_better_than_the_chosen(seed):
    scores, same = tied_scores(seed)
    best = accuracy(scores, same, choose_threshold(scores, same))
    cuts = [-np.inf, np.inf, *scores, *(scores + 0.05)]
    assert best == max(accuracy(scores, same, cut) for cut in cuts)


def test_threshold_lies_midway():
    assert choose_threshold([0, 1, 3, 4], [0, 0, 1, 1]) == 2
    assert choose_threshold([4, 3, 1, 0], [1, 1, 0, 0]) == 2


def test_of_equally_good_cuts_the_middle_one_is_taken():
    # At or above 5, 3 and 1 four of six are right, at other cuts three.
    assert choose_threshold([0, 1, 2, 3, 4, 5], [0, 1, 0, 1, 0, 1]) == 2.5


def test_threshold_may_accept_all_or_none():
    all_same = choose_threshold([0, 1, 2, 3], [1, 1, 1, 0])
    assert accuracy([0, 1, 2, 3], [1, 1, 1, 0], all_same) == 0.75
    none = choose_threshold([0, 1, 2, 3], [1, 0, 0, 0])
    assert none > 3


def test_threshold_between_neighbouring_floats_still_cuts():
    low, high = 1.0, np.nextafter(1.0, 2)
    threshold = choose_threshold([high, low], [1, 0])
    assert accuracy([high, low], [1, 0], threshold) == 1
    huge = np.finfo(float).max
    assert np.isfinite(choose_threshold([huge, huge / 2], [1, 0]))


def test_threshold_for_a_far():
    scores, same = tied_scores(3, 400)
    for far in (0.01, 0.05):
        threshold = choose_threshold(scores, same, far=far)
        assert np.mean(scores[~same] >= threshold) <= far
        assert np.mean(scores[same] >= threshold) == tar_at_far(roc_curve(scores, same), far)


@pytest.mark.parametrize(
    ("scores", "same", "says"),
    [
        ([1, 2, 3], [1, 0], "3 pairs"),
        ([1, np.nan], [1, 0], "pair 1 is nan"),
        ([1, 2], [1, 1], "one kind"),
        ([1, 2], [1, 2], "0 and 1"),
        (["a", "b"], [1, 0], "scores are"),
        ([], [], "scores are"),
    ],
)
def test_bad_scores_get_one_line(scores, same, says):
    with pytest.raises(PatchBatchError, match=says) as caught:
        roc_curve(scores, same)
    assert "\n" not in str(caught.value)


# --- pairs -------------------------------------------------------------------------------------------

LABELS = np.array([7, 3, 7, 7, 3, 9, 9, 9, 9, 5])


def test_every_pair_can_be_drawn_and_none_twice():
    same_pairs = [set(p) for p in combinations(range(10), 2) if LABELS[p[0]] == LABELS[p[1]]]
    assert len(same_pairs) == 10
    pairs = make_pairs(LABELS, 10, folds=1)
    drawn = [frozenset(p) for p in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)]
    assert {*drawn[:10]} == {frozenset(p) for p in same_pairs}
    assert len(set(drawn)) == 20
    np.testing.assert_array_equal(pairs.same, LABELS[pairs.first] == LABELS[pairs.second])
    with pytest.raises(PatchBatchError, match="has 10 same pairs, 11 are asked for"):
        make_pairs(LABELS, 11, folds=1)


def test_all_not_same_pairs_are_reached():
    labels = np.array([0, 1, 0, 1, 2, 0, 1])  # 6 same pairs, 15 of another kind
    seen = set()
    for seed in range(60):
        pairs = make_pairs(labels, 6, folds=1, seed=seed)[np.repeat([False, True], 6)]
        assert (labels[pairs.first] != labels[pairs.second]).all()
        seen |= {frozenset(p) for p in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert len(seen) == 15


def test_pairs_of_the_same_seed_are_the_same():
    labels = np.arange(400) % 20
    one, again, other = (make_pairs(labels, 50, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.first, again.first)
    assert (one.first != other.first).any()
    for fold in range(10):
        assert one.of_folds(fold).same.sum() == 50
        assert len(one.of_folds(fold)) == 100


def test_dealt_folds_share_no_class():
    labels = np.random.default_rng(0).integers(0, 40, 500)
    row_fold = deal_folds(labels, 5)
    for name in np.unique(labels):
        assert np.unique(row_fold[labels == name]).size == 1
    pairs = make_pairs(labels, 30, row_fold=row_fold)
    assert (row_fold[pairs.first] == pairs.fold).all()
    assert (row_fold[pairs.second] == pairs.fold).all()
    with pytest.raises(PatchBatchError, match="cannot be dealt into 41"):
        deal_folds(labels, 41)


def test_bad_pairs_get_one_line():
    with pytest.raises(PatchBatchError, match="give one of each"):
        Pairs(np.zeros(2, int), np.zeros(3, int), np.zeros(2, bool), np.zeros(2, int))
    with pytest.raises(PatchBatchError, match="1 or more of both"):
        make_pairs(LABELS, 0)
    with pytest.raises(PatchBatchError, match="1 classes are both trained on and tested, such as 3"):
        check_disjoint([1, 3], [3, 4])


# --- scorers -----------------------------------------------------------------------------------------


def test_cosine():
    a, b = np.array([[1.0, 0], [1, 1], [0, 0]]), np.array([[0.0, 2], [3, 3], [1, 0]])
    np.testing.assert_allclose(Cosine().score(a, b), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(Cosine([1, 1]).score(a, b), [-(0.5**0.5), 0, 0.5**0.5], atol=1e-12)


def test_blocks_do_not_change_scores(monkeypatch):
    features = np.random.default_rng(0).normal(size=(20, 3))
    first, second = np.arange(20), np.arange(20)[::-1]
    whole = score_pairs(Cosine(), features, first, second)
    monkeypatch.setattr("patchbatch.transfer.verification.scorers._BLOCK", 7)
    np.testing.assert_array_equal(score_pairs(Cosine(), features, first, second), whole)
    assert score_pairs(Cosine(), features, [], []).shape == (0,)
    with pytest.raises(PatchBatchError, match="count from 0"):
        score_pairs(Cosine(), features, [0], [20])


def test_projection_keeps_the_widest_directions():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(500, 5)) * [1, 9, 3, 0.1, 0] + 40
    projection = Projection(2).fit(features)
    projected = projection.transform(features)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(projected.std(axis=0), [9, 3], rtol=0.1)
    white = Projection(3, whiten=True).fit(features).transform(features)
    np.testing.assert_allclose(np.cov(white.T), np.eye(3), atol=1e-6)
    unit = Projected(Projection(2, unit_length=True).fit(features), Cosine())
    np.testing.assert_allclose(unit.score(features, features), 1)
    for size, bad in ((6, features), (0, features), (3, np.where(features > 60, np.nan, features))):
        with pytest.raises(PatchBatchError):
            Projection(size).fit(bad)


def test_ensembles():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(6, 3)), 1000 * generator.normal(size=(6, 4))
    both = concatenate_features(a, b)
    rows = np.arange(3), np.arange(3, 6)
    one, other, together = (score_pairs(Cosine(), x, *rows) for x in (a, b, both))
    # Vectors of unit length side by side: the cosine is the mean of the cosines.
    np.testing.assert_allclose(together, average_scores(one, other), atol=1e-12)
    with pytest.raises(PatchBatchError, match="all the same samples"):
        concatenate_features(a, b[:5])


# --- folds -------------------------------------------------------------------------------------------


def ten_folds(seed=0):
    scores, same = tied_scores(seed, 600)
    rows = np.arange(600)
    return scores, Pairs(rows, rows, same, rows // 60)


def test_each_fold_is_judged_with_the_others_threshold():
    scores, pairs = ten_folds()
    result = cross_validate(scores, pairs)
    slow = []
    for fold in range(10):
        inside = pairs.fold == fold
        threshold = choose_threshold(scores[~inside], pairs.same[~inside])
        slow.append(np.mean((scores[inside] >= threshold) == pairs.same[inside]))
    assert result.accuracies.tolist() == slow
    assert result.accuracy == pytest.approx(sum(slow) / 10)
    variance = sum((x - sum(slow) / 10) ** 2 for x in slow) / 9
    assert result.standard_error == pytest.approx((variance / 10) ** 0.5)
    assert result.roc.negatives == 300


def test_the_tested_fold_does_not_move_its_own_threshold():
    scores, pairs = ten_folds()
    changed = np.where(pairs.fold == 3, -10 * scores, scores)
    before, after = cross_validate(scores, pairs), cross_validate(changed, pairs)
    assert after.thresholds[3] == before.thresholds[3]
    assert after.accuracies[3] != before.accuracies[3]


def test_paired_difference():
    scores, pairs = ten_folds()
    one = cross_validate(scores, pairs)
    better = cross_validate(scores + 0.3 * pairs.same, pairs)
    mean, error = paired_difference(better, one)
    differences = better.accuracies - one.accuracies
    assert mean == pytest.approx(better.accuracy - one.accuracy)
    assert error == pytest.approx(differences.std(ddof=1) / 10**0.5)
    with pytest.raises(PatchBatchError, match="same folds"):
        paired_difference(one, cross_validate(scores[:540], pairs.of_folds(range(9))))


def test_too_few_folds():
    scores, pairs = ten_folds()
    with pytest.raises(PatchBatchError, match="1 folds; 2 or more"):
        cross_validate(scores[:60], pairs.of_folds(0))


class Recorder:
    """A fit that remembers the classes it saw, with a scorer that looks for the class number."""

    def __init__(self):
        self.seen = []

    def __call__(self, features, labels):
        self.seen.append(set(labels.tolist()))
        return Cosine(features.mean(axis=0))


def people(seed=0):
    """Features of 40 classes in 4 folds, and pairs."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(40), 5)
    features = generator.normal(size=(40, 8))[labels] + generator.normal(size=(200, 8))
    row_fold = deal_folds(labels, 4, seed)
    return features, labels, row_fold, make_pairs(labels, 40, row_fold=row_fold, seed=seed)


def test_splits_never_train_on_the_tested_fold_or_on_its_thresholds_folds():
    features, labels, row_fold, pairs = people()
    fit = Recorder()
    result = verify_splits(fit, features, labels, row_fold, pairs)
    assert len(fit.seen) == 4 * 5 // 2
    classes = [set(labels[row_fold == f].tolist()) for f in range(4)]
    wanted = [frozenset(range(40)) - classes[f] for f in range(4)]
    wanted += [frozenset(range(40)) - classes[f] - classes[g] for f, g in combinations(range(4), 2)]
    assert {frozenset(seen) for seen in fit.seen} == {frozenset(w) for w in wanted}
    for f, fold in enumerate(result.folds):
        scorer = Cosine(features[row_fold != fold].mean(axis=0))
        inside = pairs.of_folds(fold)
        scores = score_pairs(scorer, features, inside.first, inside.second)
        np.testing.assert_allclose(result.scores[pairs.fold == fold], scores)
        held_out, same = [], []
        for other in set(result.folds) - {fold}:
            scorer = Cosine(features[~np.isin(row_fold, (fold, other))].mean(axis=0))
            chosen = pairs.of_folds(other)
            held_out += score_pairs(scorer, features, chosen.first, chosen.second).tolist()
            same += chosen.same.tolist()
        assert result.thresholds[f] == choose_threshold(held_out, same)


def test_source_is_refused_when_it_shares_a_class_with_the_test():
    features, labels, row_fold, pairs = people()
    test = pairs.of_folds((0, 1))
    fit = Recorder()
    result = verify_source(fit, features, labels, row_fold >= 2, test)
    scorer = Cosine(features[row_fold >= 2].mean(axis=0))
    assert result.accuracies.tolist() == verify(scorer, features, test).accuracies.tolist()
    with pytest.raises(PatchBatchError, match="both trained on and tested"):
        verify_source(fit, features, labels, row_fold >= 1, test)
    assert len(fit.seen) == 1


def test_splits_refuse_a_class_in_two_folds_and_pairs_across():
    features, labels, row_fold, pairs = people()
    moved = row_fold.copy()
    free = np.setdiff1d(np.arange(200), np.concatenate([pairs.first, pairs.second]))
    moved[free[0]] = (moved[free[0]] + 1) % 4
    with pytest.raises(PatchBatchError, match="both trained on and tested"):
        verify_splits(Recorder(), features, labels, moved, pairs)
    with pytest.raises(PatchBatchError, match="another fold"):
        verify_splits(Recorder(), features, labels, (row_fold + 1) % 4, pairs)
    with pytest.raises(PatchBatchError, match="2 folds; 3 or more"):
        verify_splits(Recorder(), features, labels, row_fold, pairs.of_folds((0, 1)))


def one_line(call, *arguments):
    with pytest.raises(PatchBatchError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pairs_against_the_labels_and_pairs_of_a_row_with_itself_are_refused():
    labels = np.repeat(np.arange(12), 4)
    row_fold = deal_folds(labels, 4)
    pairs = make_pairs(labels, 4, row_fold=row_fold)
    features = np.random.default_rng(0).normal(size=(48, 3))

    def fit(x, of):
        return Cosine(x.mean(axis=0))

    turned = replace(pairs, same=pairs.same ^ (np.arange(len(pairs)) == 5))
    for judge in (
        lambda: verify_splits(fit, features, labels, row_fold, turned),
        lambda: verify_source(fit, features, labels, np.zeros(48, bool), turned),
    ):
        assert "pair 5 is said to be" in one_line(judge)
    itself = replace(pairs, second=np.where(np.arange(len(pairs)) == 3, pairs.first, pairs.second))
    assert f"pair 3 is row {pairs.first[3]} with itself" in one_line(verify, Cosine(), features, itself)


def test_labels_of_any_one_kind_are_taken_and_others_refused():
    texts = np.array(["b", "a", "b", "a", "c", "c"])
    wanted = make_pairs(texts, 1, folds=2, seed=3)
    for labels in (texts.astype(object), texts.tolist(), np.array([2, 1, 2, 1, 3, 3], object)):
        drawn = make_pairs(labels, 1, folds=2, seed=3)
        assert drawn.first.tolist() == wanted.first.tolist() and drawn.same.tolist() == wanted.same.tolist()
    for labels in (np.array(["a", 1, None], object), np.array([0.5, 1]), [], np.zeros((2, 2), int)):
        for call in (
            lambda x: make_pairs(x, 1),
            lambda x: deal_folds(x, 2),
            lambda x: check_disjoint(x, [1]),
        ):
            assert "labels " in one_line(call, labels)


def test_huge_features_are_compared_or_refused():
    features = 1e200 * np.array([[1.0, 0], [1, 1], [0, 0]])
    with np.errstate(over="ignore"):
        cosines = Cosine().score(features[[0, 2]], features[[1, 1]])
    np.testing.assert_allclose(cosines, [2**-0.5, 0])
    labels = np.array([0, 0, 1, 1])
    big = np.random.default_rng(0).normal(size=(4, 2))
    big[2, 1] = -1e200
    said = one_line(lambda: JointBayesian(shrinkage=0.1).fit(big, labels))
    assert "beyond 1e+140, in row 2" in said
