"""Pairs of samples in folds: drawn from labels, or given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import as_classes

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows of a feature array.

    Attributes
    ----------
    first, second
        `(N,)` row numbers, from 0.
    same
        `(N,)` bool: the two samples are of one class.
    fold
        `(N,)` the fold of each pair, any integers.
    """

    first: Rows
    second: Rows
    same: NDArray[np.bool_]
    fold: Rows

    def __post_init__(self) -> None:
        shapes = {np.shape(array) for array in (self.first, self.second, self.same, self.fold)}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise PatchBatchError(f"the columns of the pairs have shapes {sorted(shapes)}; give one of each")

    def __len__(self) -> int:
        return int(self.first.size)

    def __getitem__(self, which: NDArray[np.bool_] | Rows) -> Pairs:
        """Return the pairs that a mask or an index array picks."""
        return Pairs(self.first[which], self.second[which], self.same[which], self.fold[which])

    def select(self, rows: ArrayLike) -> Pairs:
        """Return the pairs both of whose samples are among some rows, their numbers counted within these.

        Parameters
        ----------
        rows
            Numbers of rows, none twice, or a mask: what `features[rows]` takes. The pairs go with that array.

        Raises
        ------
        PatchBatchError
            A row twice.

        Examples
        --------
        >>> pairs = Pairs(np.array([0, 2]), np.array([1, 3]), np.array([True, False]), np.zeros(2, int))
        >>> pairs.select([3, 2]).first
        array([1])
        """
        given = np.asarray(rows)
        kept = np.flatnonzero(given) if given.dtype == np.bool_ else given.astype(np.int64)
        if np.unique(kept).size < kept.size:
            raise PatchBatchError("the rows that are selected hold one twice; give each once")
        place = np.full(
            int(max(kept.max(initial=-1), self.first.max(initial=-1), self.second.max(initial=-1))) + 1, -1
        )
        place[kept] = np.arange(kept.size)
        first, second = place[self.first], place[self.second]
        inside = (first >= 0) & (second >= 0)
        return Pairs(first[inside], second[inside], self.same[inside], self.fold[inside])

    def of_folds(self, folds: ArrayLike) -> Pairs:
        """Return the pairs of some folds, in their order."""
        return self[np.isin(self.fold, folds)]


def make_pairs(
    labels: ArrayLike, count: int, folds: int = 10, row_fold: ArrayLike | None = None, seed: int = 0
) -> Pairs:
    """Draw `count` same and `count` not-same pairs for each fold, uniformly and none twice.

    Parameters
    ----------
    labels
        `(N,)` the class of each row.
    count
        Pairs of each kind in a fold (LFW: 300).
    folds
        Number of folds when `row_fold` is None. A class may then be in several of them, as with the ten
        unseen classes of CIFAR-100, and no model may be trained on the other folds.
    row_fold
        `(N,)` the fold of each row, from `deal_folds` or of a data set; a pair stays within its fold.
    seed
        Of the drawing; the same seed gives the same pairs.

    Raises
    ------
    PatchBatchError
        Fewer than one pair or fold is asked for, or a fold has too few pairs of a kind.
    """
    names = np.unique(as_classes(labels), return_inverse=True)[1]
    if count < 1 or folds < 1:
        raise PatchBatchError(f"{count} pairs in {folds} folds cannot be drawn; give 1 or more of both")
    generator = np.random.default_rng(seed)
    if row_fold is None:
        first, second, same = _draw(names, count * folds, generator, "the data")
        fold = np.tile(np.repeat(np.arange(folds), count), 2)
        return Pairs(first, second, same, fold)
    row_folds = np.asarray(row_fold)
    parts = []
    for fold_number in np.unique(row_folds):
        rows = np.flatnonzero(row_folds == fold_number)
        first, second, same = _draw(names[rows], count, generator, f"fold {fold_number}")
        parts.append((rows[first], rows[second], same, np.full(2 * count, fold_number)))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def deal_folds(labels: ArrayLike, folds: int, seed: int = 0) -> Rows:
    """Return the fold of each row, `(N,)`, such that no class is in two folds.

    Raises
    ------
    PatchBatchError
        More folds than classes, or fewer than two folds.
    """
    classes, names = np.unique(as_classes(labels), return_inverse=True)
    if not 2 <= folds <= classes.size:
        raise PatchBatchError(f"{classes.size} classes cannot be dealt into {folds} folds; give 2 or more")
    dealt = np.random.default_rng(seed).permutation(classes.size) % folds
    return dealt[names].astype(np.int64)


