"""Rows of the Joint Bayesian speed measurement say what was scored, at a small size."""

from types import SimpleNamespace

import pytest

from benchmarks.speed import joint_bayesian as speed_jb
from patchbatch.transfer.joint_bayesian.eigen import EigenForm

FACES, PAIRS = 1200, 1_000_000


@pytest.fixture
def rows(monkeypatch):
    """Both rows, on a clock on which every score that is really computed takes a microsecond."""
    scored = []

    class CountedForm(EigenForm):
        def pair_scores(self, *arguments):
            scores = super().pair_scores(*arguments)
            scored.append(scores.size)
            return scores

        def matrix_blocks(self, *arguments):
            for part, block in super().matrix_blocks(*arguments):
                scored.append(block.size)
                yield part, block

    monkeypatch.setattr(speed_jb, "EigenForm", CountedForm)
    monkeypatch.setattr(speed_jb, "time", SimpleNamespace(perf_counter=lambda: sum(scored) / 1e6))
    monkeypatch.setattr(speed_jb, "FACES", FACES)
    monkeypatch.setattr(speed_jb, "PAIRS", PAIRS)
    return speed_jb.measure(2)


def test_rates_are_those_of_the_pairs_that_are_scored(rows):
    assert [row["stage"] for row in rows] == ["jb", "jb all pairs"]
    for row, count in zip(rows, (PAIRS, FACES**2), strict=True):
        assert (row["dimension"], row["model"], row["size"]) == (160, None, None)
        assert row["seconds"] == pytest.approx(count / 1e6)
        assert row["pairs-per-second"] == pytest.approx(1e6)


def test_memory_leaves_out_the_answer_and_counts_the_blocks(rows):
    assert 0 <= rows[0]["extra-MB"] < 1  # the list's answer takes 4 MB
    # A block of 512 rows, the one before it, and the two factors with their float64 forms.
    assert 2 * 512 * FACES * 4 / 1e6 <= rows[1]["extra-MB"] < 12
