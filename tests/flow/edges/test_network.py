"""The edge network, its training command and the F-measure it is judged by."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from event_files import assert_same_figures

from flow.edges.network import (
    EdgeNetwork,
    load_edge_network,
    network_edges,
    save_edge_network,
)
from flow.edges.score import (
    Counts,
    best_f_measure,
    count_matches,
    f_measure,
    thinned,
)
from flow.edges.train import teach as train_edges
from flow.edges.train.command import main
from flow.edges.train.settings import EdgeTraining, boundary_pairs
from patchbatch.errors import PatchBatchError
from patchbatch.program import INTERRUPTED


def column(x, shape=(60, 80)):
    drawing = np.zeros(shape, np.bool_)
    drawing[:, x] = True
    return drawing


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (16, 16), (33, 50)])
def test_any_size_keeps_its_size(shape):
    assert EdgeNetwork()(torch.rand(2, 3, *shape)).shape == (2, *shape)


def test_network_is_small():
    assert sum(weights.numel() for weights in EdgeNetwork().parameters()) < 500_000


def test_saved_weights_give_the_same_edges_within_half_precision(tmp_path):
    torch.manual_seed(0)
    network, file = EdgeNetwork().eval(), tmp_path / "edges.safetensors"
    save_edge_network(network, file)
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    edges = network_edges(image, file)
    assert edges.shape == (20, 30) and edges.dtype == np.float32 and 0 <= edges.min() <= edges.max() <= 1
    colour = torch.from_numpy(np.repeat(image[None, None], 3, axis=1))
    np.testing.assert_allclose(edges, torch.sigmoid(network(colour))[0].detach(), atol=5e-3)
    assert load_edge_network(str(file)) is load_edge_network(str(file))


def test_other_files_are_named(tmp_path):
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    for name in ("junk.safetensors", "none.safetensors"):
        with pytest.raises(PatchBatchError, match=name):
            network_edges(np.zeros((4, 4), np.float32), tmp_path / name)


def test_ridge_is_thinned_to_its_crest():
    y, x = np.mgrid[:60, :80]
    for angle in (0, 0.5, 1.2):
        offset = (x - 40) * np.cos(angle) + (y - 30) * np.sin(angle)
        ridge = np.exp(-((offset / 3) ** 2)).astype(np.float32)
        crest = thinned(ridge)[10:50, 10:70] > 0.2
        assert (abs(offset[10:50, 10:70][crest]) < 1.2).all()
        assert 38 <= crest.sum() < 120


def test_matching_is_one_to_one_and_within_the_tolerance():
    truth = column(40)  # diagonal 100 px, so 0.75 px of reach at the usual tolerance
    assert count_matches(truth, [truth]) == Counts(60, 60, 60, 60)
    assert count_matches(column(41), [truth]).correct == 0
    assert count_matches(column(41), [truth], 0.0105).correct == 60
    double = column(40) | column(41)
    assert count_matches(double, [truth], 0.0105) == Counts(60, 120, 60, 60)
    assert count_matches(np.zeros_like(truth), [truth]) == Counts(0, 0, 0, 60)


def test_precision_counts_any_annotator_and_recall_all():
    counts = count_matches(column(20), [column(20), column(60)])
    assert counts == Counts(60, 60, 60, 120)
    assert f_measure(counts) == pytest.approx(2 / 3)
    assert f_measure(Counts(0, 0, 0, 0)) == 0


def test_best_threshold_is_one_for_all_images():
    ridge = np.zeros((60, 80), np.float32)
    ridge[:, 40] = 0.6
    ridge[:, 10] = 0.2
    score, threshold = best_f_measure([(ridge, [column(40)])] * 2, (0.1, 0.5, 0.9))
    assert (score, threshold) == (1.0, 0.5)


def test_loss_weighs_borders_and_the_rest_alike_and_skips_the_doubtful():
    agreement = torch.zeros(1, 10, 10)
    agreement[0, 0] = 1
    agreement[0, 5] = 0.1
    none, all_over = torch.full((1, 10, 10), -9.0), torch.full((1, 10, 10), 9.0)
    assert train_edges.boundary_loss(none, agreement) == pytest.approx(
        float(train_edges.boundary_loss(all_over, agreement)), rel=1e-3
    )
    right = torch.where(agreement == 1, 9.0, -9.0)
    doubtful = right.clone()
    doubtful[0, 5] = 9
    assert float(train_edges.boundary_loss(right, agreement)) < 0.01
    torch.testing.assert_close(*(train_edges.boundary_loss(x, agreement) for x in (right, doubtful)))


@pytest.fixture
def small_bsds(tmp_path):
    """Two photographs a split: a bright square, its outline drawn by two people."""
    for split in ("train", "val", "test"):
        for kind in ("images", "boundaries"):
            (tmp_path / kind / split).mkdir(parents=True)
        for k in range(2):
            photo = np.full((48, 64, 3), 40, np.uint8)
            photo[12:36, 16 + k : 44] = 220
            cv2.imwrite(str(tmp_path / "images" / split / f"{k}.jpg"), photo)
            outline = np.zeros((48, 64), np.uint8)
            cv2.rectangle(outline, (16 + k, 12), (43, 35), 3)
            cv2.imwrite(str(tmp_path / "boundaries" / split / f"{k}.png"), outline)
    return tmp_path


def test_training_command_learns_scores_and_writes(small_bsds, tmp_path, capsys):
    words = ["--data", str(small_bsds), "--steps", "3", "--batch", "2", "--crop", "32"]
    files = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for file in files:
        more = ["--output", str(file), "--json", str(tmp_path / "s.json"), "--log", "tensorboard"]
        assert main([*words, *more]) == 0
        assert_same_figures(file.with_suffix(".events"), file.with_suffix(".log.csv"))
    assert files[0].read_bytes() == files[1].read_bytes()
    scores = json.loads((tmp_path / "s.json").read_text())["scores"]
    assert 0 <= scores["network ODS"] <= 1 and scores["gradient ODS"] > 0.6
    assert "gradient ODS" in capsys.readouterr().out


def test_a_training_that_is_stopped_writes_what_it_has(small_bsds, tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(train_edges, "asked_to_stop", lambda: nullcontext(lambda: len(steps) == 2))
    step = train_edges._step
    monkeypatch.setattr(train_edges, "_step", lambda *given: steps.append(0) or step(*given))
    words = ["--data", str(small_bsds), "--steps", "9", "--batch", "1", "--crop", "32"]
    assert main([*words, "--output", str(tmp_path / "a.safetensors")]) == INTERRUPTED
    assert len(steps) == 2
    load_edge_network(str(tmp_path / "a.safetensors"))


def test_products_are_in_bfloat16_only_where_it_is_multiplied(small_bsds, monkeypatch):
    sample = [train_edges.read_sample(*pair) for pair in boundary_pairs(small_bsds, "train")]
    for has in (False, True):
        monkeypatch.setattr("patchbatch.devices.multiplies_bfloat16", lambda _, has=has: has)
        kinds = set()

        def noted(self, image, plain=EdgeNetwork.forward, kinds=kinds):
            kinds.add(torch.is_autocast_enabled("cpu"))
            return plain(self, image)

        monkeypatch.setattr(EdgeNetwork, "forward", noted)
        train_edges.train(sample, EdgeTraining(steps=1, batch=1, crop=32))
        monkeypatch.undo()
        assert kinds == {has}


def test_training_without_data_is_one_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 1
    assert "BSDS500" in capsys.readouterr().err


CHILD = """
import sys
from flow.edges.train.command import main
try:
    status = main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print("torch" if "torch" in sys.modules else "quick", file=sys.stderr)
