"""Interpolation: fields it must reproduce, edges it must respect, input of every odd kind, the reference."""

from dataclasses import replace

import numpy as np
import pytest

from flow.interpolation.pruning import consistent, without_islands
from flow.interpolation.settings import PRESETS as ORIGINAL
from flow.interpolation.settings import ROBUST_PRESETS, InterpolationSettings
from flow.interpolation.stage import interpolate, motion_borders
from flow.matching.matches import Matches
from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in

PRESETS = dict(ORIGINAL) | {f"robust {name}": preset for name, preset in ROBUST_PRESETS.items()}
UNPRUNED = InterpolationSettings(prefilter_neighbours=0, saliency=0)
SHAPE = (48, 64)


def matches_of(points, vectors, confidence=None):
    points, vectors = np.asarray(points, np.float32), np.asarray(vectors, np.float32)
    ones = np.ones(len(points), np.float32)
    return Matches(points, points + vectors, ones, ones if confidence is None else confidence)


def grid(step=4):
    y, x = np.mgrid[2 : SHAPE[0] : step, 2 : SHAPE[1] : step]
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)


def texture(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


@pytest.mark.parametrize("estimator", ["affine", "robust"])
def test_an_affine_field_is_reproduced(estimator):
    points = grid()
    slopes = np.array([[0.02, -0.03], [0.01, 0.04]], np.float32)
    flow, _ = interpolate(
        matches_of(points, points @ slopes.T),
        texture(),
        np.zeros(SHAPE, np.float32),
        replace(UNPRUNED, estimator=estimator),
    )
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    expected = np.stack([x, y], axis=-1) @ slopes.T
    np.testing.assert_allclose(flow, expected, atol=2e-3)


@pytest.mark.parametrize("estimator", ["affine", "robust", "nadaraya-watson"])
def test_edges_part_two_motions(estimator):
    points = grid()
    vectors = np.where(points[:, :1] < 32, [[2, 0]], [[-3, 1]])
    edges = np.zeros(SHAPE, np.float32)
    edges[:, 31:33] = 1
    settings = replace(UNPRUNED, estimator=estimator, kernel_decay=8, neighbours=40)
    flow, _ = interpolate(matches_of(points, vectors), texture(), edges, settings)
    np.testing.assert_allclose(flow[3:44, 3:31], np.broadcast_to([2, 0], (41, 28, 2)), atol=0.02)
    np.testing.assert_allclose(flow[3:44, 33:61], np.broadcast_to([-3, 1], (41, 28, 2)), atol=0.02)


def test_lone_wrong_match_is_dropped():
    points = grid()
    vectors = np.full((len(points), 2), 1, np.float32)
    vectors[100] = [30, -20]
    settings = InterpolationSettings(saliency=0)
    flow, _ = interpolate(matches_of(points, vectors), texture(), None, settings)
    np.testing.assert_allclose(flow, 1, atol=0.2)


def test_matches_on_a_flat_spot_are_dropped():
    image = texture()
    image[16:32, 24:48] = 0.5
    points = grid()
    flat = (abs(points[:, 0] - 36) < 8) & (abs(points[:, 1] - 24) < 4)
    vectors = np.where(flat[:, None], [[3, 3]], [[1, 1]])
    settings = InterpolationSettings(prefilter_neighbours=0, neighbours=5)
    pruned, _ = interpolate(matches_of(points, vectors), image, None, settings)
    kept, _ = interpolate(matches_of(points, vectors), image, None, replace(settings, saliency=0))
    np.testing.assert_allclose(pruned[24, 36], 1, atol=1e-3)
    assert kept[24, 36].min() > 1.5


def test_no_match_gives_zero_flow_and_zero_confidence():
    flow, confidence = interpolate(matches_of(np.zeros((0, 2)), np.zeros((0, 2))), texture())
    assert flow.shape == (*SHAPE, 2) and flow.dtype == confidence.dtype == np.float32
    assert not flow.any() and not confidence.any()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "points",
    [[[5, 5]], [[5, 5], [9, 30]], [[4, 8], [8, 8], [12, 8], [60, 8]], [[7, 7], [7, 7], [7.5, 7.5]]],
    ids=["one", "two", "collinear", "same pixel"],
)
def test_few_equal_matches_carry_their_vector_everywhere(points, preset):
    flow, confidence = interpolate(
        matches_of(points, np.full((len(points), 2), 2.5)), texture(), None, PRESETS[preset]
    )
    np.testing.assert_allclose(flow, 2.5, atol=1e-3)
    assert confidence.min() > 0 and confidence.max() <= 1


