"""The compiled loops of the searches by candidates against slow and obvious versions."""

import numpy as np
import pytest
import torch

from flow.matching.pyramid.belief_propagation import most_believed_first
from flow.matching.pyramid.candidates import choose_among, choose_on_cpu, vectors_nearby
from flow.matching.pyramid.levels import Hypotheses, Level, square
from flow.matching.pyramid.top_level import lowest_distinct, search_everywhere
from flow.matching.seeds import EIGHT_NEIGHBOURS, neighbour_indices, seed_grid
from patchbatch.descriptors.half_precision import shared_array


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("known", "radius", "separation"), [(0, 1, 1), (3, 0, 1), (1, 1, 0), (2, 0, 3)])
def test_the_loop_chooses_what_the_steps_choose(dtype, known, radius, separation):
    rng = np.random.default_rng(known)
    d1, d2 = (torch.from_numpy(rng.standard_normal((h, w, 5))).to(dtype) for h, w in ((17, 19), (15, 16)))
    points = rng.integers(0, [19, 17], (300, 2)).astype(np.int32)  # more than one task of a thread
    vectors = rng.integers(-6, 7, (300, 4, 2)).astype(np.int32)
    targets = rng.integers(0, [16, 15], (300, known, 2)).astype(np.int32)
    held, held_costs = targets - points[:, None], rng.random((300, known), dtype=np.float32) * 5
    held_costs[:, 1:][rng.random((300, max(0, known - 1))) < 0.3] = np.inf
    answers = []
    for choose, described in (
        (choose_among, (d1, d2)),
        (choose_on_cpu, (shared_array(d1), shared_array(d2))),
    ):
        kept, costs = np.empty((300, 3, 2), np.int32), np.empty((300, 3), np.float32)
        choose(*described, points, vectors, square(radius), held, held_costs, separation, kept, costs)
        answers.append((kept, costs))
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-5)


def test_neighbours_offer_what_the_index_says():
    rng = np.random.default_rng(1)
    vectors, offsets = rng.integers(-9, 10, (5, 7, 2)), rng.integers(-3, 4, (5, 7, 2, 2))
    for stride in (1, 2, 6):
        offered = np.empty((5, 7, len(EIGHT_NEIGHBOURS) + 2, 2), np.int32)
        vectors_nearby(vectors.astype(np.int32), stride, offsets.astype(np.int32), offered)
        around = vectors.reshape(-1, 2)[neighbour_indices(5, 7, stride)].reshape(5, 7, 8, 2)
        np.testing.assert_array_equal(
            offered, np.concatenate([around, vectors[:, :, None] + offsets], axis=2)
        )


@pytest.mark.parametrize("separation", [1, 3])
def test_the_search_of_the_top_level_equals_its_reference(separation):
    generator = torch.Generator().manual_seed(2)
    d1, d2 = torch.randn(9, 11, 6, generator=generator), torch.randn(10, 21, 6, generator=generator)
    d1[3, 4], d1[0, 0] = d2[7, 5], torch.nan
    d2[7, 20], d2[2, 2] = d2[7, 5], torch.inf  # a tie; and what is not a number
    points = seed_grid(9, 11, 1).reshape(-1, 2)
    found = search_everywhere(Level(d1, d2, points), 4, separation, 0.01)
    distance = (d1.reshape(-1, 1, 6) - d2.reshape(1, -1, 6)).square().sum(dim=-1).nan_to_num(nan=torch.inf)
    targets, costs = lowest_distinct(distance, 21, 4, separation)
    finite = np.isfinite(costs)
    assert not finite[0].any() and finite[1:].all()
    np.testing.assert_array_equal((found.vectors + points[:, None])[finite], targets[finite])
    np.testing.assert_allclose(found.costs, costs, rtol=1e-4, atol=1e-5)
    assert found.vectors[3 * 11 + 4, 0].tolist() == [5 - 4, 7 - 3]


def test_hypotheses_are_sorted_by_belief_and_ties_stay():
    rng = np.random.default_rng(3)
    beliefs = rng.integers(0, 3, (40, 4)).astype(np.float32)
    vectors, costs = rng.integers(0, 99, (40, 4, 2)).astype(np.int32), rng.random((40, 4), dtype=np.float32)
    order = np.argsort(beliefs, axis=1, kind="stable")
    expected = np.take_along_axis(vectors, order[..., None], axis=1), np.take_along_axis(costs, order, axis=1)
    most_believed_first(beliefs, vectors, costs)
    np.testing.assert_array_equal(vectors, expected[0])
    np.testing.assert_array_equal(costs, expected[1])


def test_held_hypotheses_win_ties():
    d = torch.zeros(3, 3, 2)
    held = Hypotheses(np.array([[[1, 1]]], np.int32), np.zeros((1, 1), np.float32))
    kept = Level(d, d, np.zeros((1, 2), np.int32)).choose(
        np.zeros((1, 1, 2), np.int32), square(2), 0, 2, held
    )
    assert kept.vectors.tolist() == [[[1, 1], [0, 0]]]