sys.exit(status)
"""


def test_help_and_refusals_come_before_torch(small_bsds, tmp_path):
    (tmp_path / "file").write_text("no folder")
    good = ["--data", small_bsds]
    cases = [
        ([*good, "--help"], 0),
        (["--data", tmp_path / "none"], 1),
        ([*good, "--steps", "0"], 1),
        ([*good, "--minutes", "nan"], 1),
        ([*good, "--test-images", "0"], 1),
        ([*good, "--score", tmp_path / "none"], 1),
        ([*good, "--output", tmp_path / "file" / "w.safetensors"], 1),
        ([*good, "--json", tmp_path], 1),
        ([], 2),
    ]
    for words, status in cases:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *map(str, words)], cwd=Path(__file__).parents[3],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        *lines, last = done.stderr.splitlines()
        assert (done.returncode, last) == (status, "quick"), words
        assert status != 1 or (len(lines) == 1 and lines[0].startswith("error: "))


@pytest.mark.slow
def test_a_few_steps_lower_the_loss(small_bsds):
    samples = [train_edges.read_sample(*pair) for pair in boundary_pairs(small_bsds, "train")]
    generator = np.random.default_rng(9)
    crops = [train_edges.random_crop(samples[k], 32, generator) for k in (0, 1, 0, 1)]
    images, agreement = (torch.stack(part) for part in zip(*crops, strict=True))
    losses = []
    for steps in (1, 25):
        network = train_edges.train(samples, EdgeTraining(steps=steps, batch=4, crop=32))
        losses.append(float(train_edges.boundary_loss(network(images), agreement).detach()))
    assert losses[1] < 0.8 * losses[0]


def test_the_shipped_network_sees_a_border_and_not_the_texture_beside_it():
    generator = np.random.default_rng(0)
    image = np.full((96, 128, 3), (0.25, 0.45, 0.3), np.float32)
    image[:, 64:] = (0.75, 0.6, 0.4)
    image += generator.normal(0, 0.03, (96, 128, 1)).astype(np.float32)
    edges = network_edges(image.clip(0, 1))
    border = edges[10:-10, 61:68].max(axis=1)
    assert edges.shape == (96, 128) and edges.dtype == np.float32
    assert border.min() > 3 * edges[10:-10, 20:50].max()


def test_weights_are_scored_without_training(tmp_path, small_bsds):
    network = EdgeNetwork()
    save_edge_network(network, tmp_path / "w.safetensors")
    before = (tmp_path / "w.safetensors").read_bytes()
    words = [
        "--data",
        str(small_bsds),
        "--score",
        str(tmp_path / "w.safetensors"),
        "--json",
        str(tmp_path / "s.json"),
    ]
    assert main(words) == 0
    report = json.loads((tmp_path / "s.json").read_text())
    assert "training" not in report and 0 <= report["scores"]["network ODS"] <= 1
    assert (tmp_path / "w.safetensors").read_bytes() == before
    assert not (tmp_path / "runs").exists()