def test_most_confident_of_a_pixel_counts():
    matches = matches_of(
        [[7, 7], [7, 7], [7, 7]], [[1, 0], [2, 0], [3, 0]], np.array([0.2, 0.9, 0.5], np.float32)
    )
    flow, confidence = interpolate(matches, texture())
    np.testing.assert_allclose(flow[..., 0], 2, atol=1e-5)
    assert confidence[7, 7] == pytest.approx(0.9)


def test_starts_outside_are_moved_in_and_ends_may_lie_outside():
    flow, _ = interpolate(matches_of([[-5, 3]], [[15, 0]]), texture())
    assert flow[3, 0].tolist() == [10, 0]
    flow, _ = interpolate(matches_of([[60, 40]], [[100, 100]]), texture())
    assert flow[40, 60].tolist() == [100, 100]


def test_range_margin_bounds_what_extrapolation_can_do():
    points = np.array([[2, 2], [6, 2], [2, 6], [6, 6]])
    free, _ = interpolate(matches_of(points, points / 2), texture(), None, UNPRUNED)
    bound, _ = interpolate(
        matches_of(points, points / 2), texture(), None, replace(UNPRUNED, range_margin_px=1)
    )
    assert free.max() > 20 and bound.max() <= 4
    np.testing.assert_allclose(bound[:6, :6], free[:6, :6])


def test_confidence_in_closed_form_beside_one_match():
    """Along its row a price of 0.05 a pixel adds up exactly, and the way in pixels counts as well."""
    edges = np.full(SHAPE, 0.05 - UNPRUNED.cost_floor, np.float32)
    settings = replace(UNPRUNED, motion_edges=0.0, kernel_decay=0.7)
    _, confidence = interpolate(matches_of([[10, 10]], [[1, 2]]), texture(), edges, settings)
    away = np.abs(np.arange(SHAPE[1]) - 10)
    np.testing.assert_allclose(confidence[10], np.exp(-0.7 * 0.05 * away - away / 32), rtol=1e-4)


def test_confidence_falls_with_distance_disagreement_and_the_matches_own():
    image, edges = texture(), np.full(SHAPE, 0.01, np.float32)
    points = np.array([[10, 10], [12, 10], [10, 12]])
    _, sure = interpolate(matches_of(points, np.ones((3, 2))), image, edges, UNPRUNED)
    assert sure[10, 10] == pytest.approx(1, abs=1e-3)
    assert (np.diff(sure[10, 12:]) < 0).all()
    _, doubted = interpolate(
        matches_of(points, np.ones((3, 2)), np.full(3, 0.5, np.float32)), image, edges, UNPRUNED
    )
    np.testing.assert_allclose(doubted, sure / 2, rtol=1e-4)
    mean = replace(UNPRUNED, estimator="nadaraya-watson")
    _, torn = interpolate(matches_of(points, [[0, 0], [9, 9], [0, 9]]), image, edges, mean)
    assert torn[10, 10] < 0.2


@pytest.mark.parametrize("preset", PRESETS)
def test_random_matches_never_give_nan_and_colour_works(preset):
    generator = np.random.default_rng(3)
    matches = matches_of(generator.random((700, 2)) * 70 - 3, generator.normal(size=(700, 2)) * 40)
    flow, confidence = interpolate(matches, texture((*SHAPE, 3)), None, PRESETS[preset])
    assert np.isfinite(flow).all() and (confidence >= 0).all() and (confidence <= 1).all()


def test_match_on_every_pixel():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    points = np.column_stack([x.ravel(), y.ravel()])
    inward = np.where(points < 24, 1, -1)
    flow, _ = interpolate(matches_of(points, inward), texture(), None, replace(UNPRUNED, neighbours=1))
    np.testing.assert_array_equal(flow.reshape(-1, 2), inward)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1, 3), (2, 2)])
