"""Interpolation: fields it must reproduce, edges it must respect, input of every odd kind, the reference."""

from dataclasses import replace

import cv2
import numba
import numpy as np
import pytest

from flow.interpolation.epic import PRESETS, InterpolationSettings, interpolate
from flow.matching.matches import Matches
from flow.refinement import PRESETS as REFINEMENT_PRESETS
from flow.refinement import refine
from patchbatch.errors import PatchBatchError

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
    inner = (points[:, 0] < 58) & (points[:, 1] < 44)  # the others would end outside, and be clamped
    flow, _ = interpolate(
        matches_of(points[inner], points[inner] @ slopes.T),
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


def test_ends_outside_are_clamped():
    flow, _ = interpolate(matches_of([[-5, 3]], [[15, 0]]), texture())
    assert flow[3, 0].tolist() == [10, 0]
    flow, _ = interpolate(matches_of([[60, 40]], [[100, 100]]), texture())
    assert flow[40, 60].tolist() == [3, 7]


def test_range_margin_bounds_what_extrapolation_can_do():
    points = np.array([[2, 2], [6, 2], [2, 6], [6, 6]])
    free, _ = interpolate(matches_of(points, points / 2), texture(), None, UNPRUNED)
    bound, _ = interpolate(
        matches_of(points, points / 2), texture(), None, replace(UNPRUNED, range_margin_px=1)
    )
    assert free.max() > 20 and bound.max() <= 4
    np.testing.assert_allclose(bound[:6, :6], free[:6, :6])


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
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            results.append(interpolate(matches, texture(), None, PRESETS["robust"]))
    finally:
        numba.set_num_threads(before)
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


# Frames, preset and the original's EPE before and after refinement, against the ground truth of the pair.
REFERENCE = {
    "kitti2015_000005": (
        "kitti2015/training/image_2/000005_10.png",
        "kitti2015/training/image_2/000005_11.png",
        "kitti2015/training/flow_occ/000005_10.png",
        "kitti",
    ),
    "sintel_final_cave_2": (
        "sintel/training/final/cave_2/frame_0002.png",
        "sintel/training/final/cave_2/frame_0003.png",
        "sintel/training/flow/cave_2/frame_0002.flo",
        "sintel",
    ),
    "middlebury_RubberWhale": (
        "middlebury/other-data/RubberWhale/frame10.png",
        "middlebury/other-data/RubberWhale/frame11.png",
        "middlebury/other-gt-flow/RubberWhale/flow10.flo",
        "middlebury",
    ),
}


def read_frame(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def read_truth(path):
    if path.suffix == ".flo":
        width, height = np.fromfile(path, np.int32, 2, offset=4)
        truth = np.fromfile(path, np.float32, offset=12).reshape(height, width, 2)
        return truth, (np.abs(truth) < 1e9).all(axis=2)
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.float32)
    return (raw[..., :2] - 2**15) / 64, raw[..., 2] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_reference_flows_of_the_original_program(real_data, name):
    first, second, truth_path, preset = REFERENCE[name]
    folder, frames = real_data / "epic_reference" / name, real_data / "flow"
    image1, image2 = read_frame(frames / first), read_frame(frames / second)
    truth, valid = read_truth(frames / truth_path)
    lines = np.loadtxt(folder / "matches.txt", dtype=np.float32)
    with np.load(folder / "edges.npz") as archive:
        edges = archive["edges"]
    flow, _ = interpolate(
        matches_of(lines[:, :2], lines[:, 2:] - lines[:, :2]), image1, edges, PRESETS[preset]
    )
    refined = refine(flow, image1, image2, REFINEMENT_PRESETS[preset])
    for ours, file in ((flow, "flow_epic_novar.npz"), (refined, "flow_epic.npz")):
        with np.load(folder / file) as archive:
            original = archive["flow"].astype(np.float32)
        assert np.median(np.linalg.norm(ours - original, axis=2)) <= 0.1
        error, bar = (np.linalg.norm(f - truth, axis=2)[valid].mean() for f in (ours, original))
        assert error <= 1.01 * bar
