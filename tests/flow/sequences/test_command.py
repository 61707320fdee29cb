"""The command with a sequence: what it writes, what it says, what it refuses."""

import io
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from made_sequences import moving, write_frames

from flow.cli import main
from flow.outputs import MAPS as PAIR_MAPS
from flow.sequences.settings import FLOWS, MAPS
from patchbatch.data import read_flow, read_image, write_image
from patchbatch.data.formats import FLOW_SUFFIXES

ROOT = Path(__file__).resolve().parents[3]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_suffixes_are_those_of_a_pair():
    assert set(FLOWS) == set(FLOW_SUFFIXES)
    assert set(MAPS) <= set(PAIR_MAPS)


def test_a_folder_gives_a_flow_a_pair(frames, quick, films, capsys):
    assert main(["frames", "-o", "out"]) == 0
    names = [f"flow/frame{number}.flo" for number in range(11)]
    assert files(frames / "out") == sorted(["flow.mp4", *names, "pairs.jsonl", "settings.json"])
    heard = capsys.readouterr()
    assert heard.out.splitlines() == ["11 pairs: wrote out/flow", "wrote out/flow.mp4 (full colour: 2.3 px)"]
    told = heard.err.splitlines()
    assert len(told) == 11
    assert told[0].startswith("1/11 frame0: ") and " gone, " in told[0] and told[0].endswith(" left")
    records = [json.loads(line) for line in (frames / "out" / "pairs.jsonl").read_text().splitlines()]
    assert [record["pair"] for record in records] == [f"frame{number}" for number in range(11)]
    assert records[0]["matched"] == [0.9] and records[0]["warning"] is None


@pytest.mark.slow
def test_everything_that_can_be_asked_for(frames, quick, films, capsys):
    words = ["frames", "-o", "out", "--step", "4", "--both-ways", "--occlusion", "--confidence", ".npy"]
    assert main([*words, "--interpolate-frames", "2", "--write-as", ".npz", "--fps", "5", "-q"]) == 0
    heard = capsys.readouterr()
    assert (heard.out, heard.err) == ("", "")
    made = [f"frame{number}" for number in (0, 4)]
    of_pair = [
        "flow/{}.npz", "backward-flow/{}.npz", "occlusion/{}.png", "backward-occlusion/{}.png",
        "confidence/{}.npy", "backward-confidence/{}.npy", "between/{}-1.png", "between/{}-2.png",
    ]  # fmt: skip
    expected = [form.format(name) for form in of_pair for name in made]
    expected += ["between.mp4", "flow.mp4", "pairs.jsonl", "settings.json"]
    assert files(frames / "out") == sorted(expected)
    assert read_image(frames / "out" / "occlusion" / "frame0.png").shape == (48, 64)
    there, back = (read_flow(frames / "out" / f"{way}flow" / "frame0.npz")[0] for way in ("", "backward-"))
    assert there[0, 0, 0] != back[0, 0, 0]


def test_a_list_of_pairs_and_standard_input(frames, quick, monkeypatch, capsys):
    text = "frames/frame0.png frames/frame1.png\nframes/frame5.png frames/frame3.png\n"
    Path("list.txt").write_text(text)
    assert main(["--pairs", "list.txt", "-o", "out", "-q"]) == 0
    stdin = types.SimpleNamespace(buffer=io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["--pairs", "-", "-o", "out2", "-q"]) == 0
    for name in ("frame0", "frame5"):
        assert Path(f"out/flow/{name}.flo").read_bytes() == Path(f"out2/flow/{name}.flo").read_bytes()


def test_more_than_two_frames_are_a_sequence(frames, quick):
    words = [f"frames/frame{number}.png" for number in range(3)]
    assert main([*words, "-o", "out", "-q"]) == 0
    assert len(list(Path("out/flow").iterdir())) == 2