def check_disjoint(trained: ArrayLike, tested: ArrayLike) -> None:
    """Refuse a training set that holds classes which are tested.

    Raises
    ------
    PatchBatchError
        Any class is in both.
    """
    both = np.intersect1d(as_classes(trained), as_classes(tested))
    if both.size:
        raise PatchBatchError(
            f"{both.size} classes are both trained on and tested, such as {both[0]}; "
            "take them out of the training set"
        )


def check_pairs(pairs: Pairs, labels: ArrayLike | None = None) -> None:
    """Refuse pairs of a row with itself, and pairs whose truth contradicts the labels.

    Parameters
    ----------
    pairs
        To be judged.
    labels
        `(N,)` the class of every row; None: only the rows are looked at.

    Raises
    ------
    PatchBatchError
        Names the first such pair.
    """
    itself = pairs.first == pairs.second
    if itself.any():
        where = int(np.argmax(itself))
        raise PatchBatchError(
            f"pair {where} is row {pairs.first[where]} with itself, which says nothing; leave it out"
        )
    if labels is None:
        return
    names = as_classes(labels)
    if len(pairs) and max(pairs.first.max(), pairs.second.max()) >= len(names):
        return  # scoring says which row is not there
    wrong = (names[pairs.first] == names[pairs.second]) != pairs.same
    if wrong.any():
        where = int(np.argmax(wrong))
        told = "same" if pairs.same[where] else "not the same"
        one, other = names[pairs.first[where]], names[pairs.second[where]]
        raise PatchBatchError(
            f"pair {where} is said to be {told}, but its rows are of {one} and {other}; "
            "mend the pairs or the labels"
        )


def _draw(
    names: NDArray[np.int64], count: int, generator: np.random.Generator, where: str
) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Draw pairs by their number in the list of all pairs of a kind, which is never written out."""
    order = np.argsort(names, kind="stable")
    sizes = np.bincount(names)
    parts = []
    for kind, unrank, total in (
        ("same", _unrank_same, int((sizes * (sizes - 1) // 2).sum())),
        ("not-same", _unrank_other, int((names.size**2 - (sizes**2).sum()) // 2)),
    ):
        if total < count:
            raise PatchBatchError(f"{where} has {total} {kind} pairs, {count} are asked for; ask for fewer")
        parts.append(unrank(generator.choice(total, count, replace=False), sizes))
    first, second = (order[np.concatenate(column)] for column in zip(*parts, strict=True))
    return first, second, np.repeat([True, False], count)


def _unrank_same(rank: Rows, sizes: Rows) -> tuple[Rows, Rows]:
    """Return places in class order of the same pairs with these numbers."""
    ends = np.cumsum(sizes * (sizes - 1) // 2)
    of_class = np.searchsorted(ends, rank, side="right")
    within = rank - (ends - sizes * (sizes - 1) // 2)[of_class]
    # Pairs (i, j), i < j, in the order of j: j (j - 1) / 2 come before j's first.
    j = ((1 + np.sqrt(1 + 8 * within.astype(np.float64))) / 2).astype(np.int64)
    start = (np.cumsum(sizes) - sizes)[of_class]
    return start + within - j * (j - 1) // 2, start + j


def _unrank_other(rank: Rows, sizes: Rows) -> tuple[Rows, Rows]:
    """Return places in class order of the not-same pairs with these numbers."""
    class_ends = np.repeat(np.cumsum(sizes), sizes)  # a place is paired with all places of later classes
    ends = np.cumsum(class_ends[-1] - class_ends)
    i = np.searchsorted(ends, rank, side="right")
    within = rank - (ends[i] - (class_ends[-1] - class_ends[i]))
    return i, class_ends[i] + within