def test_smallest_images(shape):
    flow, confidence = interpolate(matches_of([[0, 0]], [[0, 0]]), texture(shape))
    assert flow.shape == (*shape[:2], 2) and not flow.any() and confidence[0, 0] == 1


def test_same_bytes_for_any_number_of_threads():
    generator = np.random.default_rng(4)
    matches = matches_of(generator.random((300, 2)) * 48, generator.normal(size=(300, 2)) * 4)
    results = []
    for threads in (1, 3):
        with loops_in(threads):
            results.append(interpolate(matches, texture(), None, PRESETS["robust kitti"]))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"estimator": "magic"}, "magic"),
        ({"neighbours": 0}, "neighbours"),
        ({"cost_floor": 0.0}, "cost_floor"),
        ({"kernel_decay": -1.0}, "kernel_decay"),
        ({"saliency": float("nan")}, "saliency"),
        ({"smallest_island": 0}, "smallest_island"),
        ({"extrapolation_px": 0.0}, "extrapolation_px"),
        ({"truncation_px": 0.0}, "truncation_px"),
        ({"confidence_power": -1.0}, "confidence_power"),
    ],
)
def test_settings_out_of_range_are_named(change, complaint):
    with pytest.raises(PatchBatchError, match=complaint):
        InterpolationSettings(**change)


