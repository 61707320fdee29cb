"""What all commands say while they run, at the end, when a pair fails, and when they are stopped."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_images import write_lfw
from made_reference import make_reference

from benchmarks import bar
from benchmarks.__main__ import main, parse, when_stopped
from benchmarks.bar import hearing
from benchmarks.progress import Figure, Progress, Running, status_of
from benchmarks.table import COMMANDS
from flow.synthetic import demo_scene
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image
from patchbatch.errors import PatchBatchError
from patchbatch.progress import in_time, tell

SHORT = "--steps 2 --batch 8 --size 16 --precision float32 --held-out 0.2"
# The words of a small run of every command, in a folder as `data` makes it, and of what it has how many.
RUNS = {
    "flow": ("middlebury . --method zero", "pair", 2),
    "suite": (". out --method zero --report-pictures none", "pair", 2),
    "descriptors": (". --only census --points 20", "pair", 2),
    "matching": (". --method coarse-to-fine", "pair", 2),
    "confidence": (".", "pair", 2),
    "projection": (". --train . --model compact --numbers 8 --region 12 --points 80", "pair", 4),
    "epic": ("reference --no-refine", "pair", 1),
    "stages": (". --part refinement", "pair", 2),
    "losses": (
        ". --photos photos --work work --loss cent --steps 2 --longer 2 --seeds 1 --scenes 4 --points 9",
        "run", 2,
    ),
    "ablation": ("photos --steps 1 --seeds 1 --scenes 4", "run", 8),
    "speed": ("--only refine --size 96x64 --repeats 1", "row", 1),
    "training": ("--preset compact --loss softmax --repeats 1", "row", 1),
    "transfer": ("--made --epochs 1 --seeds 1 --copies 1", "run", 1),
    "faces": (f"LFW --train --work faces --copies 1 --seeds 1 {SHORT}", "row", 1),
}  # fmt: skip
QUICK = ("flow", "suite", "descriptors")
LINE = re.compile(r"(\d+)/(\d+) .+ gone, .+ left")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make two pairs of Middlebury, and go to their folder."""
    scene = demo_scene(48, 64)
    for name in ("A", "B"):
        frames, truth = (tmp_path / "middlebury" / part / name for part in ("other-data", "other-gt-flow"))
        frames.mkdir(parents=True)
        truth.mkdir(parents=True)
        write_image(frames / "frame10.png", scene.image1)
        write_image(frames / "frame11.png", scene.image2)
        write_flow(truth / "flow10.flo", scene.flow)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_more(data: Path, command: str) -> None:
    """Make what a command reads besides pairs."""
    if command in ("losses", "ablation"):
        (data / "photos").mkdir()
        for number in range(4):
            noise = np.random.default_rng(number).random((200, 220, 3), np.float32)
            picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
            cv2.imwrite(str(data / "photos" / f"{number}.png"), picture)
    if command == "epic":
        make_reference(data / "reference")
    if command == "faces":
        write_lfw(data / "LFW", people=10)


def test_every_command_has_a_small_run() -> None:
    assert [*RUNS, "tables"] == sorted(COMMANDS, key=[*RUNS, "tables"].index)


