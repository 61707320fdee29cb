"""The ablation trains every variant and says how far the seeds spread."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.ablation import study as ablation


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for k in range(2):
        noise = np.random.default_rng(k).random((220, 220)).astype(np.float32)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / f"{k}.png"), picture.astype(np.uint8))
    return folder


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
        figures = [run["rank1"] for run in row["runs"]]
        assert row["rank1"]["mean"] == pytest.approx(np.mean(figures))
        assert row["rank1"]["deviation"] == pytest.approx(np.std(figures, ddof=1))
        assert all(0 <= run[name] <= 100 for run in row["runs"] for name in ablation.FIGURES)
    assert capsys.readouterr().out.count("±") == 8 * 3


def test_bad_settings_and_folders_are_one_line(tmp_path, capsys):
    assert main(["ablation", str(tmp_path / "none")]) == 1
    assert main(["ablation", str(tmp_path), "--steps", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 2
