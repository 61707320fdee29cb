"""Parts of a user's own: matches of another program, and a function of two frames."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_trees import SIZE, make_chairs

from benchmarks.__main__ import main
from benchmarks.flow.methods import StageResult
from benchmarks.flow.peers import folder_method, function_method
from benchmarks.flow.table import Label
from benchmarks.flow.upload.fields import Fields
from flow.synthetic import demo_scene
from patchbatch.data.datasets.pairs import FlowPair, find_pairs
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image
from patchbatch.data.matches_io import write_matches
from patchbatch.errors import PatchBatchError

FUNCTIONS = """\
import numpy as np
from patchbatch.errors import PatchBatchError

def halves(frame1, frame2):
    assert frame1.dtype == frame2.dtype == np.uint8
    assert frame1.shape == frame2.shape == (24, 32, 3)
    flow = np.ones((24, 32, 2))
    flow[:, :16] = np.nan
    return flow.tolist()

def small(frame1, frame2):
    return np.zeros((3, 4, 2))

def broken(frame1, frame2):
    raise RuntimeError("no memory\\nat all")

def refuses(frame1, frame2):
    raise PatchBatchError("needs larger frames")

def whole(frame1, frame2):
    return np.ones((24, 32, 2), np.int16)

def complex_(frame1, frame2):
    return np.full((24, 32, 2), 1 + 2j)

def not_known(frame1, frame2):
    return np.full((24, 32, 2), np.nan)

def ragged(frame1, frame2):
    return [[1], [2, 3]]

