"""Several processes measure what one does; they share threads, pairs and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_trees import make_chairs

from benchmarks.__main__ import main
from benchmarks.flow.running.processes import in_processes
from patchbatch.errors import PatchBatchError
from patchbatch.runs import processes
from patchbatch.runs.processes import NO_SPINNING, THREADS, Group, group_of_torchrun, thread_variables

ROOT = str(Path(__file__).resolve().parents[4])
TOLD: list[object] = []


def prepare(number: int, *told: object) -> None:
    TOLD.extend([number, *told])


def describe(thing: int) -> tuple[int, int, list[object], dict[str, str | None]]:
    return thing, os.getpid(), TOLD, {name: os.environ.get(name) for name in (*THREADS, *NO_SPINNING)}


def fail(thing: int) -> int:
    if thing == 3:
        raise PatchBatchError("three is damaged")
    return thing


def die(_thing: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def found_by_new_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new processes import this file by its name, and the project."""
    folder = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([ROOT, folder]))
    monkeypatch.setitem(sys.modules, "test_processes", sys.modules[__name__])
    for function in (prepare, describe, fail, die):
        monkeypatch.setattr(function, "__module__", "test_processes")
    monkeypatch.syspath_prepend(folder)


def test_processes_get_their_share_of_threads_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_processors", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    results = list(in_processes(describe, range(8), 2, prepare, "said"))
    assert sorted(thing for thing, *_ in results) == list(range(8))
    by_process = {pid: told for _, pid, told, _ in results}
    assert all(told[1:] == ["said"] and told[0] in (0, 1) for told in by_process.values())
    assert all(variables == dict.fromkeys(THREADS, "3") | NO_SPINNING for *_, variables in results)
    assert dict(os.environ) == before


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_processors", lambda: 8)
    assert thread_variables(1) == {}
    for count, asked, share in (
        (2, None, "4"),
        (3, None, "2"),
        (16, None, "1"),
        (2, "1", "1"),
        (2, "99", "4"),
    ):
        variables = thread_variables(count, asked)
        assert {variables[name] for name in THREADS} == {share}
        assert variables["OMP_WAIT_POLICY"] == "passive"


def test_an_error_in_a_process_is_an_error_here() -> None:
    with pytest.raises(PatchBatchError, match="three is damaged"):
        list(in_processes(fail, range(8), 2, prepare))


@pytest.mark.slow
def test_a_killed_process_is_told_in_one_line() -> None:
    with pytest.raises(PatchBatchError, match="a process of --jobs was killed"):
        list(in_processes(die, range(4), 2, prepare))


@pytest.mark.slow
def test_things_are_handed_out_as_they_are_needed() -> None:
    """A generator of a million pairs is not read to its end before the first result."""
    taken = []

    def things() -> object:
        for thing in range(1000):
            taken.append(thing)
            yield thing

    results = in_processes(fail, (thing + 10 for thing in things()), 2, prepare)  # type: ignore[attr-defined]
    next(results)
    assert len(taken) < 10
    results.close()  # type: ignore[attr-defined]


def test_a_group_deals_the_pairs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = [Group(rank, 3).share(range(8)) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert Group().gathered([1, 2]) == [1, 2]
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert group_of_torchrun() == Group()
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert group_of_torchrun() == Group(5, 8, 1, 4)


def figures(file: Path) -> str:
    """Return all figures of a report as text, to the last digit; times left out."""
    report = json.loads(file.read_text(encoding="utf-8"))
    rows = [{key: row[key] for key in row if key != "seconds"} for row in report["rows"] + report["per_pair"]]
    return json.dumps([rows, report["failed"]])


@pytest.fixture
def chairs(tmp_path: Path) -> Path:
    """Make seven pairs, one of them damaged, which two processes cannot share evenly."""
    chairs = make_chairs(tmp_path, 7)
    (chairs / "data" / "00004_flow.flo").write_bytes(b"PIEH")
    return chairs


@pytest.mark.slow
def test_jobs_make_the_table_of_one_process(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["flow", "chairs", str(chairs), "--method", "dis-fast", "farneback", "--json"]
    assert main([*words, str(tmp_path / "one.json")]) == 1
    one = capsys.readouterr().out
    assert main([*words, str(tmp_path / "two.json"), "--jobs", "2"]) == 1
    two = capsys.readouterr().out
    assert figures(tmp_path / "two.json") == figures(tmp_path / "one.json")
    assert [line.rpartition("|")[0].rpartition("|")[0] for line in one.splitlines()] == [
        line.rpartition("|")[0].rpartition("|")[0] for line in two.splitlines()
    ]


@pytest.mark.slow
def test_processes_of_torchrun_make_the_table_of_one(
    chairs: Path, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["flow", "chairs", str(chairs), "--method", "dis-fast", "zero", "--keep", str(tmp_path / "kept")]
    assert main([*words, "--json", str(tmp_path / "one.json")]) == 1
    kept = tmp_path / "kept" / "results.jsonl"
    kept.write_bytes(b"".join(kept.read_bytes().splitlines(keepends=True)[:3]))  # the rest is made anew
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port)]
    command = [sys.executable, *launch, "-m", "benchmarks", *words, "--json", str(tmp_path / "two.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1  # a pair is damaged
    assert done.stdout.startswith("| method") and done.stdout.count("| dis-fast") == 1
    assert "failed: chairs 00004: " in done.stderr
    assert figures(tmp_path / "two.json") == figures(tmp_path / "one.json")
    assert (tmp_path / "kept" / "results-1.jsonl").exists()


def test_jobs_and_torchrun_do_not_go_together(
    chairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert main(["flow", "chairs", str(chairs), "--method", "zero", "--jobs", "2"]) == 1
    assert "leave --jobs out" in capsys.readouterr().err


ENDLESS = """\
import os, time

def prepare(number):
    pass

def wait(path):
    with open(path, "a") as file:
        file.write(str(os.getpid()) + "\\n")
    time.sleep(600)
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    pids = tmp_path / "pids"
    (tmp_path / "parent.py").write_text(
        "import endless\nfrom benchmarks.flow.running.processes import in_processes\n"
        "if __name__ == '__main__':\n"
        f"    list(in_processes(endless.wait, [{str(pids)!r}] * 4, 2, endless.prepare))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, str(tmp_path)])}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], env=environment)
    while parent.poll() is None and not (pids.exists() and pids.read_text().count("\n") == 2):
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    left = [int(line) for line in pids.read_text().split()]
    deadline = time.monotonic() + 20
    while any(map(is_running, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left) == 2 and not any(map(is_running, left))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
