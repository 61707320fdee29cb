"""The confidence command on made scenes."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main, parse
from benchmarks.confidence.command import PICTURES, benchmark_of
from benchmarks.confidence.report import OCCLUSION, TRUST, WRONG, format_tables
from benchmarks.confidence.study import judge_pair
from flow.matching.matches import Matches
from flow.results.result import FlowResult
from flow.synthetic import demo_scene
from patchbatch.data.datasets.pairs import FlowPair, Truth
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image
from patchbatch.errors import PatchBatchError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Middlebury tree of two pairs, and a Sintel tree of one with its masks, of one scene."""
    root = tmp_path_factory.mktemp("data")
    scene = demo_scene(48, 64)
    for name in ("A", "B"):
        frames, truth = (root / "middlebury" / part / name for part in ("other-data", "other-gt-flow"))
        frames.mkdir(parents=True)
        truth.mkdir(parents=True)
        write_image(frames / "frame10.png", scene.image1)
        write_image(frames / "frame11.png", scene.image2)
        write_flow(truth / "flow10.flo", scene.flow)
    training = root / "sintel" / "training"
    for part in ("final", "flow", "occlusions", "invalid"):
        (training / part / "s").mkdir(parents=True)
    write_image(training / "final" / "s" / "frame_0001.png", scene.image1)
    write_image(training / "final" / "s" / "frame_0002.png", scene.image2)
    write_flow(training / "flow" / "s" / "frame_0001.flo", scene.flow)
    mask = np.zeros((48, 64), np.uint8)
    write_image(training / "invalid" / "s" / "frame_0001.png", mask)
    mask[:, 20:30] = 255
    write_image(training / "occlusions" / "s" / "frame_0001.png", mask)
    return root


def test_the_report_has_every_figure_of_every_data_set_and_pair(root, tmp_path, capsys):
    file, pictures = tmp_path / "c.json", tmp_path / "pictures"
    assert main(["confidence", str(root), "--json", str(file), "--picture", str(pictures)]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == ["benchmark", "environment", "rows", "per_pair", "reliability", "failed"]
    assert str(root) not in file.read_text()
    assert [(row["dataset"], row["pairs"]) for row in report["rows"]] == [
        ("sintel-final", 1), ("middlebury", 2)
    ]  # fmt: skip
    assert [row["pair"] for row in report["per_pair"]] == ["s/frame_0001", "A", "B"]
    assert set(report["environment"]["flow-settings"]) == {"sintel-final", "middlebury"}
    for row in (*report["rows"], *report["per_pair"]):
        assert {*TRUST, *WRONG} <= set(row)
        assert set(row["occlusion"]) == {"truth", *OCCLUSION}
        assert row["Fl"] == pytest.approx(sum(row[name] for name in WRONG[1:]))
        assert row["AURC-ideal"] <= row["AURC"] and 0 <= row["ECE"] <= 100
    sintel, middlebury = report["rows"]
    assert sintel["occlusion"]["truth"] == "mask + frame" and sintel["occlusion"]["best-F"] > 0
    assert middlebury["occlusion"]["truth"] == "" and middlebury["occlusion"]["F"] is None
    assert middlebury["ECE"] == report["per_pair"][1]["ECE"]  # both of its pairs are the same
    assert sum(step["share"] for step in report["reliability"]["middlebury"]) == pytest.approx(100)
    for name in PICTURES:
        assert (pictures / name).read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == format_tables(report["rows"]) + "\n"


def test_tables_say_what_is_not_known(capsys):
    figures = dict.fromkeys((*TRUST, *WRONG), 1.0) | {"AUSE": None}
    row = {"dataset": "made", "pairs": 3, **figures, "occlusion": {"truth": "", **dict.fromkeys(OCCLUSION)}}
    tables = format_tables([row]).split("\n\n")
    assert tables[::2] == ["confidence", "occlusion", "wrong pixels by cause"]
    last = [[cell.strip() for cell in table.splitlines()[-1].split("|")[1:-1]] for table in tables[1::2]]
    assert last[0] == ["made", "3", *["1.00"] * 7, ""]
    assert last[1] == ["made", "none", "3", *[""] * 6]
    assert last[2] == ["made", "3", *["1.00"] * 5]


def result_of(flow, confidence, occluded=None):
    none = np.zeros((0, 2), np.float32)
    matches = Matches(none, none, none[:, 0], none[:, 0])
    valid = np.ones(confidence.shape, np.bool_)
    return FlowResult(flow, valid, confidence, matches, True, {}, occluded=occluded)


PAIR = FlowPair("sintel-final", "made", Path("1"), Path("2"), Path("flow"))


def test_only_known_pixels_count():
    flow = np.zeros((10, 10, 2), np.float32)
    truth = Truth(flow, np.ones((10, 10), bool), occluded=np.zeros((10, 10), bool), invalid=np.eye(10) > 0)
    truth.valid[0] = False
    spoiled = np.where((truth.invalid | ~truth.valid)[..., None], np.float32(50), flow)
    confidence = np.ones((10, 10), np.float32)
    judged = judge_pair(PAIR, truth, result_of(spoiled, confidence, 0 * confidence))
    assert judged.figures["Fl"] == 0 and judged.calibration.sure == 1 and judged.unseen == "mask + frame"
    assert judge_pair(PAIR, truth, result_of(spoiled, confidence)).detection is None
    truth.valid[:] = False
    with pytest.raises(PatchBatchError, match="no pixel has a known motion"):
        judge_pair(PAIR, truth, result_of(spoiled, confidence))


def test_options_and_the_preset_of_each_data_set(root):
    words = (
        "--dataset chairs middlebury --limit 3 --matcher exact --model fast --device cpu --precision float32"
    )
    benchmark = benchmark_of(parse(["confidence", str(root), *words.split()]))
    assert (benchmark.datasets, benchmark.limit, benchmark.model) == (("chairs", "middlebury"), 3, "fast")
    assert (benchmark.device, benchmark.precision) == ("cpu", "float32")
    assert benchmark.settings_for("middlebury").matching.method == "exact"
    assert benchmark.settings_for("kitti2015").refinement != benchmark.settings_for("middlebury").refinement
    fixed = benchmark_of(parse(["confidence", str(root), "--preset", "kitti"]))
    assert fixed.settings_for("middlebury") == fixed.settings_for("kitti2015")


def test_pictures_are_not_drawn_over_those_of_the_data(root, tmp_path, capsys):
    taken = root / "middlebury" / PICTURES[1]
    taken.write_bytes(b"mine")
    assert main(["confidence", str(root), "--picture", str(taken.parent)]) == 1
    assert "would be drawn over a file of" in capsys.readouterr().err
    assert taken.read_bytes() == b"mine"
    taken.unlink()
    (tmp_path / "file").touch()
    assert main(["confidence", str(root), "--picture", str(tmp_path / "file")]) == 1
    assert "is a file; give --picture a folder" in capsys.readouterr().err
