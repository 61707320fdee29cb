"""The speed benchmark runs the trainer's own update and reports consistent figures."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.training import speed as training_speed


def test_rates_ratio_and_share_belong_together(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_speed, "PAIRS", 1)
    monkeypatch.setattr(training_speed, "PATCH_POINTS", 24)
    monkeypatch.setattr(training_speed, "NAIVE_MATCHES", 2)
    file = tmp_path / "training.json"
    assert main(["training", "--preset", "compact", "accurate", "--repeats", "1", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert [row["preset"] for row in rows] == ["compact", "accurate"]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["matches/s"] / row["naive matches/s"])
        assert row["share"] == pytest.approx(100 * row["GFLOP/s"] / row["convolution GFLOP/s"])
        assert row["GFLOP/s"] > 0
    assert capsys.readouterr().out.count("\n") == 4


def test_no_repeats_is_one_line(capsys):
    assert main(["training", "--repeats", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
