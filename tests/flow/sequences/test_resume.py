"""A sequence that was stopped goes on with the same bytes; another one is not mixed with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_sequences import pretended, write_frames

from flow.cli import main
from flow.sequences.results import Results
from flow.sequences.settings import SequenceSettings

ROOT = Path(__file__).resolve().parents[3]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.fixture
def stopping(quick, monkeypatch):
    """Return a function that lets the n-th pair from now raise something."""

    def stop(after, error):
        count = iter(range(after))

        def estimate(*arguments, **options):
            if next(count, None) is None:
                raise error
            return pretended(*arguments, **options)

        monkeypatch.setattr("flow.sequences.work.estimate_flow", estimate)

    return stop


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_bytes_are_the_same(frames, stopping, films, capsys):
    words = ["frames", "--occlusion", "--interpolate-frames", "1"]
    stopping(100, KeyboardInterrupt())
    assert main([*words, "-o", "whole", "-q"]) == 0
    for after in (5, 3, 8):
        stopping(after, KeyboardInterrupt())
        assert main([*words, "-o", "out", "-q"]) == 130
        assert capsys.readouterr().err == "stopped: the same command goes on where it was, from out\n"
        assert not Path("out/flow.mp4").exists()
    stopping(100, KeyboardInterrupt())
    assert main([*words, "-o", "out"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == "7 pairs are there from before"
    assert contents("out") == contents("whole")


@pytest.mark.slow
def test_what_a_killed_run_left_half_is_made_anew_and_taken_away(frames, quick, films):
    assert main(["frames", "-o", "out", "-q"]) == 0
    whole = contents("out")
    journal = Path("out/pairs.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    Path("out/flow/frame10.flo").unlink()
    Path("out/flow/.patchbatch-0123.flo").write_bytes(b"half")
    Path("out/.patchbatch-0123.mp4").write_bytes(b"half")
    assert main(["frames", "-o", "out", "-q"]) == 0
    assert contents("out") == whole


def test_a_finished_run_loads_no_network_and_makes_nothing(frames, quick, monkeypatch):
    assert main(["frames", "-o", "out", "-q"]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out/flow").iterdir()}
    monkeypatch.setattr("flow.sequences.run.load_descriptor", None)
    monkeypatch.setattr("flow.sequences.work.estimate_flow", None)
    assert main(["frames", "-o", "out", "-q"]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out/flow").iterdir()} == before


def test_kinds_of_files_and_frames_may_be_added(frames, quick, capsys):
    assert main(["frames", "-o", "out", "-q"]) == 0
    write_frames(frames / "more", 13)
    (frames / "more" / "frame12.png").rename(frames / "frames" / "frame12.png")
    assert main(["frames", "-o", "out"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == "11 pairs are there from before"
    assert main(["frames", "-o", "out", "-q", "--occlusion"]) == 0
    assert len(list(Path("out/occlusion").iterdir())) == 12


def test_other_settings_are_refused_and_named(frames, quick, capsys):
    assert main(["frames", "-o", "out", "-q"]) == 0
    before = contents("out")
    for words, says in [
        (["--step", "2"], "step was 1 and is 2;"),
        (["--no-refine"], "refine was True and is False;"),
        (["--preset", "kitti"], "flow-settings.completion.planes was 0 and is 18"),
        (["--model", "fast"], "model.name was compact and is fast, model.weights was "),
        (["--interpolate-frames", "1"], "interpolate-frames was 0 and is 1"),
    ]:
        assert main(["frames", "-o", "out", "-q", *words]) == 1
        said = capsys.readouterr().err
        assert said.startswith("patchbatch-flow: out has results of other settings: ") and says in said
        assert said.endswith("give the same, or give -o another folder\n") and said.count("\n") == 1
    write_frames(frames / "others", 12, seed=1)
    assert main(["others", "-o", "out", "-q"]) == 1
    assert "source.folder was " in capsys.readouterr().err
    assert contents("out") == before


def test_a_frame_that_was_changed_is_estimated_again(frames, quick, capsys):
    assert main(["frames", "-o", "out", "-q"]) == 0
    os.utime("frames/frame3.png", ns=(1, 1))
    assert main(["frames", "-o", "out"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in told if "/11 " in line] == ["frame2:", "frame3:"]


def test_results_of_other_files_are_not_written_over(frames, quick, capsys):
    Path("list.txt").write_text("frames/frame0.png frames/frame1.png\n")
    assert main(["--pairs", "list.txt", "-o", "out", "-q"]) == 0
    before = contents("out")
    Path("list.txt").write_text("frames/frame0.png frames/frame2.png\n")
    assert main(["--pairs", "list.txt", "-o", "out", "-q"]) == 1
    assert "out has a result frame0 of " in capsys.readouterr().err
    assert contents("out") == before


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("pairs.jsonl", '{"pair": "x"}\n', "pairs.jsonl, line 1 is damaged"),
        ("settings.json", "{", "settings.json is damaged"),
    ],
)
def test_damaged_results_are_named(frames, quick, capsys, file, text, says):
    assert main(["frames", "-o", "out", "-q"]) == 0
    (frames / "out" / file).write_text(text)
    assert main(["frames", "-o", "out", "-q"]) == 1
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_two_runs_in_one_folder_are_refused(frames, quick, capsys):
    assert main(["frames", "-o", "out", "-q"]) == 0
    depends = json.loads(Path("out/settings.json").read_text())
    del depends["program"]
    other = Results(Path("out"), SequenceSettings(), depends)
    assert main(["frames", "-o", "out", "-q"]) == 1
    assert "another run is at work in out; wait, or give -o another folder" in capsys.readouterr().err
    other.close()
    assert main(["frames", "-o", "out", "-q"]) == 0


@pytest.mark.slow
def test_a_video_that_is_killed_three_times_has_the_same_bytes(tmp_path):
    """`examples/long_video.py` with frames enough to be killed; for a long one see there."""
    pytest.importorskip("av")
    words = [str(ROOT / "examples" / "long_video.py"), str(tmp_path / "work"), "--time-pairs", "0"]
    told = subprocess.run(
        [sys.executable, *words, "--frames", "9", "--size", "96x64"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "11 files, the same bytes after 3 kills" in told.stdout


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path):
    write_frames(tmp_path / "frames", 20)
    for start, folder in (
        (["-m", "flow.cli"], "one"),
        (["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "flow.cli"], "two"),
    ):
        subprocess.run(
            [sys.executable, *start, "frames", "-o", folder, "--no-interpolate"], cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
        )  # fmt: skip
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    journals = one.pop("pairs.jsonl"), two.pop("pairs.jsonl") + two.pop("pairs-1.jsonl")
    assert journals[0] == journals[1]
    assert one == two