def test_a_frame_that_cannot_be_read_is_told_and_left_out(frames, quick, capsys):
    Path("frames/frame5.png").write_text("no picture")
    assert main(["frames", "-o", "out"]) == 1
    told = capsys.readouterr().err.splitlines()
    failures = [line for line in told if line.startswith("failed: ")]
    assert len(failures) == 1 and "frames/frame5.png" in failures[0] and "frame4" in failures[0]
    assert told[-1] == "2 of 11 pairs could not be made, see above; the same command tries them again"
    assert len(list(Path("out/flow").iterdir())) == 9
    # Mended, only what is missing is made.
    write_image("frames/frame5.png", moving(12)[5])
    assert main(["frames", "-o", "out"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == [
        "4 pairs are there from before", "5/11 frame4", "5 pairs are there from before", "11/11 frame5",
        "note",
    ]  # fmt: skip


def test_where_no_pair_can_be_made_that_is_the_error(frames, quick, capsys):
    for path in Path("frames").iterdir():
        path.write_text("no picture")
    assert main(["frames", "-o", "out", "-q"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("patchbatch-flow: frames/frame0.png")


def test_pairs_that_hardly_match_are_counted(frames, quick, monkeypatch, capsys):
    from made_sequences import pretended  # noqa: PLC0415

    def doubtful(*arguments, **options):
        from dataclasses import replace  # noqa: PLC0415

        return replace(pretended(*arguments, **options), matched=0.1)

    monkeypatch.setattr("flow.sequences.work.estimate_flow", doubtful)
    assert main(["frames", "-o", "out", "--step", "6"]) == 0
    assert "note: 1 of the pairs hardly match" in capsys.readouterr().err


BAD = [
    (["empty", "-o", "out"], "the folder empty has no frames"),
    (["one", "-o", "out"], "the folder one has only one frame"),
    (["none*.png", "-o", "out"], "none*.png has no frames"),
    (["sizes", "-o", "out"], "sizes/frame0.png is 64x48 but sizes/small.png is 8x8"),
    (["nowhere.mp4", "-o", "out"], "nowhere.mp4 does not exist"),
    (["text.mp4", "-o", "out"], "text.mp4 is no video that can be read"),
    (["frames", "-o", "full"], "full holds other.txt, which is of no sequence of this program"),
    (["frames", "-o", "text.mp4"], "text.mp4 is a file; give -o a folder"),
    (["frames", "-o", "frames"], "frames holds frame0.png, which is of no sequence"),
    (["--pairs", "gone.txt", "-o", "out"], "gone.txt does not exist"),
    (["--pairs", "missing.txt", "-o", "out"], "missing.txt, line 2: frames/gone.png does not exist"),
    (["frames", "-o", "out", "--model", "compct"], "did you mean 'compact'"),
    (["frames", "-o", "out", "--color", "no/such.mp4"], "no/such.mp4: folder no does not exist"),
    (["text.mp4", "-o", "out", "--color", "text.mp4"], "--color would overwrite the input of IMG"),
    (["frames", "-o", "out", "--settings", "gone.toml"], "gone.toml does not exist"),
]


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    write_frames(folder / "frames", 3)
    write_frames(folder / "sizes", 2)
    write_image(folder / "sizes" / "small.png", np.zeros((8, 8), np.uint8))
    write_frames(folder / "one", 1)
    for name in ("empty", "full"):
        (folder / name).mkdir()
    (folder / "full" / "other.txt").write_text("mine")
    (folder / "text.mp4").write_text("no video")
    line = "frames/frame0.png frames/frame1.png\n"
    (folder / "missing.txt").write_text(line + line.replace("frame1", "gone"))
    return folder


@pytest.mark.parametrize(("words", "says"), BAD, ids=[says for _, says in BAD])
def test_bad_input_is_one_line_and_writes_nothing(bad, monkeypatch, capsys, words, says):
    pytest.importorskip("av")
    monkeypatch.chdir(bad)
    before = files(bad)
    assert main(words) == 1
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.count("\n") == 1 and says in heard.err
    assert files(bad) == before and not (bad / "out").exists()


def test_none_of_it_imports_torch(bad):
    code = "import sys\nfrom flow.cli import main\nfor words in eval(sys.argv[1]): assert main(words) == 1\n"
    told = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)", repr([words for words, _ in BAD])],
        cwd=bad, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "False"
    assert len(told.stderr.splitlines()) == len(BAD)


USAGE = [
    (["frames"], "a sequence is written to a folder: give it once, -o DIR"),
    (["frames", "-o", "a", "-o", "b"], "give it once"),
    (["frames", "-o", "a", "--gt", "t.flo"], "--gt is for one pair of images"),
    (["frames", "-o", "a", "--matches-in", "t.txt"], "--matches-in is for one pair"),
    (["frames", "-o", "a", "--color", "x.png"], "--color of a sequence is a video: .mp4"),
    (["frames", "-o", "a", "--occlusion", "x.png"], "give a suffix (.png, .pfm, .npy) or nothing after it"),
    (["frames", "-o", "a", "--step", "0"], "--step is 1 or more"),
    (["frames", "-o", "a", "--fps", "0"], "--fps is between"),
    (["frames", "-o", "a", "--max-radius", "0"], "--max-radius must be above 0"),
    (["frames", "-o", "a", "--interpolate-frames", "0"], "between 1 and 99"),
    (["frames", "-o", "a", "--no-interpolate", "--interpolate-frames", "1"], "leaves nothing to do"),
    (["frames", "-o", "a", "--write-as", ".tif"], "invalid choice: '.tif'"),
    (["frames", "--pairs", "l.txt", "-o", "a"], "--pairs names the frames"),
    (["--pairs", "l.txt", "-o", "a", "--step", "2"], "leave --step out"),
    (["a.png", "b.png", "--step", "2"], "--step is for a sequence"),
    (["a.png", "b.png", "--both-ways"], "--both-ways is for a sequence"),
    (["a.png", "b.png", "--occlusion"], "--occlusion of a pair needs the name of a file"),
    (["a.png"], "two images are needed, 1 given"),
]


@pytest.mark.parametrize(("words", "says"), USAGE, ids=[says for _, says in USAGE])
def test_words_that_do_not_go_together(bad, monkeypatch, capsys, words, says):
    monkeypatch.chdir(bad)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_without_the_extra_frames_are_read_and_videos_are_not(frames, quick, films, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    Path("film.mp4").write_bytes(b"a video")
    assert main(["film.mp4", "-o", "out"]) == 1
    assert "reading a video needs PyAV: pip install 'patchbatch[video]'" in capsys.readouterr().err
    assert main(["frames", "-o", "out", "--color", "film2.mp4"]) == 1
    assert "film2.mp4: writing a video needs PyAV" in capsys.readouterr().err
    assert not Path("out").exists()
    assert main(["frames", "-o", "out"]) == 0
    heard = capsys.readouterr()
    assert "note: no video of the flow: it needs PyAV" in heard.err
    assert heard.out == "11 pairs: wrote out/flow\n"
