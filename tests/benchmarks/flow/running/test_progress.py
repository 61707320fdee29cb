"""What a run says while it goes, and at its end."""

import sys

import numpy as np
import pytest

from benchmarks.flow.running.progress import Progress, RunningError, closing_lines
from benchmarks.flow.running.scoring import Outcome, StageScore
from benchmarks.flow.table import Label
from benchmarks.metrics import Tally, summarise
from patchbatch.progress import in_time

ZERO, NET = Label("zero", None), Label("patchbatch", "compact")


def outcome(pair: str, label: Label, total: float, pixels: int) -> Outcome:
    """Return an outcome whose EPE and Fl-all are total / pixels."""
    tallies = {"EPE": Tally(total, pixels), "Fl-all": Tally(total, pixels)}
    return Outcome(pair, label, {"final": StageScore(tallies, {"total": 1.0})})


@pytest.mark.parametrize("figure", ["EPE", "EPE-pooled", "Fl-all", "Fl-all-per-image"])
def test_the_running_error_is_that_of_the_table(figure: str) -> None:
    rng = np.random.default_rng(0)
    running, so_far = RunningError("kitti2015", figure), []
    for number in range(20):
        pixels = int(rng.integers(0, 50))
        tallies = {name: Tally(float(rng.random() * pixels), pixels) for name in ("EPE", "Fl-all")}
        so_far.append(tallies)
        running.add(str(number), tallies)
        if figure in summarise(so_far):
            assert running.value == pytest.approx(summarise(so_far)[figure], rel=1e-12)
    assert running.pairs == sum(one["EPE"].pixels > 0 for one in so_far)


def test_closing_lines_name_the_best_and_the_worst_pair() -> None:
    outcomes = [outcome("a", ZERO, 50, 10), outcome("b", ZERO, 10, 10), outcome("c", ZERO, 60, 20)]
    outcomes += [outcome("a", NET, 1, 1), Outcome("b", NET, error="damaged")]
    assert closing_lines("kitti2015", outcomes) == [
        "zero: Fl-all 3.00 % over 3 pairs; best b (1.00 %), worst a (5.00 %)",
        "patchbatch-compact: Fl-all 1.00 % over 1 pairs; best a (1.00 %), worst a (1.00 %)",
    ]
    assert closing_lines("kitti2015", [Outcome("a", ZERO, {"final": StageScore({}, {})})]) == []


def test_a_line_a_pair_when_all_methods_are_through(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("chairs", [ZERO, NET], 3)
    progress.know([outcome("a", ZERO, 4, 1), outcome("a", NET, 2, 1), outcome("b", ZERO, 8, 1)])
    progress.tell(outcome("b", NET, 4, 1))
    progress.tell(Outcome("c", ZERO, error="chairs c: damaged"))
    progress.tell(Outcome("c", NET, error="chairs c: damaged"))
    progress.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0] == "1 of 3 pairs are there from before"
    assert lines[1].startswith(
        "2/3 b, zero EPE 8.000 px (so far 6.000 px), patchbatch-compact EPE 4.000 px (so far 3.000 px); "
    )
    assert lines[2:3] == ["failed: chairs c: damaged"]  # once, though both methods failed
    assert lines[3].startswith("3/3 c; ") and lines[3].endswith(" 0 s left")


def test_a_terminal_gets_a_bar_instead(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress("chairs", [ZERO], 2)
    progress.know([])
    progress.tell(outcome("a", ZERO, 4, 1))
    progress.tell(outcome("b", ZERO, 2, 1))
    progress.close()
    said = capsys.readouterr().err
    assert "2/2" in said and "zero EPE 3.000 px" in said
    assert "so far" not in said


def test_the_time_left_is_that_of_the_pairs_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 110.0])
    monkeypatch.setattr("benchmarks.flow.running.progress.time.monotonic", lambda: next(clock, 110.0))
    progress = Progress("chairs", [ZERO], 6)
    progress.know([outcome("a", ZERO, 1, 1)])  # was there before and took no time
    progress.tell(outcome("b", ZERO, 1, 1))
    assert progress._time_left() == "10 s gone, 40 s left"
    progress.close()


def test_time_in_words() -> None:
    assert [in_time(s) for s in (0, 89, 90, 5399, 5400)] == [
        "0 s",
        "89 s",
        "1.5 min",
        "90.0 min",
        "1 h 30 min",
    ]
