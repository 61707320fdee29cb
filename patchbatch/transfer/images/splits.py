"""Who is learned, who is judged as the training goes on, and who is kept for the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import (
    TRAIN,
    VALIDATION,
    LabelledImages,
    hold_out_people,
    split_classes,
)
from patchbatch.transfer.verification.pairs import Pairs


@dataclass(frozen=True)
class Split:
    """A set of labelled images, split.

    Attributes
    ----------
    train
        To learn from; classes numbered from 0.
    held_out
        Of classes: other images of the learned ones, with the same numbers. Of people: other people. None
        where nothing is held out.
    target
        Images of the classes that are not learned; None where all are.
    people
        Whether the classes are people.
    """

    train: LabelledImages
    held_out: LabelledImages | None
    target: LabelledImages | None
    people: bool


def split_by_class(data: LabelledImages, targets: int, seed: int) -> Split:
    """Split a set with validation images: the talk's protocol with 10 of 100 classes as the target.

    Raises
    ------
    PatchBatchError
        As `split_classes`.
    """
    count = len(data.names)
    source, target = split_classes(count, targets, seed) if targets else (np.arange(count), np.arange(0))
    learned = data.of_classes(source)
    kept = data.of_classes(target) if targets else None
    return Split(learned.of_parts(TRAIN), learned.of_parts(VALIDATION), kept, people=False)


def split_by_person(data: LabelledImages, held_out: float, seed: int) -> Split:
    """Split a set of people: a share of them is held out.

    Raises
    ------
    PatchBatchError
        For fewer than two people, and as `hold_out_people`.
    """
    data = data.compact()
    if len(data.names) < 2:
        raise PatchBatchError(f"there are {len(data.names)} people to learn; give two or more")
    if not held_out:
        return Split(data, None, None, people=True)
    train, other = hold_out_people(data, held_out, seed)
    return Split(train, other, None, people=True)


def pairs_of_people(labels: np.ndarray[tuple[int], np.dtype[np.int64]], count: int, seed: int) -> Pairs:
    """Draw pairs as those of LFW were drawn: people first, then images of them; all in one fold.

    Uniform pairs would nearly all be of the one person with 500 images.

    Parameters
    ----------
    labels
        `(N,)` the person of each image.
    count
        Same pairs, and as many others; a pair may come twice.
    seed
        Of the drawing.

    Raises
    ------
    PatchBatchError
        When nobody has two images, or there is one person only.
    """
    people, counts = np.unique(labels, return_counts=True)
    if len(people) < 2 or counts.max() < 2:
        raise PatchBatchError("no pairs of people: two people and two images of one are needed")
    generator = np.random.default_rng(seed)
    rows = {person: np.flatnonzero(labels == person) for person in people}
    same = [
        generator.choice(rows[one], 2, replace=False) for one in generator.choice(people[counts > 1], count)
    ]
    other = [
        [generator.choice(rows[one]) for one in generator.choice(people, 2, replace=False)]
        for _ in range(count)
    ]
    first, second = np.array([*same, *other], np.int64).T
    return Pairs(first, second, np.repeat([True, False], count), np.zeros(2 * count, np.int64))
