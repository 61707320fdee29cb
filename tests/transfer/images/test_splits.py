"""Who is learned and who is judged: nobody is both, and the seed alone says who."""

import numpy as np
import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import LabelledImages, hold_out_people, split_classes
from patchbatch.transfer.images.splits import pairs_of_people, split_by_class, split_by_person


def made(labels, part=None):
    labels = np.asarray(labels)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    names = tuple(f"c{k}" for k in range(labels.max() + 1))
    return LabelledImages(images, labels, names, np.zeros_like(labels) if part is None else np.asarray(part))


def test_classes_are_split_by_the_seed_alone():
    source, target = split_classes(100, 10, 0)
    assert len(target) == 10 and sorted([*source, *target]) == list(range(100))
    assert split_classes(100, 10, 0)[1].tolist() == target.tolist() != split_classes(100, 10, 1)[1].tolist()
    for targets in (0, 1, 99, 100):
        with pytest.raises(PatchBatchError, match="2 to 98"):
            split_classes(100, targets, 0)


def test_the_protocol_of_classes():
    data = made(np.repeat(np.arange(6), 5), np.tile([0, 0, 0, 1, 1], 6))
    split = split_by_class(data, 2, 3)
    source, target = split_classes(6, 2, 3)
    assert split.train.names == tuple(f"c{k}" for k in source) == split.held_out.names
    assert (len(split.train), len(split.held_out), len(split.target)) == (12, 8, 10)
    # An image is where its old class went, under its new number.
    for part in (split.train, split.held_out):
        old = part.images[:, 0, 0] // 5
        np.testing.assert_array_equal(source[part.labels], old)
    np.testing.assert_array_equal(target[split.target.labels], split.target.images[:, 0, 0] // 5)
    assert split_by_class(data, 0, 0).target is None


def test_people_are_held_out_whole_and_by_how_many_images_they_have():
    data = made(np.concatenate([np.arange(40), np.repeat(np.arange(20), 3)]))
    train, held = hold_out_people(data, 0.25, 0)
    assert not set(train.names) & set(held.names)
    assert len(held.names) == 10 and sum(np.bincount(held.labels) > 1) == 5
    assert len(train) + len(held) == len(data)
    assert hold_out_people(data, 0.25, 1)[1].names != held.names
    for share in (0.01, 1.0):
        with pytest.raises(PatchBatchError, match="two images or more"):
            hold_out_people(data, share, 0)
    assert split_by_person(data, 0.0, 0).held_out is None


def test_pairs_of_people_go_by_people_and_not_by_images():
    labels = np.concatenate([np.zeros(200, np.int64), np.repeat([1, 2, 3], 2), [4, 5]])
    pairs = pairs_of_people(labels, 400, 0)
    assert pairs.same.sum() == 400 == (~pairs.same).sum()
    np.testing.assert_array_equal(labels[pairs.first] == labels[pairs.second], pairs.same)
    assert (pairs.first != pairs.second).all()
    asked = np.bincount(labels[pairs.first[pairs.same]], minlength=6)
    assert asked[:4].min() > 70 and not asked[4:].any()  # a quarter each, though one has 200 images
    with pytest.raises(PatchBatchError, match="no pairs"):
        pairs_of_people(np.arange(5), 3, 0)