@pytest.mark.parametrize(
    "command", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_every_command_tells_how_far_it_is_and_ends_with_best_and_worst(
    data: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words, unit, count = RUNS[command]
    make_more(data, command)
    assert main([command, *words.split()]) == 0
    lines = capsys.readouterr().err.splitlines()
    steps = [match.groups() for line in lines if (match := LINE.fullmatch(line))]
    assert (str(count), str(count)) in steps, lines
    assert [int(done) for done, total in steps if total == str(count)][:count] == [*range(1, count + 1)]
    assert any(re.search(rf": .+ over \d+ {unit}s?; best .+, worst .+", line) for line in lines), lines


@pytest.mark.parametrize(
    "command",
    [
        "descriptors",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("matching", "confidence", "stages")),
    ],
)
def test_a_damaged_pair_is_told_and_the_rest_goes_on(
    data: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (data / "middlebury/other-gt-flow/A/flow10.flo").write_bytes(b"PIEH")
    words = [command, *RUNS[command][0].split(), "--json", "report.json"]
    assert main(words) == 1
    captured = capsys.readouterr()
    report = json.loads((data / "report.json").read_text())
    ((pair, error),) = [one.values() for one in report["failed"]]
    assert pair == "middlebury A" and error.startswith("middlebury A: ")
    assert {row["pair"] for row in report["per_pair"]} == {"B"} and "|" in captured.out
    assert f"failed: {error}" in captured.err.splitlines()
    assert captured.err.endswith("1 pair failed, see above; all others are scored\n")
    (data / "middlebury/other-gt-flow/B/flow10.flo").write_bytes(b"PIEH")
    assert main(words) == 1
    assert f"\nerror: no pair could be scored; the first: {error}\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", RUNS)
def test_ctrl_c_says_how_to_go_on(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    arguments = parse([command, *RUNS[command][0].split()])

    def stopped(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "run", stopped)
    monkeypatch.setattr("benchmarks.__main__.parse", lambda _words: arguments)
    assert main([command]) == 130
    said = capsys.readouterr().err
    kept = {"suite": "out", "losses": "work", "faces": "faces"}.get(command)
    if kept is not None:
        assert said == f"stopped: the same command goes on where it was, from {kept}\n"
    else:
        assert said.startswith("stopped: nothing is kept") and said.count("\n") == 1


def test_what_keeps_something_only_at_times_says_so_only_then() -> None:
    def said(*words: str) -> str:
        return when_stopped(parse(words))

    assert said("flow", "chairs", "x") == (
        "stopped: nothing is kept; with --keep DIR the same command would go on where it was"
    )
    assert (
        said("flow", "chairs", "x", "--keep", "k") == "stopped: the same command goes on where it was, from k"
    )
    assert said("faces", "x").startswith("stopped: nothing is kept")
    assert said("transfer", "--made").startswith("stopped: nothing is kept")
    assert said("transfer", "x").endswith("goes on where it was, from runs/transfer")
    assert said("matching", "x").endswith("; --limit N makes it shorter")
    assert said("speed").endswith("begins anew")  # its --limit is of arithmetic


def test_the_line_of_a_thing_has_its_figure_the_mean_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 30.0, 60.0])
    monkeypatch.setattr("benchmarks.bar.time.monotonic", lambda: next(clock, 60.0))
    with Progress(4, "run", Figure("accuracy", higher=True), strict=True) as progress:
        for number, value in enumerate((50.0, 60.0, None)):
            with progress.trying(f"run {number}"):
                progress.tell({"net": value})
    assert capsys.readouterr().err.splitlines() == [
        "1/4 run 0, net accuracy 50.00 % (so far 50.00 %); 10 s gone, 30 s left",
        "2/4 run 1, net accuracy 60.00 % (so far 55.00 %); 30 s gone, 30 s left",
        "3/4 run 2; 60 s gone, 20 s left",
        "net: accuracy 55.00 % over 2 runs; best run 1 (60.00 %), worst run 0 (50.00 %)",
    ]


def test_what_was_there_before_says_nothing_of_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 10.0])
    monkeypatch.setattr("benchmarks.bar.time.monotonic", lambda: next(clock, 10.0))
    with Progress(4, "run") as progress:
        for known in (True, False):
            with progress.trying("one"):
                progress.tell({}, known=known)
    assert capsys.readouterr().err.splitlines()[-1] == "2/4 one; 10 s gone, 20 s left"


def test_a_strict_run_ends_at_the_first_failure_and_names_it() -> None:
    progress = Progress(2, "run", strict=True)
    with pytest.raises(PatchBatchError, match=r"^m = 3: too few$"), progress, progress.trying("m = 3"):
        raise PatchBatchError("too few")
    assert progress.failed == []


def test_shares_and_pools() -> None:
    mean, pooled = Running(Figure("EPE", "px")), Running(Figure("EPE", "px"))
    for name, total, pixels in (("a", 10, 10), ("b", 90, 30), ("c", 0, 0)):
        for running, pools in ((mean, False), (pooled, True)):
            assert running.add(name, total, pixels, pooled=pools) == (total / pixels if pixels else None)
    assert (mean.value, pooled.value, mean.count) == (2, 2.5, 2)


def test_long_computations_say_how_far_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line after ten seconds, then one a minute; what is short says nothing."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.bar.time.monotonic", lambda: now[0])
    with hearing("pair 7"):
        for done in range(0, 1001, 10):
            now[0] = done / 5  # 200 s
            tell("patches", done, 1000)
        for done in range(0, 1001, 10):
            now[0] += 0.01
            tell("patches", done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "  pair 7: 5 % of 1000 patches, 3.2 min left for them"
    assert len(lines) == 4 and lines[-1] == "  pair 7: 95 % of 1000 patches, 10 s left for them"


def test_status_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of([]) == 0 and capsys.readouterr().err == ""
    assert status_of([{"pair": "a"}, {"pair": "b"}]) == 1
    assert capsys.readouterr().err == "2 pairs failed, see above; all others are scored\n"
    assert [in_time(s) for s in (0, 89, 90, 5399, 5400)] == [
        "0 s", "89 s", "1.5 min", "90.0 min", "1 h 30 min",
    ]  # fmt: skip
    assert bar.FIRST_S == 10
