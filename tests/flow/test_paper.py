"""The paper's own pipeline: its settings as its program has them, and run whole."""

import re

import cv2
import numpy as np
import pytest
import torch

from flow import cli
from flow.pipeline import estimate_flow
from flow.presets import PAPER_PATCHMATCH, PRESETS, preset_of_kind
from flow.settings import flow_settings, read_settings, settings_text
from flow.synthetic import demo_scene
from patchbatch.descriptors.description import describe, standardize
from patchbatch.models import load_model
from patchbatch.progress import listening

PAPER = [name for name, preset in PRESETS.items() if preset.paper]


def test_patchmatch_as_in_the_program():
    """Reference 1.7: passes, radius of the random search, and box of the random start."""
    kitti, sintel = PAPER_PATCHMATCH["kitti"], PAPER_PATCHMATCH["sintel"]
    assert (kitti.passes, kitti.search_radius, kitti.start_x, kitti.start_y) == (2, 5, 500, 10)
    assert (sintel.passes, sintel.search_radius, sintel.start_x, sintel.start_y) == (2, 20, 10, 10)


@pytest.mark.parametrize("name", PAPER)
def test_every_stage_is_the_papers(name):
    settings, kind = flow_settings(name), PRESETS[name].kind
    assert settings.description.standardization == "image" and settings.description.single_scale
    assert settings.matching.method == "patchmatch" and settings.matching.search == PAPER_PATCHMATCH[kind]
    # Reference 1.6: a match comes back to within 1 px, and nothing else is asked.
    assert (settings.matching.check_threshold, settings.matching.smallest_island) == (1.0, 0)
    assert settings.interpolation.estimator == "affine" and settings.interpolation.confidence_power == 0
    assert settings.completion.method == "interpolated"
    assert settings.refinement.method == "variational" and np.isinf(settings.refinement.reach_px)


def test_methods_can_be_changed_one_by_one():
    changed = flow_settings("patchbatch-2016-kitti", matcher="exact", refinement="opencv")
    assert changed.matching == flow_settings("kitti", matcher="exact").matching
    assert changed.interpolation == flow_settings("patchbatch-2016-kitti").interpolation
    assert changed.refinement.method == "opencv"


def test_the_settings_survive_their_file(tmp_path):
    settings = flow_settings("patchbatch-2016-kitti")
    (tmp_path / "paper.toml").write_text(settings_text(settings))
    assert read_settings(tmp_path / "paper.toml") == settings


def test_benchmarks_take_the_form_for_their_images():
    assert preset_of_kind("patchbatch-2016", "kitti") == "patchbatch-2016-kitti"
    assert preset_of_kind("patchbatch-2016", "middlebury") == "patchbatch-2016"
    assert preset_of_kind("sintel", "kitti") == "sintel"


def test_a_network_is_seen_otherwise_with_the_same_weights():
    net = load_model("compact")
    image = np.random.default_rng(0).random((40, 50), np.float32)
    image[:, 25:] *= 0.3
    seen = net.seen_as("image", single_scale=True)
    assert (seen.dimension, net.dimension) == (64, 64) and seen.config.context == ()
    assert net.config.context == (0.7, 0.5) and net.joining is not None  # as it was
    alone = seen.describe_pyramid(image, 1, "float32")[0]
    torch.testing.assert_close(alone, describe(image, seen, "float32"))
    assert not torch.allclose(alone, describe(image, net, "float32"), atol=1e-3)
    flat = (standardize(image, seen) - net.config.input_mean) / net.config.input_std
    assert abs(flat.mean()) < 1e-5 and abs(flat.std() - 1) < 1e-5
    assert net.seen_as() is net


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_is_the_mean(value):
    net = load_model("compact").seen_as("image")
    assert np.allclose(standardize(np.full((9, 11), value, np.float32), net), net.config.input_mean)


def test_it_runs_whole():
    scene = demo_scene(72, 96)
    result = estimate_flow(scene.image1, scene.image2, "fast", preset="patchbatch-2016", keep_stages=True)
    assert result.descriptors.shape == (72, 96, 512)  # one scale
    assert list(result.stages) == ["matches", "interpolated", "refined"]
    np.testing.assert_array_equal(result.matches.vectors, np.rint(result.matches.vectors))  # whole pixels
    error = np.linalg.norm(result.flow - scene.flow, axis=-1)[result.valid]
    assert np.median(error) < 1 and not result.calibrated


def test_long_runs_say_how_long_they_take(tmp_path, capsys, monkeypatch):
    scene = demo_scene(64, 72)
    frames = [str(tmp_path / f"{name}.png") for name in "ab"]
    for file, image in zip(frames, (scene.image1, scene.image2), strict=True):
        cv2.imwrite(file, np.rint(255 * image[..., ::-1]).astype(np.uint8))
    words = [*frames, "--model", "fast", "-o", str(tmp_path / "f.flo")]
    monkeypatch.setattr(cli, "LONG_GFLOP", 1.0)
    assert cli.main(words) == 0
    said = capsys.readouterr().err
    assert re.search(
        r"^describing by fast takes about \d+ (s|minutes) here \(\d+ GFLOP\)$", said, re.MULTILINE
    )
    assert cli.main([*words, "-q"]) == 0
    assert "describing" not in capsys.readouterr().err


def test_patches_tell_how_far_they_are():
    net, heard = load_model("accurate"), []
    image = np.random.default_rng(0).random((10, 30), np.float32)
    with listening(lambda *told: heard.append(told)):
        describe(image, net, "float32")
    describe(image, net, "float32")  # nobody listens any more
    assert heard == [("patches", 128, 300), ("patches", 256, 300), ("patches", 300, 300)]


def test_bars_are_drawn_to_the_end(capsys):
    bars = cli._Bars()
    for done in (128, 256, 300, 128, 300):  # two images
        bars("patches", done, 300)
    assert bars.bar is None and "300/300" in capsys.readouterr().err
