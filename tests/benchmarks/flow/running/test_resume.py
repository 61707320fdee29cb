"""Results are kept as they are made: killed, interrupted, damaged, continued, mixed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_trees import SIZE, make_chairs

from benchmarks.__main__ import main, parse
from benchmarks.flow.command import benchmark_of
from benchmarks.flow.running.fingerprint import fingerprint
from benchmarks.flow.running.store import Store
from patchbatch.data.formats import write_flow

PAIRS = 12
# Writes a line a call, and takes a while, so that a run can be killed between and within pairs.
SLOW = """\
import time
import numpy as np

def shift(frame1, frame2):
    with open("calls", "a") as log:
        log.write("called\\n")
    time.sleep(0.1)
    return np.full((*frame1.shape[:2], 2), frame1.mean() / 100)
"""


@pytest.fixture
def chairs(tmp_path: Path) -> Path:
    return make_chairs(tmp_path, PAIRS)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a function of a user's in the current folder; return the file that has a line a call of it."""
    (tmp_path / "slow_flow.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "calls"


def words(chairs: Path, *more: str) -> list[str]:
    return ["flow", "chairs", str(chairs), "--method", "zero", "slow=slow_flow:shift", *more]


def start(chairs: Path, *more: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[4])
    environment = os.environ | {"PYTHONPATH": root}
    command = [sys.executable, "-m", "benchmarks", *words(chairs, *more)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_more_lines(run: subprocess.Popen[str], file: Path, more: int) -> None:
    """Wait until a run has written so many lines more, or has ended."""
    before = lines_of(file)
    while lines_of(file) < before + more and run.poll() is None:
        time.sleep(0.01)


def lines_of(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def without_times(value: object) -> object:
    """Leave times and the date out."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in ("seconds", "date")}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def report(file: Path) -> bytes:
    """Return a report as it was written, but for times."""
    return json.dumps(without_times(json.loads(file.read_text(encoding="utf-8")))).encode()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_three_times_and_resumed_is_the_same_as_uninterrupted(
    chairs: Path, slow: Path, tmp_path: Path, jobs: str
) -> None:
    assert main(words(chairs, "--json", str(tmp_path / "whole.json"))) == 0
    slow.unlink()
    kept = tmp_path / "kept"
    for lines, pause in ((1, 0.03), (3, 0.07), (5, 0.0)):
        run = start(chairs, "--keep", str(kept), "--jobs", jobs)
        wait_for_more_lines(run, kept / "results.jsonl", lines)
        time.sleep(pause)
        run.kill()
        run.communicate()
    before = lines_of(kept / "results.jsonl")
    assert 9 <= before < 2 * PAIRS
    calls = lines_of(slow)
    again = words(chairs, "--keep", str(kept), "--json", str(tmp_path / "parts.json"))
    assert main(again) == 0
    assert report(tmp_path / "parts.json") == report(tmp_path / "whole.json")
    assert lines_of(slow) - calls <= PAIRS - before // 2  # what was kept was not computed again
    assert lines_of(slow) <= PAIRS + 3 * 2 * int(jobs)  # and a kill costs what was being computed


def test_an_interrupted_run_says_how_to_go_on(chairs: Path, slow: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    run = start(chairs, "--keep", str(kept))
    wait_for_more_lines(run, kept / "results.jsonl", 3)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate()
    assert (run.returncode, out) == (130, "")
    before = lines_of(kept / "results.jsonl")
    assert 3 <= before < 2 * PAIRS
    assert err.splitlines()[-1] == f"stopped: the same command goes on where it was, from {kept}"
    assert "Traceback" not in err
    assert not list(tmp_path.rglob(".patchbatch-*"))
    calls = lines_of(slow)
    assert main(words(chairs, "--keep", str(kept))) == 0
    assert lines_of(slow) - calls == PAIRS - before // 2


def test_a_damaged_pair_is_told_and_the_rest_scored(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, whole = chairs / "data" / "00003_flow.flo", (chairs / "data" / "00003_flow.flo").read_bytes()
    damaged.write_bytes(whole[:-8])
    (chairs / "data" / "00005_img1.ppm").write_bytes(b"P6 32 24 255\n")
    json_file, kept = tmp_path / "report.json", str(tmp_path / "kept")
    command = ["flow", "chairs", str(chairs), "--method", "zero", "dis-fast", "--keep", kept]
    assert main([*command, "--json", str(json_file)]) == 1
    captured = capsys.readouterr()
    failed = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert [line.partition(": ")[2].partition(": ")[0] for line in failed] == [
        "chairs 00003",
        "zero on chairs 00005",
        "dis-fast on chairs 00005",
    ]
    assert str(damaged) in failed[0]
    found = json.loads(json_file.read_text())
    assert [(one["pair"], one["method"]) for one in found["failed"]] == [
        ("00003", "zero"), ("00003", "dis-fast"), ("00005", "zero"), ("00005", "dis-fast"),
    ]  # fmt: skip
    assert [row["pairs"] for row in found["rows"]] == [PAIRS - 2] * 2
    left = [number for number in range(1, PAIRS + 1) if number not in (3, 5)]
    assert found["rows"][0]["metrics"]["EPE"] == pytest.approx(sum(left) / len(left))
    assert captured.out.startswith("| method")
    # Mended, they alone are run.
    damaged.write_bytes(whole)
    (chairs / "data" / "00005_img1.ppm").write_bytes((chairs / "data" / "00004_img1.ppm").read_bytes())
    assert main([*command, "--json", str(json_file)]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"{PAIRS - 2} of {PAIRS} pairs are there from before"
    assert [line.partition(",")[0] for line in told[1:3]] == ["11/12 00003", "12/12 00005"]
    assert json.loads(json_file.read_text())["failed"] == []


def test_settings_that_differ_are_refused_and_named(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "kept")
    own = ["--method", "x=" + str(chairs / "data")]
    assert main(["flow", "chairs", str(chairs), *own, "--keep", kept]) == 0
    (tmp_path / "other").mkdir()
    changed = ["--method", "x=" + str(tmp_path / "other"), "--keep-invalid"]
    capsys.readouterr()
    assert main(["flow", "chairs", str(chairs), *changed, "--keep", kept]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: {kept} has results of other settings: keep-invalid was False and is True, "
    )
    assert f"x: folder was {chairs / 'data'} and is {tmp_path / 'other'};" in said
    assert said.count("\n") == 1


def test_methods_and_pairs_may_be_added(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, file = str(tmp_path / "kept"), tmp_path / "report.json"
    assert main(["flow", "chairs", str(chairs), "--method", "zero", "--keep", kept, "--limit", "2"]) == 0
    more = ["flow", "chairs", str(chairs), "--method", "dis-fast", "zero", "--keep", kept]
    assert main([*more, "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert [(row["method"], row["pairs"]) for row in found["rows"]] == [("dis-fast", PAIRS), ("zero", PAIRS)]
    # Pair by pair and method by method, whatever was there before.
    assert [(row["pair"], row["method"]) for row in found["per_pair"]] == [
        (f"{number:05d}", method) for number in range(1, PAIRS + 1) for method in ("dis-fast", "zero")
    ]
    assert lines_of(tmp_path / "kept" / "results.jsonl") == 2 * PAIRS


def test_fields_that_are_missing_are_made_anew(chairs: Path, tmp_path: Path) -> None:
    command = ["flow", "chairs", str(chairs), "--method", "zero", "--keep", str(tmp_path / "kept")]
    assert main(command) == 0
    write = ["--write", str(tmp_path / "fields"), "--write-as", ".flo"]
    assert main([*command, *write]) == 0
    fields = sorted((tmp_path / "fields" / "zero").iterdir())
    assert [file.name for file in fields] == [f"{n:05d}_flow.flo" for n in range(1, PAIRS + 1)]
    fields[4].unlink()
    lines = lines_of(tmp_path / "kept" / "results.jsonl")
    assert main([*command, *write]) == 0
    assert fields[4].is_file()
    assert lines_of(tmp_path / "kept" / "results.jsonl") == lines + 1


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda kept: (kept / "results.jsonl").write_text('{"pair": 1}\n'),
            "results.jsonl, line 1 is damaged",
        ),
        (lambda kept: (kept / "settings.json").write_text("{"), "settings.json is damaged"),
    ],
)
def test_damaged_results_are_named(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object, says: str
) -> None:
    kept = tmp_path / "kept"
    command = ["flow", "chairs", str(chairs), "--method", "zero", "--limit", "1", "--keep", str(kept)]
    assert main(command) == 0
    damage(kept)  # type: ignore[operator]
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_a_line_that_was_cut_off_is_made_anew(chairs: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = ["flow", "chairs", str(chairs), "--method", "zero", "--limit", "2", "--keep", str(kept)]
    assert main(command) == 0
    file = kept / "results.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert main(command) == 0
    assert lines_of(file) == 2 and all(json.loads(line) for line in file.read_bytes().splitlines())


def test_two_runs_in_one_folder_are_refused(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    command = ["flow", "chairs", str(chairs), "--method", "zero", "--keep", str(kept)]
    store = Store(kept, fingerprint(benchmark_of(parse(command))))
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said == f"error: another run is at work in {kept}; wait, or give --keep another folder\n"
    store.close()
    assert main(command) == 0


def test_results_of_any_number_come_back_exactly(tmp_path: Path) -> None:
    """The last digit of a sum of pixels counts: rows of kept results equal those of new ones."""
    chairs = make_chairs(tmp_path / "odd", 3)
    rng = np.random.default_rng(1)
    for number in (1, 2, 3):
        file = chairs / "data" / f"{number:05d}_flow.flo"
        write_flow(file, rng.normal(0, 7, (*SIZE, 2)).astype(np.float32))
    command = ["flow", "chairs", str(chairs), "--method", "zero", "--keep", str(tmp_path / "kept"), "--json"]
    assert main([*command, str(tmp_path / "a.json")]) == main([*command, str(tmp_path / "b.json")]) == 0
    assert report(tmp_path / "a.json") == report(tmp_path / "b.json")
