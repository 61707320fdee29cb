"""The completion as a whole: on a box that hides what is behind it, and on little or nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from completion_scenes import random_scene, scene_from_matches

from flow.completion import network
from flow.completion.occlusion import occlusion_evidence, with_what_leaves
from flow.completion.settings import CompletionSettings
from flow.completion.stage import complete
from flow.completion.table import DENSE_METHODS
from flow.cost import Meter
from flow.dense import Found, make_dense, settled_share
from flow.interpolation.stage import fit_cells
from flow.pipeline import estimate_flow
from flow.refinement.stage import refine
from flow.settings import FlowSettings, flow_settings, read_settings, settings_text
from flow.synthetic import demo_scene, fractal_texture
from patchbatch.data.scenes.render import Surface, render_pair
from patchbatch.errors import PatchBatchError


def shift(dx, dy):
    matrix = np.eye(3)
    matrix[:2, 2] = dx, dy
    return matrix


@pytest.fixture(scope="module")
def box():
    """A box that crosses 30 px of a ground of the same looks, which moves 3 px the other way."""
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 300), np.bool_)
    mask[75:130, 90:140] = True
    to_texture, surfaces = shift(50, 50), []
    for shape, near, move in ((None, 1.0, (-3, 1)), (mask, 2.0, (-30, 0))):
        texture = fractal_texture(200, 300, rng)
        views = to_texture, to_texture @ shift(-move[0], -move[1])
        surfaces.append(Surface(texture, views, (np.array([0, 0, near]),) * 2, shape))
    return render_pair(surfaces, (96, 144), origin2=(0.0, 0.0))


@pytest.fixture(scope="module")
def result(box):
    return estimate_flow(box.image1, box.image2, keep_stages=True)


@pytest.fixture(scope="module")
def demo():
    scene = demo_scene(96, 128)
    return scene, estimate_flow(scene.image1, scene.image2, refine=False)


def errors(flow, truth):
    return np.linalg.norm(flow - truth, axis=-1)


def hidden(scene):
    """Pixels that something covers, those that leave the frame aside."""
    y, x = np.mgrid[: scene.visible.shape[0], : scene.visible.shape[1]]
    x2, y2 = x + scene.flow[..., 0], y + scene.flow[..., 1]
    inside = (x2 >= 0) & (y2 >= 0) & (x2 < scene.visible.shape[1]) & (y2 < scene.visible.shape[0])
    return inside & ~scene.visible


def area_under_curve(values, of):
    """Return how often one `of` true has a higher value than one that is not."""
    ranks = np.argsort(np.argsort(values.ravel())) + 1
    of = of.ravel()
    first, second = of.sum(), (~of).sum()
    return (ranks[of].sum() - first * (first + 1) / 2) / (first * second)


def test_what_the_box_hides_moves_with_the_ground(box, result):
    """The margin is wide: 2.2 px of error against 0.2."""
    behind = hidden(box)
    assert behind.sum() > 500
    rough, chosen = (errors(result.stages[name][0], box.flow) for name in ("interpolated", "chosen"))
    assert chosen[behind].mean() < 0.6 * rough[behind].mean()
    assert chosen.mean() < rough.mean()


def test_occlusion_is_higher_where_nothing_is_seen(box, result):
    assert result.occluded[~box.visible].mean() > 3 * result.occluded[box.visible].mean()
    assert area_under_curve(result.occluded, ~box.visible) > 0.85


def test_confidence_ranks_errors(demo):
    scene, found = demo
    error = errors(found.flow, scene.flow)
    assert (error > 3).sum() > 300
    assert area_under_curve(found.confidence, error <= 3) > 0.75
    for values in (found.confidence, found.occluded):
        assert values.dtype == np.float32 and 0 <= values.min() < values.max() <= 1


def test_settled_pixels_keep_what_was_interpolated(box, result):
    interpolated, chosen = (result.stages[name][0] for name in ("interpolated", "chosen"))
    cells = fit_cells(result.matches, box.image1, None, flow_settings().interpolation)
    np.testing.assert_array_equal(cells.flow, interpolated)
    settled = cells.confidence >= CompletionSettings().settled
    assert 0.1 < settled.mean() < 0.95
    assert settled_share(cells.confidence, flow_settings()) == settled.mean()
    np.testing.assert_array_equal(chosen[settled], interpolated[settled])
    assert (chosen[~settled] != interpolated[~settled]).any(-1).mean() > 0.5


def test_the_same_again(box, result):
    again = estimate_flow(box.image1, box.image2)
    for name in ("flow", "confidence", "occluded"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))


def test_the_method_interpolated_is_the_interpolation(box, result):
    settings = flow_settings(dense="interpolated")
    found = estimate_flow(box.image1, box.image2, settings=settings, keep_stages=True)
    assert list(found.stages) == ["matches", "interpolated", "refined"]
    assert "complete" not in found.seconds
    cells = fit_cells(found.matches, box.image1, None, settings.interpolation)
    np.testing.assert_array_equal(found.stages["interpolated"][0], cells.flow)
    np.testing.assert_array_equal(found.confidence, cells.confidence)
    refined = refine(cells.flow, box.image1, box.image2, settings.refinement, cells.confidence)
    np.testing.assert_array_equal(found.flow, refined)
    evidence = occlusion_evidence(cells.flow, cells.confidence)
    expected = with_what_leaves(evidence, refined, cells.confidence)
    np.testing.assert_array_equal(found.occluded, expected)
    np.testing.assert_array_equal(result.stages["interpolated"][0], cells.flow)


def test_matches_that_are_brought_are_interpolated(box, result):
    given = estimate_flow(box.image1, box.image2, matches=result.matches, keep_stages=True)
    assert list(given.stages) == ["matches", "interpolated", "refined"]
    np.testing.assert_array_equal(given.stages["interpolated"][0], result.stages["interpolated"][0])


def test_without_descriptors_or_matches_nothing_is_chosen():
    scene = random_scene(0)
    judged, some = scene.judged, torch.zeros(*scene.shape, 3)
    none = judged.matches.select(np.zeros(len(judged.matches), np.bool_))
    for found, known in (
        (Found(judged.matches, False, judged, None, some), True),
        (Found(judged.matches, False, judged, some, None), True),
        (Found(judged.matches, False, None, some, some), True),
        (Found(none, False, judged, some, some), False),
    ):
        interpolated, chosen = make_dense(
            found, scene.image1, scene.image2, None, FlowSettings(), Meter(None, False)
        )
        assert chosen is None
        assert interpolated.flow.any() == interpolated.confidence.any() == known


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [(9, 13), (5, 4), (1, 1)])
def test_small_images(size, colour):
    image = np.random.default_rng(0).random((*size, 3) if colour else size).astype(np.float32)
    found = estimate_flow(image, image, keep_stages=True)
    assert "chosen" in found.stages
    assert found.flow.shape == (*size, 2) and np.abs(found.flow).max() < 1
    assert found.occluded.shape == found.confidence.shape == size


def test_grey_images_are_completed_too(box, result):
    grey = [image.mean(axis=-1) for image in (box.image1, box.image2)]
    found = estimate_flow(*grey, keep_stages=True)
    behind = hidden(box)
    rough, chosen = (errors(found.stages[name][0], box.flow) for name in ("interpolated", "chosen"))
    assert chosen[behind].mean() < rough[behind].mean()


def test_without_texture_nothing_is_known():
    flat = np.full((40, 50, 3), 0.5, np.float32)
    found = estimate_flow(flat, flat, keep_stages=True)
    assert "chosen" not in found.stages
    assert not found.flow.any() and not found.confidence.any()


def test_a_single_match_moves_everything():
    flow = np.broadcast_to(np.float32([3, -2]), (24, 30, 2))
    keep = np.zeros((8, 10), np.bool_)
    keep[4, 5] = True
    completed = complete(scene_from_matches(flow, keep))
    np.testing.assert_allclose(completed.flow, flow, atol=1e-4)


@pytest.mark.parametrize("changed", [{"rounds": 0}, {"planes": 18}, {"settled": 0.3}, {"colour_reach": 0.02}])
def test_every_setting_changes_the_flow(changed):
    scene = random_scene(7)
    scene.judged.dense.forward.vectors[:, 7:] = (9, 4)  # a plane among what is not believed
    scene.judged.keep[:, 7:] = False
    usual = complete(scene, CompletionSettings())
    other = complete(scene, CompletionSettings(**changed))
    assert np.isfinite(other.flow).all()
    assert (usual.flow != other.flow).any()


def test_all_settled_is_the_interpolated_flow():
    scene = random_scene(8)
    completed = complete(scene, CompletionSettings(settled=0))
    np.testing.assert_array_equal(completed.flow, scene.cells.flow)
    assert np.isfinite(completed.confidence).all()


def test_other_weights_are_used_and_no_weights_are_told(tmp_path):
    scene = random_scene(9)
    torch.manual_seed(0)
    path = str(tmp_path / "other.safetensors")
    network.save_choice_network(network.ChoiceNetwork(), path)
    assert (complete(scene, CompletionSettings(weights=path)).confidence != complete(scene).confidence).any()
    with pytest.raises(PatchBatchError, match="nowhere"):
        complete(scene, CompletionSettings(weights=str(tmp_path / "nowhere.safetensors")))


def test_the_scene_is_left_as_it_was():
    scene = random_scene(10)
    before = scene.cells.flow.copy(), scene.image1.copy(), scene.judged.dense.forward.vectors.copy()
    complete(scene)
    for array, kept in zip(
        (scene.cells.flow, scene.image1, scene.judged.dense.forward.vectors), before, strict=True
    ):
        np.testing.assert_array_equal(array, kept)


def test_settings_are_read_as_they_were_written(tmp_path):
    changed = CompletionSettings("interpolated", 0.5, 1, 4, "mine.safetensors", 0.3)
    path = tmp_path / "settings.toml"
    path.write_text(settings_text(replace(flow_settings("kitti"), completion=changed)), encoding="utf-8")
    assert "[completion]" in path.read_text()
    assert read_settings(path, "sintel").completion == changed
    path.write_text("[completion]\nrounds = 2\n", encoding="utf-8")
    assert read_settings(path).completion == CompletionSettings(rounds=2)


@pytest.mark.parametrize(
    "wrong", [{"method": "nonsense"}, {"settled": 1.1}, {"rounds": -1}, {"planes": 65}, {"colour_reach": 0}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(PatchBatchError, match="nonsense" if "method" in wrong else next(iter(wrong))):
        CompletionSettings(**wrong)


def test_methods_by_name():
    assert set(DENSE_METHODS) == {"chosen", "interpolated"}
    assert flow_settings().completion == CompletionSettings() == CompletionSettings("chosen")
    assert flow_settings("sintel", dense="interpolated").completion.method == "interpolated"