number = 3
"""


@pytest.fixture
def chairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flows_of_mine.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return make_chairs(tmp_path, 2)


def test_a_function_of_two_frames_is_a_method(chairs: Path) -> None:
    (pair, _) = find_pairs("chairs", chairs)
    result = function_method("mine", "flows_of_mine:halves").run(pair)["final"]
    assert result.flow.dtype == np.float32 and (result.flow[:, 16:] == 1).all()
    assert result.valid[:, 16:].all() and not result.valid[:, :16].any()
    assert result.seconds["total"] is not None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("small", r"flows_of_mine:small returned the shape \(3, 4, 2\); return \(24, 32, 2\)"),
        ("complex_", r"flows_of_mine:complex_ returned complex128 numbers; return real ones"),
        ("ragged", r"flows_of_mine:ragged failed \(ValueError: "),
        ("broken", r"flows_of_mine:broken failed \(RuntimeError: no memory\); check it"),
        ("refuses", "^needs larger frames$"),
    ],
)
def test_what_a_function_does_wrong_is_one_line(chairs: Path, name: str, says: str) -> None:
    method = function_method("mine", f"flows_of_mine:{name}")
    with pytest.raises(PatchBatchError, match=says):
        method.run(find_pairs("chairs", chairs)[0])


def test_whole_numbers_are_numbers(chairs: Path) -> None:
    result = function_method("mine", "flows_of_mine:whole").run(find_pairs("chairs", chairs)[0])["final"]
    assert result.flow.dtype == np.float32 and (result.flow == 1).all()


def test_frames_of_two_sizes_are_refused(chairs: Path) -> None:
    pair = find_pairs("chairs", chairs)[0]
    write_image(pair.image2, np.zeros((24, 33, 3), np.uint8))
    with pytest.raises(PatchBatchError, match=r"00001_img2.ppm differ in size"):
        function_method("mine", "flows_of_mine:whole").run(pair)


def test_a_result_without_any_value_is_not_scored_as_no_motion(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        file = tmp_path / "fields" / f"{number:05d}.flo"
        file.parent.mkdir(exist_ok=True)
        write_flow(file, np.ones((*SIZE, 2), np.float32), np.full(SIZE, number == 2))
    words = ["--method", "zero", "empty=flows_of_mine:not_known", f"field={tmp_path / 'fields'}"]
    file = tmp_path / "report.json"
    assert main(["flow", "chairs", str(chairs), *words, "--json", str(file)]) == 1
    report = json.loads(file.read_text())
    assert [(row["method"], row["pairs"]) for row in report["rows"]] == [("zero", 2), ("field", 1)]
    said = capsys.readouterr().err
    for name in ("empty on chairs 00001", "empty on chairs 00002", "field on chairs 00001"):
        assert f"failed: {name}: no pixel has a value" in said


def test_a_list_without_matches_is_not_scored_as_no_motion(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").mkdir()
    for number in (1, 2):
        (tmp_path / "lists" / f"{number:05d}.txt").write_text("")
    assert main(["flow", "chairs", str(chairs), "--matches", f"x={tmp_path / 'lists'}"]) == 1
    said = capsys.readouterr().err
    assert f"failed: x on chairs 00001: {tmp_path / 'lists' / '00001.txt'} holds no" in said
    assert "no pair could be scored" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--method", "x=flows_of_mine:number"], "flows_of_mine:number is no function"),
        (["--method", "x=flows_of_mine:nothing"], "module flows_of_mine has no 'nothing'"),
        (["--method", "x=nothing_of_mine:f"], "cannot import nothing_of_mine"),
        (["--method", "zero=flows_of_mine:halves"], "'zero' is no name for a method"),
        (["--method", "a/b=flows_of_mine:halves"], "'a/b' is no name for a method"),
        (["--method", "x=flows_of_mine:halves", f"x={Path.cwd()}"], "two methods are called x"),
        (["--matches", "x=nowhere"], "x=nowhere: give NAME=FOLDER with a folder of match lists"),
        (["--matches", "nowhere"], "nowhere: give NAME=FOLDER with a folder of match lists"),
    ],
)
def test_words_that_name_nothing_are_one_line(
    chairs: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["flow", "chairs", str(chairs), *words]) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith("error: ") and said.count("\n") == 1


def test_matches_of_another_program_are_made_dense(tmp_path: Path) -> None:
    scene = demo_scene(*SIZE)
    folder = make_chairs(tmp_path, 1) / "data"
    write_image(folder / "00001_img1.ppm", scene.image1)
    write_image(folder / "00001_img2.ppm", scene.image2)
    write_flow(folder / "00001_flow.flo", np.full((*SIZE, 2), (2, 1), np.float32))
    points = np.stack(np.meshgrid(np.arange(2, 30, 3), np.arange(2, 22, 3)), -1).reshape(-1, 2)
    (tmp_path / "lists").mkdir()
    write_matches(tmp_path / "lists" / "00001.txt", points, points + np.array([2, 1]))
    file = tmp_path / "report.json"
    words = ["--matches", f"others={tmp_path / 'lists'}", "--no-refine", "--json", str(file)]
    assert main(["flow", "chairs", str(folder), *words]) == 0
    report = json.loads(file.read_text())
    assert [(row["method"], row["stage"]) for row in report["rows"]] == [
        ("others", "matches"), ("others", "interpolated"), ("others", "final"),
    ]  # fmt: skip
    matches, _, final = report["rows"]
    assert matches["metrics"]["EPE (submitted)"] == pytest.approx(0, abs=1e-6)
    assert 5 < matches["density"] < 20
    assert final["metrics"]["EPE"] == pytest.approx(0, abs=1e-4)
    assert report["environment"]["flow-settings"]


def test_a_missing_list_of_matches_fails_its_pair(
    chairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").mkdir()
    assert main(["flow", "chairs", str(chairs), "--matches", f"others={tmp_path / 'lists'}"]) == 1
    assert "others on chairs 00002: no result in" in capsys.readouterr().err


def test_fields_of_another_form_do_not_stay_beside_new_ones(tmp_path: Path) -> None:
    """Whoever reads the folder back would find two answers, and take the older."""
    frame = tmp_path / "frame.png"
    pair = FlowPair("middlebury", "Venus", frame, frame, frame)
    for suffix, length in ((".flo", 1.0), (".npz", 2.0), (".pfm", 3.0)):
        field = StageResult(np.full((3, 4, 2), length), np.ones((3, 4), np.bool_), {"total": 0.0})
        Fields(tmp_path / "out", suffix).write(pair, Label("zero", None), {"final": field})
        (file,) = (one for one in (tmp_path / "out").rglob("*") if one.is_file())
        assert file.suffix == suffix
        read = folder_method("again", tmp_path / "out" / "zero").run(pair)["final"]
        assert (read.flow == length).all()
