"""The command on a made scene: rows, JSON, figure, choices and one-line errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main, parse
from benchmarks.descriptors import rows as descriptor_rows
from benchmarks.descriptors import summary as descriptor_summary
from benchmarks.descriptors.command import benchmark_of
from benchmarks.descriptors.metrics import FIGURES, Scored
from benchmarks.descriptors.report import format_motion, format_tables
from benchmarks.descriptors.rows import Contender, load_contenders
from benchmarks.descriptors.settings import DescriptorBenchmark
from benchmarks.descriptors.summary import PairScore
from benchmarks.descriptors.table import BASELINES
from flow.synthetic import demo_scene
from patchbatch.data.formats import write_flow
from patchbatch.data.images import read_image, write_image
from patchbatch.descriptors.description import describe
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError
from patchbatch.models import MODELS

ROW_KEYS = [
    "descriptor",
    "dataset",
    "points",
    "dimension",
    "rank1@1px",
    "rank1@2px",
    "rank1@3px",
    "fpr95",
    "near-miss",
    "raw-error",
    "seconds",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Sintel tree of one pair and a Middlebury tree of two, which stand still."""
    root = tmp_path_factory.mktemp("data")
    scene = demo_scene(72, 96)
    training = root / "sintel" / "training"
    for name in ("flow", "occlusions", "clean", "final"):
        (training / name / "made").mkdir(parents=True)
    write_flow(training / "flow" / "made" / "frame_0001.flo", scene.flow)
    write_image(training / "occlusions" / "made" / "frame_0001.png", ~scene.visible)
    for rendering in ("clean", "final"):
        for number, image in ((1, scene.image1), (2, scene.image2)):
            write_image(training / rendering / "made" / f"frame_000{number}.png", image)
    for name in ("A", "B"):
        still = root / "middlebury" / "other-data" / name
        still.mkdir(parents=True)
        for frame in ("frame10", "frame11"):
            write_image(still / f"{frame}.png", scene.image1)
        truth = root / "middlebury" / "other-gt-flow" / name
        truth.mkdir(parents=True)
        write_flow(truth / "flow10.flo", np.zeros_like(scene.flow))
    return root


