"""Rows of the Joint Bayesian speed measurement hold consistent figures, at a small size."""

import pytest

from benchmarks.speed import joint_bayesian as speed_jb


def test_rows(monkeypatch):
    monkeypatch.setattr(speed_jb, "FACES", 1200)
    monkeypatch.setattr(speed_jb, "PAIRS", 5000)
    rows = speed_jb.measure(2)
    assert [row["stage"] for row in rows] == ["jb", "jb all pairs"]
    for row, count in zip(rows, (5000, 1200**2), strict=True):
        assert row["dimension"] == 160
        assert row["model"] is None
        assert row["size"] is None
        assert row["pairs-per-second"] * row["seconds"] == pytest.approx(count)
    # A block of 512 rows, the one before it, and the two factors with their float64 forms.
    assert 2 * 512 * 1200 * 4 / 1e6 <= rows[1]["extra-MB"] < 12
    assert rows[0]["extra-MB"] < 1
