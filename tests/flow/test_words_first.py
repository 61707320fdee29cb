"""What `patchbatch-flow` can say without the network it says before torch is imported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flow.cli import main
from flow.synthetic import demo_scene
from patchbatch.data import write_flow, write_image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    scene = demo_scene(48, 64)
    write_image(folder / "a.png", scene.image1)
    write_image(folder / "b.png", scene.image2)
    write_image(folder / "small.png", scene.image2[:40])
    write_flow(folder / "truth.flo", scene.flow)
    write_flow(folder / "small.flo", scene.flow[:40])
    write_flow(folder / "unknown.flo", scene.flow, np.zeros(scene.flow.shape[:2], np.bool_))
    (folder / "text.png").write_text("no picture")
    (folder / "taken").mkdir()
    write_image(folder / "taken" / "frame1.png", scene.image1)
    write_image(folder / "confidence.png", scene.image1)
    (folder / "deep.toml").write_text("a = " + "[" * 5000)
    (folder / "text.txt").write_text("1 2 3\n")
    (folder / "bad.toml").write_text("[matching]\ncheck = 1\n")
    return folder


BAD = [
    (["nowhere.png", "b.png"], "nowhere.png does not exist"),
    (["text.png", "b.png"], "text.png"),
    (["a.png", "small.png"], "a.png is 64x48 but small.png is 64x40"),
    (["a.png", "b.png", "--settings", "bad.toml"], "bad.toml: unknown setting 'matching.check'"),
    (["a.png", "b.png", "--settings", "none.toml"], "none.toml does not exist"),
    (["a.png", "b.png", "--model", "compakt"], "unknown model 'compakt'"),
    (["a.png", "b.png", "--gt", "small.flo"], "small.flo is 64x40"),
    (["a.png", "b.png", "--gt", "none.flo"], "none.flo does not exist"),
    (["a.png", "b.png", "--gt", "unknown.flo"], "unknown.flo has no known pixel"),
    (["a.png", "b.png", "--matches-in", "text.txt"], "text.txt, line 1: 3 numbers"),
    (["a.png", "b.png", "--initial-flow", "small.flo"], "small.flo has shape (40, 64, 2)"),
    (["a.png", "b.png", "--edges", "small.png"], "small.png"),
    (["a.png", "b.png", "-o", "there/out.flo"], "folder there does not exist"),
    (["a.png", "b.png", "-o", "out.tga"], "does not write '.tga' files"),
    (["a.png", "b.png", "-o", "b.png"], "b.png: -o would overwrite the input of IMG"),
    (["a.png", "b.png", "-o", "x.png", "--color", "./x.png"], "--color would overwrite the output of -o"),
    (["a.png", "b.png", "--occlusion", "a.png"], "a.png: --occlusion would overwrite the input of IMG"),
    (["a.png", "b.png", "--confidence", "c.png", "--occlusion", "c.png"], "the output of --confidence"),
    (["a.png", "b.png", "--gt", "truth.flo", "-o", "truth.flo"], "would overwrite the input of --gt"),
    (["a.png", "b.png", "--save-stages", "a.png"], "a.png is a file; give --save-stages a folder"),
    (["confidence.png", "b.png", "--save-stages", "."], "--save-stages would overwrite the input of IMG"),
    (["a.png", "b.png", "-o", "5-refined.flo", "--save-stages", "."], "would overwrite the output of -o"),
    (["--demo", "taken"], "frame1.png, which is not its own; choose another folder"),
    (["--demo", "a.png"], "a.png is a file; give --demo a folder"),
    (["--demo", "new", "--color", "new/truth.png"], "--demo would overwrite the output of --color"),
    (["a.png", "b.png", "-o", "x" * 300 + ".flo"], "is no usable name (File name too long)"),
    (["a.png", "b.png", "--model", "compct"], "did you mean 'compact'"),
    (["a.png", "b.png", "--model", "none.safetensors"], "no weights file none.safetensors; check the name"),
    (["a.png", "b.png", "--model", "taken"], "taken is a folder without config.json and model.safetensors"),
    (["a.png", "b.png", "--model", "mine:"], "'mine:' does not name a factory"),
    (["a.png", "b.png", "--settings", "deep.toml"], "deep.toml is not a TOML file"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[says for _, says in BAD])
def test_bad_input_is_one_line_and_writes_nothing(frames, monkeypatch, capsys, words, says):
    monkeypatch.chdir(frames)
    before = sorted(frames.iterdir())
    assert main(words) == 1
    heard = capsys.readouterr()
    assert heard.out == ""
    assert len(heard.err.splitlines()) == 1
    assert says in heard.err
    assert sorted(frames.iterdir()) == before


def test_none_of_it_imports_torch(frames):
    code = "import sys\nfrom flow.cli import main\nfor words in eval(sys.argv[1]): assert main(words) == 1\n"
    told = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)", repr([words for words, _ in BAD])],
        cwd=frames, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "False"
    assert len(told.stderr.splitlines()) == len(BAD)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["--print-settings"], ["a.png"], ["--seed", "-1"]]
)
def test_help_and_usage_import_neither_torch_nor_numpy(words):
    code = (
        "import sys\nfrom flow.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'cv2'} & set(sys.modules)), file=sys.stderr)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stderr.splitlines()[-1] == "[]"


def test_verbose_tells_what_is_chosen(frames, tmp_path):
    images = [str(frames / name) for name in ("a.png", "b.png")]
    told = subprocess.run(
        [sys.executable, "-m", "flow.cli", *images, "-v", "--matcher", "patchmatch"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "64x48, colour" in told.stderr
    assert "preset default: matcher patchmatch, estimator" in told.stderr
    assert "from images to flow: " in told.stderr
    assert "describing by compact: 64 numbers" in told.stderr
    assert "matching by patchmatch; confidence not calibrated" in told.stderr
    assert "matches are believed" in told.stderr
    for stage in ("describe", "match", "interpolate", "refine"):
        assert f"flow.cost: {stage}: " in told.stderr


def test_a_confidence_that_is_no_probability_is_said_where_it_is_written(frames, monkeypatch, capsys):
    monkeypatch.chdir(frames)
    assert main(["a.png", "b.png", "--matcher", "patchmatch", "-o", "sure.npz"]) == 0
    assert "was not fitted for compact with patchmatch" in capsys.readouterr().err
    assert main(["a.png", "b.png", "--matcher", "patchmatch", "-o", "flow.flo"]) == 0
    assert main(["a.png", "b.png", "-o", "sure.npz"]) == 0
    assert capsys.readouterr().err == ""
    for name in ("sure.npz", "flow.flo"):
        (frames / name).unlink()


def test_an_unknown_name_is_wrong_usage_and_the_nearest_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["a.png", "b.png", "--matcher", "pachmatch"])
    assert stopped.value.code == 2
    assert "did you mean 'patchmatch'" in capsys.readouterr().err