def test_json_has_the_rows_of_all_data_sets(root: Path, tmp_path: Path) -> None:
    file, figure = tmp_path / "d.json", tmp_path / "d.png"
    command = ["descriptors", str(root), "--only", "patch", "census", "--points", "50"]
    assert main([*command, "--json", str(file), "--figure", str(figure)]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == [
        "benchmark",
        "root",
        "environment",
        "rows",
        "all_wrong",
        "by_motion",
        "per_pair",
        "failed",
    ]
    assert [list(row) for row in report["rows"]] == [ROW_KEYS] * 6
    labels = [(row["dataset"], row["descriptor"], row["points"], row["dimension"]) for row in report["rows"]]
    assert labels == [
        ("sintel-final", "patch", 50, 225),
        ("sintel-final", "census", 50, 62),
        ("sintel-clean", "patch", 50, 225),
        ("sintel-clean", "census", 50, 62),
        ("middlebury", "patch", 100, 225),
        ("middlebury", "census", 100, 62),
    ]
    assert all(0 <= row[name] <= 100 for row in report["rows"] for name in FIGURES)
    still = report["rows"][4]  # nothing moves: each patch is its own match
    assert (still["rank1@1px"], still["fpr95"], still["raw-error"]) == (100, 0, 0)
    assert [row["pair"] for row in report["per_pair"][-4:]] == ["A", "A", "B", "B"]
    assert report["environment"]["settings"]["window"] is None
    assert report["environment"]["settings"]["only"] == ["patch", "census"]
    assert {"cpu", "torch", "date"} <= set(report["environment"])
    assert read_image(figure).ndim == 3


def test_only_tables_are_on_stdout(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dataset", "middlebury", "--limit", "1", "--only", "census", "--points", "10", "--window", "5"]
    assert main(["descriptors", str(root), *words]) == 0
    captured = capsys.readouterr()
    progress, closing = captured.err.splitlines()
    assert progress.startswith("1/1 middlebury A, census raw-error ")
    assert closing.startswith("census: raw-error ") and " over 1 pair; best middlebury A " in closing
    heading, empty, header, rule, line = captured.out.splitlines()
    assert heading == "middlebury: 10 points, percent, raw-error within 5 px of the point"
    assert empty == ""
    assert len(header) == len(rule) == len(line)
    names = [cell.strip() for cell in header.split("|")][1:-1]
    assert names == [key for key in ROW_KEYS if key not in ("dataset", "points")]


def test_the_same_seed_gives_the_same_figures_and_another_does_not(root: Path) -> None:
    def figures(seed: int, only: tuple[str, ...] = ("census",)) -> dict[str, float]:
        settings = DescriptorBenchmark(str(root), ("sintel-final",), only=only, points=40, seed=seed)
        row = descriptor_rows.run(settings)["rows"][-1]
        return {name: row[name] for name in FIGURES}

    assert figures(1) == figures(1, ("patch", "census"))
    assert figures(1) != figures(2)


def score(pair: str, value: float, wrong: tuple[int, ...] = (0,) * 10, name: str = "d") -> PairScore:
    scored = Scored(dict.fromkeys(FIGURES, value), np.array(wrong, bool))
    return PairScore(name, "s", pair, 3, scored, 15.0 * np.arange(len(wrong)), value)


def test_rows_are_means_over_pairs() -> None:
    scores = [score("a", 10), score("b", 20)]
    (row,) = descriptor_summary.summary_rows(scores)
    assert (row["points"], row["fpr95"], row["seconds"]) == (20, 15, 15)
    lines = format_tables([row], descriptor_summary.all_wrong(scores)).splitlines()
    assert lines[-1].count("15.00") == len(FIGURES) + 1


def test_points_that_no_descriptor_gets_right_are_counted_pair_by_pair() -> None:
    scores = [
        score("a", 50, (1, 1, 0, 0), "d"), score("a", 50, (1, 0, 1, 0), "e"),
        score("b", 50, (1, 1), "d"), score("b", 50, (0, 1), "e"),
    ]  # fmt: skip
    share = descriptor_summary.all_wrong(scores)
    assert share == {"s": (25 + 50) / 2}
    table = format_tables(descriptor_summary.summary_rows(scores), share)
    assert table.endswith("All 2 are wrong at 37.50 % of the points.")


def test_raw_errors_by_length_of_motion_pool_the_pairs() -> None:
    scores = [score("a", 50, (1, 0, 0, 1), "d"), score("b", 50, (0, 1), "d")]  # 0 15 30 45 px and 0 15 px
    (row,) = descriptor_summary.by_motion(scores)
    np.testing.assert_allclose(row["points"], [100 / 3, 100 / 3, 100 / 6, 100 / 6, 0])
    assert row["raw-error"] == [50, 50, 0, 100, None]
    lines = format_motion([row], descriptor_summary.MOTION_PX).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert cells[0] == ["raw-error by motion", "0-10 px", "10-20 px", "20-40 px", "40-80 px", "from 80 px"]
    assert cells[2] == ["share of the points", "33.3", "33.3", "16.7", "16.7", "0.0"]
    assert cells[3] == ["d", "50.0", "50.0", "0.0", "100.0", ""]


def test_a_row_without_its_weights_is_left_out_with_a_note(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    benchmark = DescriptorBenchmark(str(root), models=("compact",))
    names = [each.name for each in load_contenders(benchmark)]
    assert names == ["compact", "compact-alone", *BASELINES]
    assert "no row tfeat" in caplog.text
    assert "--tfeat" in caplog.text


def test_every_shipped_model_has_its_rows_without_being_loaded(root: Path) -> None:
    names = [row.name for row in DescriptorBenchmark(str(root)).rows()]
    expected = [f"{model}{end}" for model in MODELS for end in ("", "-alone")]
    assert names == [*expected, *BASELINES]


@pytest.mark.parametrize(("alone", "dimension"), [(False, 6), (True, 3)])
def test_a_patchwise_network_describes_points_and_image_alike(alone, dimension) -> None:
    # A weights file is not needed for the difference between its two ways.
    config = PatchNetConfig(channels=(2, 2, 2, 2, 3), context=(0.7,))
    network = PatchNet(config, "made").eval()
    contender = Contender("made", network.seen_as(single_scale=True) if alone else network, "float32")
    image = np.random.default_rng(0).random((6, 7)).astype(np.float32)
    points = np.array([[6, 5], [0, 2]])
    at, whole = contender.at(image, points), contender.whole(image)
    assert whole.shape == (6, 7, dimension)
    np.testing.assert_allclose(at, whole[points[:, 1], points[:, 0]], atol=1e-5)
    if alone:
        assert torch.equal(whole, describe(image, network, "float32"))


def test_a_users_own_descriptors_are_rows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "from patchbatch.descriptors.adapters import DenseDescriptor\n"
        "def dense():\n"
        "    return DenseDescriptor('grey', lambda image: image[..., None], 1, 0)\n"
        "def patches():\n"
        "    def describe(patches):\n"
        "        return patches.flatten(1)\n"
        "    describe.patch_size = 5\n"
        "    return describe\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    benchmark = DescriptorBenchmark(
        str(root), ("middlebury",), ("mine:dense",), ("p=mine:patches",), ("mine:dense", "p"), points=20
    )
    rows = descriptor_rows.run(benchmark)["rows"]
    assert [(row["descriptor"], row["dimension"]) for row in rows] == [("mine:dense", 1), ("p", 25)]
    assert rows[1]["raw-error"] == 0  # nothing moves
    assert benchmark_mistake(root, "p=mine:nothing") == "module mine has no 'nothing'; check 'mine:nothing'"


def benchmark_mistake(root: Path, descriptor: str) -> str:
    benchmark = DescriptorBenchmark(str(root), descriptors=(descriptor,), only=("p",))
    with pytest.raises(PatchBatchError) as caught:
        load_contenders(benchmark)
    return str(caught.value)


BAD = [
    (["--only", "surf"], "unknown descriptor 'surf'"),
    (["--only", "tfeat"], "no weights for tfeat"),
    (["--only", "mine", "--descriptor", "mine=nowhere"], "not of the form NAME=package.module:factory"),
    (["--descriptor", "sift=builtins:dict", "--only", "sift"], "two descriptors are called 'sift'"),
    (["--only", "patch", "--dataset", "chairs"], "no chairs pairs"),
    (["--only", "fast2", "--model", "fast2"], "unknown model 'fast2'"),
    (["--only", "patch", "--json", "no/such/folder/d.json"], "no folder for no/such/folder/d.json"),
    (["--only", "patch", "--figure", "d.pdf"], "the picture is a .png"),
    (["--only", "tfeat", "--tfeat", "missing.safetensors"], "missing.safetensors"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message[:20] for _, message in BAD])
def test_mistakes_are_told_in_one_line(
    root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["descriptors", str(root), *words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_folder_that_is_not_there_or_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["descriptors", str(tmp_path / "nowhere"), "--only", "patch"]) == 1
    assert "no folder" in capsys.readouterr().err
    assert main(["descriptors", str(tmp_path), "--only", "patch"]) == 1
    assert "expected the folders of kitti2015" in capsys.readouterr().err


def test_frames_of_other_size_than_the_truth_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "chairs" / "data"
    folder.mkdir(parents=True)
    for frame, size in (("img1", (40, 50)), ("img2", (40, 51))):
        write_image(folder / f"00001_{frame}.ppm", np.zeros((*size, 3), np.uint8))
    write_flow(folder / "00001_flow.flo", np.zeros((40, 50, 2), np.float32))
    with pytest.raises(PatchBatchError, match=r"chairs 00001: .*img2.ppm.* differ in size"):
        descriptor_rows.run(DescriptorBenchmark(str(tmp_path), only=("patch",)))


def test_drawing_needs_matplotlib(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["descriptors", str(root), "--only", "patch", "--figure", "d.png"]) == 1
    assert "--figure needs matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--points", "0"], ["--window", "-1"], ["--cell", "0"], ["--seed", "-1"], ["--dataset", "davis"]],
)
def test_usage_errors_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["descriptors", "root", *words])
    assert exit_info.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_lists_may_be_given_again_and_again() -> None:
    words = "descriptors root --only a b --only c --model m --model n --dataset chairs --descriptor d=e:f"
    settings = benchmark_of(parse(words.split()))
    assert settings.only == ("a", "b", "c")
    assert settings.models == ("m", "n")
    assert settings.datasets == ("chairs",)
    assert settings.descriptors == ("d=e:f",)


def test_help_defines_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["descriptors", "--help"])
    shown = capsys.readouterr().out
    for figure in ("rank1@Tpx", "fpr95", "near-miss", "raw-error"):
        assert f"  {figure}" in shown
