"""Batches: the seed and the number alone say what is in them, and how each image is changed."""

import numpy as np
import pytest
import torch

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import LabelledImages
from patchbatch.transfer.train_images.samples import Batches, augmented
from patchbatch.transfer.train_images.settings import AUGMENTATIONS, Augmentation, Sampling

STILL = Augmentation(mirror=False)
RNG = np.random.default_rng


def made(labels, side=16):
    labels = np.asarray(labels)
    images = RNG(0).integers(0, 256, (len(labels), side, side), np.uint8)
    return LabelledImages(images, labels, tuple(map(str, range(labels.max() + 1))), np.zeros_like(labels))


def test_every_image_comes_once_a_round():
    batches = Batches(made(np.arange(10)), Sampling(), STILL, 4, seed=0)
    rows = np.concatenate([batches.rows(step) for step in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10].tolist() != rows[10:].tolist()
    assert Batches(made(np.arange(10)), Sampling(), STILL, 4, seed=1).rows(0).tolist() != rows[:4].tolist()


def test_a_batch_is_the_same_whenever_it_is_asked_for_and_shares_make_the_whole():
    data, changes = made(np.arange(10)), AUGMENTATIONS["faces"].changes
    images, labels = Batches(data, Sampling(), changes, 6, seed=0)[3]
    again, _ = Batches(data, Sampling(), changes, 6, seed=0)[3]
    assert torch.equal(images, again)
    shares = [Batches(data, Sampling(), changes, 6, 0, rank, 2)[3] for rank in (0, 1)]
    assert torch.equal(torch.cat([one for one, _ in shares]), images)
    assert torch.equal(torch.cat([one for _, one in shares]), labels)
    other, _ = Batches(data, Sampling(), changes, 6, seed=1)[3]
    assert not torch.equal(images, other)


def test_batches_of_people():
    labels = np.concatenate([np.repeat(np.arange(6), 5), np.arange(6, 20)])
    batches = Batches(made(labels), Sampling(people=5, per_person=3, several=0.6), STILL, 15, seed=0)
    for step in range(20):
        rows = batches.rows(step)
        people = labels[rows].reshape(5, 3)
        assert (people == people[:, :1]).all() and len(set(people[:, 0])) == 5
        assert sum(people[:, 0] < 6) == 3  # the share of those with several images
        for three, who in zip(rows.reshape(5, 3), people[:, 0], strict=True):
            assert len(set(three)) == (3 if who < 6 else 1)
    assert batches.rows(0).tolist() != batches.rows(1).tolist()


def test_who_is_not_there_cannot_be_drawn():
    data = made(np.concatenate([np.repeat(np.arange(3), 2), np.arange(3, 9)]))
    with pytest.raises(PatchBatchError, match="takes 4 people with two images or more, there are 3"):
        Batches(data, Sampling(people=5, per_person=2, several=0.8), STILL, 10, 0)
    with pytest.raises(PatchBatchError, match="cannot be shared by 2 processes"):
        Batches(data, Sampling(people=3, per_person=2, several=0.5), STILL, 6, 0, 0, 2)
    # Where everyone has several images the share means nothing.
    assert len(
        Batches(made(np.repeat(np.arange(4), 3)), Sampling(people=4, several=0.5), STILL, 16, 0).rows(0)
    )


def test_an_image_without_changes_stays():
    image = RNG(1).integers(0, 256, (9, 12, 3), np.uint8)
    np.testing.assert_allclose(augmented(image, STILL, RNG(0)), image / 255, atol=1e-6)


def test_shifts_are_whole_pixels_and_reach_the_limit():
    image = RNG(1).integers(0, 256, (16, 16), np.uint8)
    found = set()
    for seed in range(200):
        moved = np.rint(255 * augmented(image, Augmentation(mirror=False, shift=0.125), RNG(seed)))
        down, right = next(
            (y, x) for y in range(-2, 3) for x in range(-2, 3)
            if np.array_equal(moved[2:-2, 2:-2], np.roll(image, (y, x), (0, 1))[2:-2, 2:-2])
        )  # fmt: skip
        found.add((down, right))
    assert len(found) == 25


def test_mirror_turns_half_of_the_images():
    image = np.tile(np.arange(8, dtype=np.uint8), (8, 1))
    seen = [augmented(image, Augmentation(), RNG(seed)) for seed in range(200)]
    turned = sum(bool(one[0, 0] > one[0, 7]) for one in seen)
    assert 70 < turned < 130


@pytest.mark.parametrize("name", ["rotation", "scale", "light", "erase"])
def test_each_change_changes_and_stays_in_range(name):
    image = RNG(1).integers(0, 256, (20, 20), np.uint8)
    strength = {"rotation": 20.0, "scale": 0.3, "light": 1.0, "erase": 1.0}[name]
    changes = Augmentation(mirror=False, **{name: strength})
    made_of = [augmented(image, changes, RNG(seed)) for seed in range(10)]
    assert all(one.shape == (20, 20) and one.dtype == np.float32 for one in made_of)
    assert all(one.min() >= 0 and one.max() <= 1 for one in made_of)
    assert all(np.abs(one - image / 255).max() > 0.02 for one in made_of)
    if name == "erase":  # outside of the rectangle nothing changes
        assert all((np.abs(one - image / 255) < 1e-6).mean() >= 0.75 for one in made_of)
