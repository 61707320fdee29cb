"""Rank and shrinkage that suit the training rows, and pairs among selected rows."""

import numpy as np
import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.choice import LEAST_CLASSES, choose_rank
from patchbatch.transfer.verification.pairs import Pairs, make_pairs


def made(classes, each, width, telling, seed=0):
    """Classes that differ in a few directions of large variance, among many that say nothing."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    X = generator.normal(size=(len(labels), width))
    X[:, :telling] += 3 * generator.normal(size=(classes, telling))[labels]
    return X, labels


def test_few_directions_are_taken_where_the_many_only_add_noise():
    X, labels = made(150, 2, 130, 8)
    chosen = choose_rank(X, labels)
    # 300 samples of 150 classes: in all 130 directions the covariance within classes is next to singular.
    assert chosen.rank in (10, 25)
    other, other_labels = made(100, 2, 130, 8, seed=1)
    mine = JointBayesian(rank=chosen.rank, shrinkage=chosen.shrinkage).fit(X, labels)
    assert mine.score(other, other_labels) > JointBayesian().fit(X, labels).score(other, other_labels) + 0.05
    assert f"rank {chosen.rank}" in str(chosen)
    assert choose_rank(X, labels) == chosen


def test_all_directions_where_all_of_them_say_something():
    X, labels = made(200, 6, 12, 12)
    chosen = choose_rank(X, labels)
    assert chosen.rank is None
    assert chosen.area > 0.9


def test_too_few_classes_to_choose():
    X, labels = made(LEAST_CLASSES - 1, 3, 30, 3)
    chosen = choose_rank(X, labels)
    assert np.isnan(chosen.area)
    JointBayesian(rank=chosen.rank, shrinkage=chosen.shrinkage).fit(X, labels)  # and it can be fitted
    assert "too few classes" in str(chosen)
    assert choose_rank(*made(LEAST_CLASSES - 1, 30, 5, 3)).shrinkage == 0


def test_samples_that_are_all_equal():
    with pytest.raises(PatchBatchError, match="equal"):
        choose_rank(np.ones((60, 3)), np.repeat(np.arange(20), 3))


def test_selected_rows_keep_their_pairs():
    labels = np.repeat(np.arange(6), 4)
    pairs = make_pairs(labels, 10, folds=2)
    rows = np.array([3, 20, 1, 0, 7, 6, 21, 22])
    found = pairs.select(rows)
    kept = np.isin(pairs.first, rows) & np.isin(pairs.second, rows)
    assert 0 < len(found) == kept.sum() < len(pairs)
    np.testing.assert_array_equal(rows[found.first], pairs.first[kept])
    np.testing.assert_array_equal(rows[found.second], pairs.second[kept])
    np.testing.assert_array_equal(found.same, labels[rows][found.first] == labels[rows][found.second])
    np.testing.assert_array_equal(found.fold, pairs.fold[kept])
    mask = np.isin(np.arange(24), rows)
    np.testing.assert_array_equal(np.sort(rows)[pairs.select(mask).first], pairs.first[kept])
    with pytest.raises(PatchBatchError, match="twice"):
        pairs.select([1, 1])
    assert len(Pairs(*(np.zeros(0, int),) * 4).select([])) == 0
