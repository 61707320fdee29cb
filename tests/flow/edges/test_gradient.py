"""Edge strength and saliency on images whose answer is known."""

import numpy as np
import pytest

from flow.edges.gradient import gradient_edges, saliency
from patchbatch.errors import PatchBatchError


def test_flat_image_has_neither_edges_nor_structure():
    image = np.full((9, 11, 3), 0.4, np.float32)
    assert gradient_edges(image).max() == 0
    assert saliency(image).max() < 1e-3


def test_step_is_an_edge_where_it_is_and_nowhere_else():
    image = np.zeros((40, 80), np.float32)
    image[:, 40:] = 1
    edges = gradient_edges(image)
    assert edges.shape == (40, 80) and edges.dtype == np.float32
    assert (edges[:, 39:41] == 1).all()
    assert edges[:, :38].max() == 0 and edges[:, 42:].max() == 0


def test_texture_is_a_weaker_edge_than_the_same_contrast_alone():
    stripes = np.zeros((60, 60), np.float32)
    stripes[:, ::4] = 0.2
    stripes[:, 1::4] = 0.2
    step = np.zeros((60, 60), np.float32)
    step[:, 30:] = 0.2
    assert gradient_edges(stripes)[20:40, 20:40].mean() < gradient_edges(step)[:, 29:31].mean() / 2


def test_grey_and_repeated_grey_agree():
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    colour = np.repeat(image[..., None], 3, axis=2)
    np.testing.assert_array_equal(gradient_edges(image), gradient_edges(colour))
    np.testing.assert_array_equal(saliency(image), saliency(colour))


def test_saliency_needs_structure_in_two_directions():
    line = np.zeros((41, 41), np.float32)
    line[:, 20:] = 1
    corner = line.copy()
    corner[:20] = 0
    assert saliency(line)[20, 20] < 0.05
    assert saliency(corner)[20, 20] > 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 7), (7, 1, 3)])
def test_smallest_images(shape):
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    for result in (gradient_edges(image), saliency(image)):
        assert result.shape == shape[:2] and np.isfinite(result).all()


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (0, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(PatchBatchError, match="shape"):
        gradient_edges(np.zeros(shape, np.float32))
