"""The ablation trains every variant and says how far the seeds spread."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.ablation import study as ablation
from patchbatch.descriptors.train.objective import Described, PointMatches


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for k in range(2):
        noise = np.random.default_rng(k).random((220, 220)).astype(np.float32)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / f"{k}.png"), picture.astype(np.uint8))
    return folder


@pytest.mark.slow
def test_every_variant_is_trained_and_reported(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ablation, "HELD_OUT_SCENES", 2)
    monkeypatch.setattr(ablation, "CHANNELS", (2, 2, 2, 2, 8))
    file = tmp_path / "ablation.json"
    small = ["--steps", "2", "--seeds", "2", "--scenes", "3"]
    assert main(["ablation", str(photos), *small, "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    variants = {(row["loss"], row["normalization"]) for row in report["rows"]}
    assert len(variants) == 8
    for row in report["rows"]:
        assert len(row["runs"]) == 2
        assert row["rank1"] == ablation._summary(row["runs"])["rank1"]
        assert all(0 <= run[name] <= 100 for run in row["runs"] for name in ablation.FIGURES)
    assert capsys.readouterr().out.count("±") == 8 * 3


def test_figures_of_known_descriptors():
    """Four points on a line of numbers, and a fifth that lies closer to the first than its match."""
    set1 = Described(torch.tensor([[0.0], [10], [20], [30]]), torch.zeros(4, 2))
    set2 = Described(torch.tensor([[1.0], [9], [26], [31], [0.5]]), torch.zeros(5, 2))
    rows = torch.arange(4)
    matches = PointMatches(rows, rows, torch.zeros(4, 2), wrong=torch.tensor([4, 0, 1, 2]))
    model = SimpleNamespace(described=lambda batch, numbers: [(set1, set2, matches)] * len(numbers))
    scene = tuple(torch.zeros(1) for _ in range(4))
    # The distances 1, 1, 1, 6 of the matches have 95 % below 5.25; of wrong points .5 and 4 are, or 4 alone.
    expected = {"rank1": 75, "fpr95": 25, "near-fpr95": 50}
    assert ablation._score(model, [scene]) == pytest.approx(expected)
    assert set(ablation.FIGURES) == set(expected)


def test_seeds_spread_by_the_deviation_of_a_sample():
    runs = [dict.fromkeys(ablation.FIGURES, figure) for figure in (1.0, 2.0, 6.0)]
    assert ablation._summary(runs)["fpr95"] == pytest.approx({"mean": 3, "deviation": 7**0.5})
    assert ablation._summary(runs[:1])["fpr95"] == {"mean": 1, "deviation": 0}


def test_bad_settings_and_folders_are_one_line(tmp_path, capsys):
    assert main(["ablation", str(tmp_path / "none")]) == 1
    assert main(["ablation", str(tmp_path), "--steps", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 2
