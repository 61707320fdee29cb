"""Flow files as pictures: colours, arrows, errors; what is said and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flow.cli import main
from flow.visualize import flow_to_color, kitti_error_map
from patchbatch.data import read_image, write_flow, write_image

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (24, 32)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = np.zeros((*SHAPE, 2), np.float32)
    flow[..., 0], flow[12:, :, 1] = 4, -3
    write_flow("a.flo", flow)
    valid = np.ones(SHAPE, np.bool_)
    valid[:6] = False
    write_flow("truth.png", flow + np.float32([10, 0]), valid)
    write_flow("small.flo", flow[:8])
    write_flow("unknown.flo", flow, np.zeros(SHAPE, np.bool_))
    write_image("frame.png", np.full((*SHAPE, 3), 200, np.uint8))
    Path("text.flo").write_text("no flow at all")
    return flow, valid


@pytest.mark.parametrize("name", ["a.flo", "b.png", "b.pfm", "b.npz"])
def test_any_flow_file_becomes_a_picture_in_colours(here, name, capsys):
    flow, _ = here
    if name != "a.flo":
        write_flow(name, flow)
    assert main(["show", name, "--no-legend", "-o", "p.png"]) == 0
    np.testing.assert_array_equal(read_image("p.png"), flow_to_color(flow))
    assert capsys.readouterr().out == "wrote p.png: 32x24, motion 4.50 px (median) to 5.00 px\n"


def test_the_legend_stands_beneath(here):
    flow, _ = here
    assert main(["show", "a.flo", "-q"]) == 0
    picture = read_image("a_color.png")
    assert picture.shape[0] > SHAPE[0] + 10
    np.testing.assert_array_equal(picture[: SHAPE[0], : SHAPE[1]], flow_to_color(flow))


def test_several_files_can_have_one_scale(here, capsys):
    flow, _ = here
    write_flow("b.flo", 2 * flow)
    assert main(["show", "a.flo", "b.flo", "--max-radius", "20", "--no-legend", "-q"]) == 0
    np.testing.assert_array_equal(read_image("b_color.png"), flow_to_color(2 * flow, max_radius=20))
    assert capsys.readouterr().out == ""


def test_arrows_on_a_frame_and_on_white(here):
    assert main(["show", "a.flo", "--arrows", "--image", "frame.png", "--no-legend", "-q"]) == 0
    on_frame = read_image("a_arrows.png")
    assert on_frame.shape == (*SHAPE, 3)
    assert main(["show", "a.flo", "--arrows", "--no-legend", "-o", "white.png", "-q"]) == 0
    colours = np.ptp(read_image("white.png").astype(int), axis=2)
    assert 0 < (colours > 50).mean() < 0.9


def test_errors_against_a_truth(here, capsys):
    flow, valid = here
    assert main(["show", "a.flo", "--gt", "truth.png", "--no-legend"]) == 0
    expected = kitti_error_map(flow, flow + np.float32([10, 0]), valid)
    np.testing.assert_array_equal(read_image("a_error.png"), expected)
    said = capsys.readouterr().out
    assert said.startswith("wrote a_error.png: end-point error 10.000 px (median 10.000), > 3 px 100.00 %")


def test_what_is_known_is_said(here, capsys):
    assert main(["show", "truth.png", "unknown.flo"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("known at 75.0 % of the pixels")
    assert second == "wrote unknown_color.png: nothing is known in unknown.flo"


BAD = [
    (["nowhere.flo"], "nowhere.flo does not exist"),
    (["text.flo"], "text.flo is not a .flo file"),
    (["frame.png"], "frame.png"),
    (["a.flo", "-o", "a.flo"], "a.flo: -o would overwrite the input of FILE"),
    (["a.flo", "a.flo"], "two files would both become a_color.png; show them one by one, with -o"),
    (["a.flo", "-o", "x.tga"], "x.tga: pictures are .png"),
    (["a.flo", "-o", "no/x.png"], "no/x.png cannot be written"),
    (["a.flo", "--gt", "small.flo"], "small.flo is 32x8"),
    (["a.flo", "--gt", "unknown.flo"], "unknown.flo has no known pixel"),
    (["a.flo", "--gt", "gone.flo"], "gone.flo does not exist"),
    (["small.flo", "--arrows", "--image", "frame.png"], "frame.png is 32x24 but the flow 32x8"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[says for _, says in BAD])
def test_bad_input_is_one_line(here, capsys, words, says):
    before = sorted(Path().iterdir())
    assert main(["show", *words]) == 1
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.count("\n") == 1 and says in heard.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.flo", "b.flo", "-o", "x.png"], "-o is for one FILE"),
        (["a.flo", "--image", "frame.png"], "--image is what --arrows are drawn on"),
        (["a.flo", "--arrows", "--gt", "truth.png"], "not allowed with"),
        (["a.flo", "--gt", "truth.png", "--max-radius", "3"], "--max-radius is of colours"),
        (["a.flo", "--max-radius", "0"], "above 0"),
    ],
)
def test_words_that_do_not_go_together(here, capsys, words, says):
    with pytest.raises(SystemExit) as stopped:
        main(["show", *words])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_help_imports_nothing_slow():
    code = (
        "import sys\nfrom flow.cli import main\ntry: main(['show', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'cv2'} & set(sys.modules)), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stderr.splitlines()[-1] == "[]"
    assert "--max-radius" in told.stdout
