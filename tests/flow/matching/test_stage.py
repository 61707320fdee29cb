"""What the stage believes of given matches: the two-way check, the islands, the confidence."""

import numpy as np
import pytest

from flow.matching.confidence import match_confidence
from flow.matching.search_settings import ExactSettings
from flow.matching.seeds import DenseMatches, SeedField, seed_grid
from flow.matching.settings import MatchingSettings
from flow.matching.stage import judge
from patchbatch.errors import PatchBatchError

SIZE = 10


def field(vectors=0.0, cost=1.0):
    points = seed_grid(SIZE, SIZE, 1).astype(np.float32)
    shape = points.shape[:2]
    costs = np.broadcast_to(np.float32(cost), shape).copy()
    return SeedField(
        points, np.broadcast_to(np.float32(vectors), points.shape), costs, np.full_like(costs, 2), 1
    )


def test_matches_are_kept_up_to_the_threshold_of_the_two_way_check():
    """Nothing moves in image 1; of image 2, column by column, matches come back from further off."""
    errors = np.array([0, 0.5, 1.4, 1.5, 1.6, 2, 3, 4, 8, 20], np.float32)
    backward = np.zeros((SIZE, SIZE, 2), np.float32)
    backward[..., 1] = errors
    cost = np.ones((SIZE, SIZE), np.float32)
    cost[0] = np.inf
    dense = DenseMatches(field(cost=cost), field(backward))
    for threshold in (1.5, 3.0, np.inf):
        keep, confidence = judge(dense, MatchingSettings(check_threshold=threshold, smallest_island=1))
        assert not keep[0].any()
        np.testing.assert_array_equal(keep[1:], np.broadcast_to(errors <= threshold, (SIZE - 1, SIZE)))
    expected = match_confidence(cost, np.full_like(cost, 2), np.broadcast_to(errors, cost.shape))
    np.testing.assert_array_equal(confidence, expected)
    assert (np.diff(confidence[1, :8]) < 0).all()


@pytest.mark.parametrize(("smallest", "dropped"), [(1, []), (4, [3]), (9, [3]), (50, [3, 9])])
def test_an_island_needs_no_more_than_a_tenth_of_the_seeds(smallest, dropped):
    """Of a hundred seeds 3, 9 and 10 move otherwise than the rest."""
    vectors = np.zeros((SIZE, SIZE, 2), np.float32)
    vectors[0, :3], vectors[2, :9], vectors[4] = (5, 0), (0, 5), (5, 5)
    settings = MatchingSettings(check_threshold=np.inf, smallest_island=smallest)
    keep, _ = judge(DenseMatches(field(vectors), field()), settings)
    assert [size for row, size in ((0, 3), (2, 9), (4, 10)) if not keep[row, :size].any()] == dropped
    assert np.count_nonzero(~keep) == sum(dropped)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"method": "near"}, "unknown matcher 'near'"),
        ({"search": ExactSettings()}, "search holds ExactSettings, but coarse-to-fine takes"),
        ({"check_threshold": float("nan")}, "check_threshold is nan"),
        ({"smallest_island": -1}, "smallest_island is -1"),
    ],
)
def test_settings_out_of_range_are_refused(values, says):
    with pytest.raises(PatchBatchError, match=says):
        MatchingSettings(**values)
