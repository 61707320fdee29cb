"""What was described is not described again, and is let go when nobody wants it."""

import threading

import numpy as np
import pytest
import torch

from patchbatch.descriptors.checked import described_pyramid
from patchbatch.descriptors.remembered import current_memory, is_remembered, remembering
from patchbatch.errors import PatchBatchError

IMAGES = [np.full((6, 8), value, np.float32) for value in (0.25, 0.5, 0.75)]


class Counting:
    """A descriptor that says what it was asked."""

    name, dimension, reach, device = "counting", 2, 1, torch.device("cpu")

    def __init__(self):
        self.seen, self.threads = [], []

    def describe_pyramid(self, image, levels, precision="auto"):
        if image[0, 0] == 1:
            raise PatchBatchError("too white")
        self.seen.append(float(image[0, 0]))
        self.threads.append(threading.current_thread())
        return [torch.full((*image.shape, 2), float(image[0, 0]))]

    def flop(self, shape, levels):
        return None


def test_nothing_is_kept_outside():
    made = Counting()
    for _ in range(2):
        described_pyramid(made, IMAGES[0], 1, "auto")
    assert made.seen == [0.25, 0.25]
    assert current_memory() is None and not is_remembered(IMAGES[0])


def test_what_is_kept_is_not_made_again_and_what_is_let_go_is():
    made = Counting()
    with remembering() as memory:
        for image in (*IMAGES[:2], *IMAGES[:2]):
            kept = described_pyramid(made, image.copy(), 1, "auto")
            assert kept[0][0, 0, 0] == image[0, 0]
        assert made.seen == [0.25, 0.5]
        memory.keep_only(IMAGES[1:])
        assert not is_remembered(IMAGES[0]) and is_remembered(IMAGES[1])
        described_pyramid(made, IMAGES[0], 1, "auto")
        assert made.seen == [0.25, 0.5, 0.25]


def test_what_is_prepared_is_made_beside_other_work():
    made = Counting()
    with remembering() as memory:
        memory.prepare(IMAGES[1])  # nobody knows how yet
        described_pyramid(made, IMAGES[0], 1, "auto")
        memory.prepare(IMAGES[1])
        memory.prepare(IMAGES[1][:3])  # of another size, which may need other levels
        assert is_remembered(IMAGES[1]) and not is_remembered(IMAGES[1][:3])
        assert described_pyramid(made, IMAGES[1], 1, "auto")[0][0, 0, 0] == 0.5
    assert made.seen == [0.25, 0.5]
    assert made.threads[0] is threading.main_thread() and made.threads[1] is not made.threads[0]


def test_what_goes_wrong_beside_is_raised_when_it_is_asked_for():
    made, white = Counting(), np.ones((6, 8), np.float32)
    with remembering() as memory:
        described_pyramid(made, IMAGES[0], 1, "auto")
        memory.prepare(white)
        with pytest.raises(PatchBatchError, match="too white"):
            described_pyramid(made, white, 1, "auto")
