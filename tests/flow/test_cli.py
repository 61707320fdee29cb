"""The command line as a user meets it: files, words, exit status."""

import io
import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from flow.cli import main
from flow.pictures.shares import in_colour
from flow.synthetic import demo_scene
from flow.visualize import flow_to_color, kitti_error_map
from patchbatch.data import (
    read_confidence,
    read_flow,
    read_image,
    read_matches,
    read_pfm,
    write_flow,
    write_image,
)


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """Two small frames and their true flow in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    scene = demo_scene(64, 80)
    write_image(tmp_path / "a.png", scene.image1)
    write_image(tmp_path / "b.png", scene.image2)
    write_flow(tmp_path / "truth.flo", scene.flow)
    return tmp_path


def test_two_images_give_a_flow_and_its_picture(frames, capsys):
    assert main(["a.png", "b.png"]) == 0
    flow, valid = read_flow(frames / "a_flow.flo")
    assert flow.shape == (64, 80, 2)
    assert valid.all()
    picture = read_image(frames / "a_flow.png")
    np.testing.assert_array_equal(picture[:64, :80], flow_to_color(flow))
    assert picture.shape[0] > 64  # the legend
    heard = capsys.readouterr()
    closing = r"\d+ matches; \d+ % of a.png is sure \(confidence over 0.9\); wrote a_flow.flo, a_flow.png\n"
    assert re.fullmatch(closing, heard.out)
    assert heard.err == ""


def test_a_true_flow_gives_an_error_map(frames, capsys):
    assert main(["a.png", "b.png", "--gt", "truth.flo", "--no-legend"]) == 0
    flow, _ = read_flow(frames / "a_flow.flo")
    truth, known = read_flow(frames / "truth.flo")
    expected = kitti_error_map(flow, truth, known)
    np.testing.assert_array_equal(read_image(frames / "a_flow_error.png"), expected)
    np.testing.assert_array_equal(read_image(frames / "a_flow.png"), flow_to_color(flow))
    words = ["--initial-flow", "a_flow.flo", "--gt", "truth.flo", "-o", "x.flo", "--error-map", "e.png"]
    assert main(["a.png", "b.png", *words]) == 0
    assert read_image(frames / "e.png").shape[0] > 64
    assert capsys.readouterr().out.endswith("\nwrote x.flo, e.png\n")
    with pytest.raises(SystemExit):
        main(["a.png", "b.png", "--error-map", "e.png"])
    assert "--error-map compares with a true flow; name it by --gt" in capsys.readouterr().err


def test_every_output(frames, capsys):
    names = ["out.flo", "out.png", "out.npz", "out.pfm"]
    outputs = [word for name in names for word in ("-o", name)]
    extras = [
        "--color",
        "color.png",
        "--max-radius",
        "20",
        "--matches",
        "matches.txt",
        "--confidence",
        "conf.png",
        "--arrows",
        "arrows.png",
        "--no-legend",
    ]
    assert main(["a.png", "b.png", *outputs, *extras, "--gt", "truth.flo", "--explain", "-v"]) == 0
    flows = [read_flow(frames / name)[0] for name in names]
    for flow in flows:
        np.testing.assert_allclose(flow, flows[0], atol=1 / 100)
    confidence = read_confidence(frames / "out.npz")
    assert confidence.shape == (64, 80)
    assert 0 <= confidence.min() < confidence.max() <= 1
    points1, points2, score = read_matches(frames / "matches.txt")
    assert len(points1) == len(points2) == len(score) > 20
    for name in ("conf.png", "arrows.png", "color.png"):
        assert read_image(frames / name).shape == (64, 80, 3)
    heard = capsys.readouterr().out
    assert "end-point error" in heard
    for stage in ("describe", "match", "interpolate", "complete", "refine", "total"):
        assert stage in heard


@pytest.mark.parametrize("name", ["o.png", "o.npy", "o.NPY", "o.pfm"])
def test_occlusion_is_written_as_numbers_or_as_a_picture(frames, monkeypatch, capsys, name):
    made = np.linspace(0, 1, 64 * 80, dtype=np.float32).reshape(64, 80)
    monkeypatch.setattr("flow.dense.occlusion_evidence", lambda *given: made)
    monkeypatch.setattr("flow.pipeline.with_what_leaves", lambda occluded, *given: occluded)
    words = ["--dense", "interpolated", "--no-refine", "--occlusion", name, "--no-legend"]
    assert main(["a.png", "b.png", "-o", "x.flo", *words]) == 0
    assert capsys.readouterr().out.endswith(f"; wrote x.flo, {name}\n")
    read = {"png": read_image, "pfm": read_pfm, "npy": np.load}[name.partition(".")[2].lower()](frames / name)
    if name == "o.png":
        np.testing.assert_array_equal(read, in_colour(np.rint(255 * made).astype(np.uint8)))
    else:
        np.testing.assert_array_equal(read, made)


@pytest.mark.parametrize(
    "idle", [["--no-interpolate"], ["--matches-in", "m.txt"], ["--initial-flow", "truth.flo"]]
)
def test_occlusion_that_would_not_be_known_is_wrong_usage(frames, capsys, idle):
    with pytest.raises(SystemExit) as stopped:
        main(["a.png", "b.png", *idle, "--occlusion", "o.png"])
    assert stopped.value.code == 2
    assert "leaves nothing to do for --occlusion" in capsys.readouterr().err


def test_sparse_output_marks_what_is_missing(frames):
    assert main(["a.png", "b.png", "--no-interpolate", "-o", "s.png", "-o", "s.flo", "-q"]) == 0
    for name in ("s.png", "s.flo"):
        valid = read_flow(frames / name)[1]
        assert 0 < valid.mean() < 0.5


def test_stages_folder(frames):
    assert main(["a.png", "b.png", "--save-stages", "stages", "-o", "x.flo", "-q"]) == 0
    made = {path.name for path in (frames / "stages").iterdir()}
    assert made == {
        "1-descriptors.npy", "1-descriptors.png", "2-matches.txt", "2-matches.png", "3-interpolated.flo",
        "3-interpolated.png", "4-chosen.flo", "4-chosen.png", "5-refined.flo", "5-refined.png",
        "confidence.pfm", "confidence.png",
    }  # fmt: skip
    assert np.load(frames / "stages" / "1-descriptors.npy").shape == (16, 20, 64)
    assert read_pfm(frames / "stages" / "confidence.pfm").shape == (64, 80)
    np.testing.assert_array_equal(
        read_flow(frames / "stages" / "5-refined.flo")[0], read_flow(frames / "x.flo")[0]
    )


def test_the_dense_stage_is_chosen_by_name(frames, capsys):
    assert main(["a.png", "b.png", "--dense", "interpolated", "--save-stages", "stages", "-q"]) == 0
    assert not list((frames / "stages").glob("4-*"))
    interpolated = read_flow(frames / "stages" / "3-interpolated.flo")[0]
    assert main(["a.png", "b.png", "--dense", "chosen", "--save-stages", "stages", "-q"]) == 0
    np.testing.assert_array_equal(read_flow(frames / "stages" / "3-interpolated.flo")[0], interpolated)
    assert (read_flow(frames / "stages" / "4-chosen.flo")[0] != interpolated).any()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["a.png", "b.png", "--dense", "nonsense"])
    assert stopped.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_quiet_is_quiet(frames, capsys):
    assert main(["a.png", "b.png", "-q", "--no-refine"]) == 0
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_only(frames, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["a.png", "b.png"]) == 0
    assert [line.split()[0] for line in terminal.getvalue().splitlines()] == [
        "describe", "match", "interpolate", "complete", "refine"
    ]  # fmt: skip


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--demo"]) == 0
    made = {path.name for path in (tmp_path / "demo").iterdir()}
    pictures = {"truth.png", "flow.png", "confidence.png", "error.png"}
    assert made == {"frame1.png", "frame2.png", "truth.flo", "flow.flo"} | pictures
    heard = capsys.readouterr().out
    error = float(heard.split("end-point error ")[1].split()[0])
    assert error < 3
    assert "seconds: describe" in heard
    assert heard.endswith("; wrote 8 files in demo\n")


BAD = {
    "missing.png": None,
    "text.png": b"hello, I am no image\n",
    "empty.png": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_get_one_line(frames, capsys, name):
    if BAD[name] is not None:
        (frames / name).write_bytes(BAD[name])
    for pair in ((name, "b.png"), ("a.png", name)):
        assert main([*pair]) == 1
        heard = capsys.readouterr()
        assert heard.out == ""
        assert heard.err.count("\n") == 1
        assert name in heard.err
    assert not list(frames.glob("*_flow*"))


def test_a_cut_file_two_sizes_and_a_folder(frames, capsys):
    (frames / "cut.png").write_bytes((frames / "a.png").read_bytes()[:-200])
    write_image(frames / "small.png", np.zeros((20, 20), np.uint8))
    for name, words in (("cut.png", "cut.png"), ("small.png", "20x20"), (str(frames), str(frames))):
        assert main([name, "b.png"]) == 1
        heard = capsys.readouterr().err
        assert words in heard
        assert heard.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "slow"], "unknown model 'slow'"),
        (["--model", "a.png"], "a.png"),
        (["-o", "nowhere/x.flo"], "nowhere"),
        (["-o", "x.jpeg2"], "x.jpeg2"),
        (["-o", "noSuffix"], "noSuffix"),
        (["--color", "nowhere/x.png"], "nowhere"),
        (["--confidence", "x.flo"], "x.flo"),
        (["--occlusion", "x.flo"], "--occlusion does not write '.flo' files"),
        (["--matches", "nowhere/m.txt"], "nowhere"),
        (["--save-stages", "a/b/c"], "a/b/c"),
        (["--gt", "none.flo"], "none.flo"),
        (["--gt", "other.flo"], "other.flo"),
        (["--device", "warp"], "warp"),
        (["--device", "cuda:77"], "cuda"),
        (["--precision", "float16", "--device", "cpu"], "float16"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(frames, capsys, arguments, words):
    write_flow(frames / "other.flo", np.zeros((5, 5, 2), np.float32))
    before = sorted(frames.rglob("*"))
    status = main(["a.png", "b.png", *arguments])
    heard = capsys.readouterr().err
    assert status == 1
    assert words in heard
    assert heard.count("\n") == 1
    assert heard.startswith("patchbatch-flow: ")
    assert sorted(frames.rglob("*")) == before


USAGE_ERRORS = [
    "",
    "a.png",
    "a.png b.png c.png",
    "--demo x a.png b.png",
    "--demo --gt truth.flo",
    "a.png b.png --preset x",
    "a.png b.png -q -v",
    "a.png b.png --max-radius 0",
    "a.png b.png --seed -1",
]


@pytest.mark.parametrize("words", USAGE_ERRORS)
def test_wrong_usage_exits_with_2(frames, words):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2


def test_odd_images_work(frames):
    grey = cv2.cvtColor(cv2.imread("a.png"), cv2.COLOR_BGR2GRAY)
    cv2.imwrite("grey.png", grey)
    cv2.imwrite("deep.png", grey.astype(np.uint16) * 257)
    cv2.imwrite("alpha.png", cv2.cvtColor(cv2.imread("a.png"), cv2.COLOR_BGR2BGRA))
    cv2.imwrite("dot.png", grey[:1, :1])
    cv2.imwrite("flat.png", np.full((30, 40), 128, np.uint8))
    for first, second in (("grey.png", "b.png"), ("deep.png", "deep.png"), ("alpha.png", "b.png"),
                          ("dot.png", "dot.png"), ("flat.png", "flat.png")):  # fmt: skip
        assert main([first, second, "-o", "odd.flo", "-q"]) == 0
        assert np.isfinite(read_flow("odd.flo")[0]).all()


def test_help_and_version_load_nothing_heavy():
    """The command line answers before torch, numpy or OpenCV are imported."""
    code = (
        "import sys, json, flow.cli as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps([m for m in ('torch', 'numpy', 'cv2', 'numba', 'scipy') if m in sys.modules]))"
    )
    words = [sys.executable, "-c", code]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout  # or it hangs
    assert json.loads(out.splitlines()[-1]) == []
    assert "usage: patchbatch-flow" in out


def test_motion_that_a_kitti_file_cannot_hold_is_told(frames, capsys):
    flow = np.zeros((64, 80, 2), np.float32)
    flow[5, 6] = (-600, 0)
    write_flow(frames / "start.flo", flow)
    words = ["a.png", "b.png", "--initial-flow", "start.flo", "-o", "x.png", "-o", "x.flo", "-q"]
    assert main([*words, "--settings", str(_still(frames))]) == 0
    assert "x.png has no place for motion beyond 512 px: 1 pixels" in capsys.readouterr().err
    assert not read_flow(frames / "x.png")[1][5, 6]
    assert read_flow(frames / "x.flo")[0][5, 6, 0] == -600


def _still(folder):
    """Write settings of a refinement that moves nothing."""
    (folder / "still.toml").write_text("[refinement]\nouter_iterations = 0\n")
    return folder / "still.toml"


def test_stages_of_an_earlier_run_do_not_stay(frames):
    assert main(["a.png", "b.png", "--save-stages", "stages", "-o", "x.flo", "-q"]) == 0
    assert (frames / "stages" / "4-chosen.flo").exists()
    words = ["--dense", "interpolated", "--save-stages", "stages", "-o", "x.flo", "-q"]
    assert main(["a.png", "b.png", *words]) == 0
    assert not (frames / "stages" / "4-chosen.flo").exists()


def test_occlusion_of_a_pair_that_does_not_match_is_written_too(frames):
    noise = np.random.default_rng(5).random((64, 80)).astype(np.float32)
    write_image(frames / "other.png", np.rint(255 * noise).astype(np.uint8))
    assert main(["a.png", "other.png", "--occlusion", "o.npy", "-o", "x.flo", "-q"]) == 0
    assert (np.load(frames / "o.npy") == 0.5).all()