def test_input_that_does_not_fit_is_named():
    match = matches_of([[1, 1]], [[0, 0]])
    with pytest.raises(PatchBatchError, match="edge map"):
        interpolate(match, texture(), np.zeros((3, 3), np.float32))
    with pytest.raises(PatchBatchError, match="not finite"):
        interpolate(match, texture(), np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(PatchBatchError, match="number 1"):
        interpolate(matches_of([[1, 1], [np.nan, 1]], np.zeros((2, 2))), texture())
    with pytest.raises(PatchBatchError, match="shape"):
        interpolate(match, np.zeros(5, np.float32))


def test_small_island_of_wrong_matches_is_dropped_and_an_agreeing_one_kept():
    points = grid(3)
    vectors = np.full((len(points), 2), 1, np.float32)
    wrong = (abs(points - (30, 20)) < 5).all(axis=1)
    vectors[wrong] = 12
    settings = replace(UNPRUNED, smallest_island=15, neighbours=10)
    assert 1 < wrong.sum() < 15
    edges = np.zeros(SHAPE, np.float32)
    kept, _ = interpolate(matches_of(points, vectors), texture(), edges, replace(settings, smallest_island=1))
    dropped, _ = interpolate(matches_of(points, vectors), texture(), edges, settings)
    assert kept[20, 30].min() > 6
    np.testing.assert_allclose(dropped[8:40, 8:56], 1, atol=1e-3)
    tolerant = replace(settings, island_tolerance_px=30)
    same, _ = interpolate(matches_of(points, vectors), texture(), edges, tolerant)
    np.testing.assert_array_equal(same, kept)


def zoomed_matches(spacing):
    """Match a grid as if image 2 showed it 1.6 times as large."""
    points = grid(spacing)
    return matches_of(points, 0.6 * points)


def test_a_zoom_is_consistent_up_to_the_border_of_the_matches():
    matches = zoomed_matches(8)
    cost = np.full(SHAPE, 0.1, np.float32)
    assert len(consistent(matches, cost, InterpolationSettings(slope_px=1.25))) == len(matches)
    assert len(consistent(matches, cost, InterpolationSettings())) < len(matches)


def test_matches_far_apart_may_differ_by_as_much_more_within_an_island():
    """The zoom moves neighbours 14 px apart by 8.4 px more; a match that nothing explains still goes."""
    points = np.stack(np.meshgrid(*[np.arange(4, 140, 14)] * 2), axis=-1).reshape(-1, 2)
    vectors = 0.6 * points
    vectors[len(points) // 2] += 40
    cost = np.full((144, 144), 0.1, np.float32)
    settings = replace(UNPRUNED, smallest_island=5, island_tolerance_px=7)
    assert len(without_islands(matches_of(points, vectors), cost, settings)) == len(points) - 1


@pytest.mark.parametrize(("smallest", "dropped"), [(1, []), (4, [3]), (9, [3, 8]), (50, [3, 8])])
def test_an_island_needs_no_more_than_a_tenth_of_the_matches(smallest, dropped):
    """Of a hundred matches in ten rows 3, 8 and 10 move otherwise than the rest."""
    y, x = np.mgrid[2:42:4, 2:42:4]
    vectors = np.zeros((10, 10, 2))
    vectors[0, :3], vectors[3, :8], vectors[7] = (9, 0), (0, 9), (9, 9)
    matches = matches_of(np.column_stack([x.ravel(), y.ravel()]), vectors.reshape(-1, 2))
    cost = np.full((44, 44), 0.1, np.float32)
    left = without_islands(matches, cost, replace(UNPRUNED, smallest_island=smallest))
    islands = {3: (9, 0), 8: (0, 9), 10: (9, 9)}
    gone = [size for size, move in islands.items() if not (left.vectors == move).all(axis=1).any()]
    assert gone == dropped
    assert len(left) == 100 - sum(dropped)


def test_doubtful_matches_weigh_less():
    points = grid()
    vectors = np.where(np.arange(len(points))[:, None] % 2, [[4, 0]], [[0, 0]])
    confidence = np.where(np.arange(len(points)) % 2, 0.1, 1).astype(np.float32)
    equal = replace(UNPRUNED, estimator="nadaraya-watson", kernel_decay=0)
    plain, _ = interpolate(matches_of(points, vectors, confidence), texture(), None, equal)
    weighed, _ = interpolate(
        matches_of(points, vectors, confidence), texture(), None, replace(equal, confidence_power=1)
    )
    assert plain[20, 30, 0] > 1.5
    assert weighed[20, 30, 0] == pytest.approx(4 * 0.1 / 1.1, abs=0.15)


def test_far_from_matches_the_region_speaks():
    shape = (96, 240)
    y, x = np.mgrid[3:93:3, 3:120:3]
    points = np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)
    vectors = np.full((len(points), 2), 2, np.float32)
    border = points[:, 0] > 108
    vectors[border, 0] += (points[border, 0] - 108) / 2  # a slope that only the last columns have
    matches, edges = matches_of(points, vectors), np.zeros(shape, np.float32)
    local = replace(UNPRUNED, neighbours=12, cost_floor=0.1)
    free, _ = interpolate(matches, texture(shape), edges, local)
    tamed, _ = interpolate(matches, texture(shape), edges, replace(local, extrapolation_px=20))
    assert free[48, 230, 0] > 50
    assert abs(tamed[48, 230, 0] - 2) < (free[48, 230, 0] - 2) / 2
    np.testing.assert_allclose(tamed[10:86, 6:100], free[10:86, 6:100], atol=0.1)


def test_borders_of_motion_are_where_the_flow_jumps():
    flow = np.zeros((20, 40, 2), np.float32)
    flow[:, 20:, 1] = 6.0  # px; twice what counts as a jump
    borders = motion_borders(flow)
    columns = np.arange(40)
    expected = (columns >= 16) & (columns < 24)
    np.testing.assert_array_equal(borders, np.broadcast_to(expected, borders.shape).astype(np.float32))
    slope = np.stack([columns * 0.03, 0 * columns], axis=1)[None].repeat(20, axis=0).astype(np.float32)
    np.testing.assert_allclose(motion_borders(slope)[:, 4:-4], 8 * 0.03 / 3, rtol=1e-3)


def test_a_second_pass_speaks_across_texture_but_not_across_motion():
    points = grid()
    right = points[:, 0] >= 32
    truth = np.where(right[:, None], [12, 0], [0, 0]).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 0.7, points.shape).astype(np.float32)
    edges = np.zeros(SHAPE, np.float32)
    edges[:, ::8] = edges[::8] = 1.0  # texture everywhere; one of its lines, x = 32, is the border
    once = replace(UNPRUNED, estimator="nadaraya-watson", neighbours=60)
    errors = []
    for settings in (once, replace(once, motion_edges=1.0)):
        flow, _ = interpolate(matches_of(points, truth + noise), texture(), edges, settings)
        wanted = np.where(np.arange(SHAPE[1])[None, :, None] >= 32, [12, 0], [0, 0])
        errors.append(np.linalg.norm(flow - wanted, axis=2))
    assert errors[1].mean() < 0.8 * errors[0].mean()
    # The column on the border itself may go to either side.
    assert np.percentile(errors[1], 97) < 3
