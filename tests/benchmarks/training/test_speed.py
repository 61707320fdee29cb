"""The speed benchmark: its figures follow from known seconds, and its arithmetic is what is really run."""

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.__main__ import main
from benchmarks.training import speed as training_speed
from patchbatch.descriptors.cost import flops_per_patch
from patchbatch.devices import resolve_training_precision

PAIRS, GRID_POINTS, PATCH_POINTS, NAIVE_MATCHES = 2, 30, 24, 5


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few points, and networks of the same layers with few channels."""
    presets = dict(training_speed.PRESETS)
    for name in ("compact", "accurate"):
        joint = (10, 16) if presets[name].joint else ()
        presets[name] = replace(presets[name], channels=(4, 6, 8, 12, 16), joint=joint)
    monkeypatch.setattr(training_speed, "PRESETS", presets)
    monkeypatch.setattr(training_speed, "PAIRS", PAIRS)
    monkeypatch.setattr(training_speed, "DENSE_POINTS", GRID_POINTS)
    monkeypatch.setattr(training_speed, "PATCH_POINTS", PATCH_POINTS)
    monkeypatch.setattr(training_speed, "NAIVE_MATCHES", NAIVE_MATCHES)


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.slow
def test_figures_follow_from_the_medians_of_the_seconds(tmp_path, monkeypatch, capsys):
    """On a clock that says how long each of the three took, one outlier in each."""
    seconds = iter([4.0, 0.5, 2.0, 4.0, 0.25, 99.0, 80.0, 0.5, 2.0] * 4)
    monkeypatch.setattr(training_speed, "_timed", lambda update: next(seconds))
    monkeypatch.setattr(training_speed, "_large_convolution", lambda half: (lambda: None, 6e9))
    file = tmp_path / "training.json"
    assert main(["training", "--preset", "compact", "accurate", "--repeats", "3", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    every = [(row["preset"], row["loss"], row["patches"]) for row in rows]
    assert every == [
        (name, *loss) for name in ("compact", "accurate") for loss in (("cent+sd", 3), ("softmax", 2))
    ]
    half = resolve_training_precision("auto", torch.device("cpu")) is torch.bfloat16
    for row, points in zip(rows, 2 * [GRID_POINTS] + 2 * [PATCH_POINTS], strict=True):
        update, matches = training_speed._trainer_update(row["preset"], row["loss"], half)
        assert matches == PAIRS * points
        assert row["patches/s"] == row["patches"] * PAIRS * points / 4
        assert row["plain patches/s"] == row["patches"] * NAIVE_MATCHES / 0.5
        assert row["ratio"] == pytest.approx(PAIRS * points / 40)
        assert row["convolution GFLOP/s"] == 3
        assert row["GFLOP/s"] == pytest.approx(counted(update) / 4e9, rel=1e-3)
        assert row["share"] == pytest.approx(row["GFLOP/s"] / 0.03)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    cells = [cell.strip() for cell in lines[2].split("|")][1:7]
    rate, plain = 3 * PAIRS * GRID_POINTS / 4, 3 * NAIVE_MATCHES / 0.5
    assert cells == ["compact", "cent+sd", "3", f"{rate:.1f}", f"{plain:.1f}", f"{rate / plain:.1f}"]


def test_updates_go_forward_and_backward_through_the_patches_of_the_matches():
    """Two patches a match for the softmax, three for a loss of pairs, in the plain loop as in the trainer.

    Backward is twice forward, but that nobody asks for the gradient of the patches themselves.
    """
    config = training_speed.PRESETS["accurate"]
    first_layer = 2 * 9 * config.channels[0] * config.map_sizes()[0] ** 2
    patch = 3 * flops_per_patch(config) - first_layer
    for loss, of_match in (("softmax", 2), ("cent+sd", 3)):
        ours, matches = training_speed._trainer_update("accurate", loss, False)
        assert counted(ours) == pytest.approx(of_match * matches * patch, rel=0.01)
        naive = training_speed._naive_update("accurate", loss)
        assert counted(naive) == pytest.approx(of_match * NAIVE_MATCHES * patch, rel=0.01)


def test_the_limit_counts_its_own_arithmetic():
    with torch.device("meta"):  # shapes without numbers
        update, flop = training_speed._large_convolution(True)
        assert counted(update) == flop


def test_no_repeats_is_one_line(capsys):
    assert main(["training", "--repeats", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
