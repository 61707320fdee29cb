"""The command on made scenes, and its figures in closed form."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main, parse
from benchmarks.matching import command as matching_command
from benchmarks.matching.confidence import area_under_roc, confidence_report, fit_report, reliability
from benchmarks.matching.figures import (
    FIGURES,
    JudgedPair,
    judge_pair,
    known_and_seen,
    mean_figures,
    pair_figures,
    threshold_for,
)
from benchmarks.matching.settings import MatchingBenchmark
from benchmarks.matching.subpixel import subpixel_rows
from benchmarks.matching.table import METHODS
from flow.matching.confidence import WEIGHTS, weighted_confidence
from flow.matching.seeds import DenseMatches, SeedField, seed_grid
from flow.matching.stage import match_both_ways
from flow.matching.table import MATCHERS
from flow.synthetic import demo_scene
from patchbatch.data.datasets.pairs import Truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image

ROW_KEYS = ["dataset", "method", "check", "pairs", *FIGURES, "describe", "match"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Middlebury tree of two pairs of one scene."""
    root = tmp_path_factory.mktemp("data")
    scene = demo_scene(64, 80)
    for name in ("A", "B"):
        frames = root / "middlebury" / "other-data" / name
        frames.mkdir(parents=True)
        write_image(frames / "frame10.png", scene.image1)
        write_image(frames / "frame11.png", scene.image2)
        truth = root / "middlebury" / "other-gt-flow" / name
        truth.mkdir(parents=True)
        write_flow(truth / "flow10.flo", scene.flow)
    return root


def run(root: Path, *options: str) -> int:
    return main(["matching", str(root), *options])


def test_json_has_rows_for_each_method_and_check(root, tmp_path, capsys):
    file, picture = tmp_path / "m.json", tmp_path / "r.png"
    options = ["--method", "coarse-to-fine", "exact-windowed", "--fit-confidence"]
    assert run(root, *options, "--json", str(file), "--reliability", str(picture)) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == [
        "benchmark",
        "root",
        "environment",
        "rows",
        "per_pair",
        "confidence",
        "subpixel",
        "failed",
    ]
    labels = [(row["method"], row["check"].partition(" ")[0]) for row in report["rows"]]
    assert labels == [
        ("coarse-to-fine", "none"),
        ("coarse-to-fine", "two-way"),
        ("coarse-to-fine", ">="),
        ("exact-windowed", "none"),
        ("exact-windowed", "two-way"),
    ]
    assert [list(row) for row in report["rows"] if row["check"] != report["rows"][2]["check"]] == [
        ROW_KEYS
    ] * 4
    believed, sure = report["rows"][1], report["rows"][2]
    assert min(believed["coverage"], 90) <= sure["coverage"] <= believed["coverage"]
    assert 0 <= sure["threshold"] <= 1
    assert all(row["pairs"] == 2 and row["coverage"] <= 100 for row in report["rows"])
    assert len(report["per_pair"]) == 8 and {row["pair"] for row in report["per_pair"]} == {"A", "B"}
    assert list(report["confidence"]) == ["coarse-to-fine", "exact-windowed"]
    for name, matcher in (("coarse-to-fine", "coarse-to-fine"), ("exact-windowed", "exact")):
        fit = report["confidence"][name]["fit"]
        assert list(fit) == ["key", "weights", "fitted", "held-out"]
        assert fit["key"] == ["compact", matcher]
    assert report["environment"]["flow-settings"]["exact-windowed"]["search"]["window"] == 256
    assert picture.read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert (
        "middlebury: 2 pairs" in shown
        and 'coarse-to-fine: ("compact", "coarse-to-fine"): ConfidenceWeights(bias=' in shown
    )
    assert 'exact-windowed: ("compact", "exact"): ConfidenceWeights(bias=' in shown
    [row] = report["subpixel"]
    assert row["matches"] > 100 and 0 < row["fit-mean"] < row["whole-mean"] < 1
    assert "mean, whole" in shown


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_settings_for_every_data_set(name):
    for dataset in DATASETS:
        assert METHODS[name].settings_for(dataset).method in MATCHERS


def test_patchmatch_is_the_papers():
    kitti, other = (METHODS["patchmatch"].settings_for(name).search for name in ("kitti2012", "chairs"))
    assert (kitti.passes, kitti.search_radius, kitti.start_x, kitti.start_y) == (2, 5.0, 500, 10)
    assert (other.passes, other.search_radius, other.start_x, other.start_y) == (2, 20.0, 10, 10)
    assert kitti.step == other.step == 3


def test_exact_searches_find_a_shift_both_ways():
    rows = torch.eye(81).reshape(9, 9, 81)
    moved = rows.roll((1, 2), dims=(0, 1))
    for name in ("exact-global", "exact-windowed"):
        dense = match_both_ways([rows], [moved], METHODS[name].settings_for("made"))
        inner = dense.forward.vectors[:2, :2]
        assert (inner == (2, 1)).all() and dense.forward.step == 3
        assert (dense.backward.vectors[1:, 1:] == (-2, -1)).all()


@pytest.mark.parametrize("name", ["patchmatch", "patchmatch-converged", "jump-flooding"])
def test_random_searches_answer_for_the_grid_of_image_1_and_all_of_image_2(name):
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.random((12, 15, 8), dtype=np.float32))
    dense = match_both_ways([rows], [rows], METHODS[name].settings_for("kitti2012"))
    assert dense.forward.grid == (4, 5) and dense.backward.grid == (12, 15)
    assert (dense.forward.points[0, 0] == 1).all()
    if name != "patchmatch":
        assert (dense.forward.vectors == 0).mean() > 0.8


def made_judgement(**changes) -> JudgedPair:
    """Make four seeds: right, 2 px off, 9 px off and hidden; the last one of unknown truth and no match."""
    parts = {
        "dataset": "made",
        "pair": "one",
        "method": "m",
        "error": np.array([[0.5, 2.0, 9.0, 0.0]]),
        "whole_error": np.array([[0.5, 2.0, 9.0, 0.0]]),
        "known": np.array([[True, True, True, False]]),
        "seen": np.array([[True, True, False, False]]),
        "found": np.array([[True, True, True, False]]),
        "kept": np.array([[True, True, False, False]]),
        "confidence": np.array([[0.95, 0.8, 0.3, 0.0]], np.float32),
        "features": np.zeros((1, 4, 3)),
        "seconds": {"describe": 1.0, "match": 2.0},
    }
    return JudgedPair(**(parts | changes))


def test_what_the_fraction_brings_in_closed_form():
    pair = made_judgement()
    kept, known = np.ones_like(pair.found), np.ones_like(pair.found)
    whole = np.arange(pair.found.size, dtype=np.float64).reshape(pair.found.shape)
    pair = made_judgement(kept=kept, known=known, whole_error=whole, error=whole / 2)
    [row] = subpixel_rows([pair, pair])
    near = whole[whole <= 3]
    assert row["matches"] == 2 * near.size and row["pairs"] == 2
    assert row["whole-mean"] == near.mean() and row["fit-median"] == np.median(near) / 2
    [nothing] = subpixel_rows([made_judgement(kept=~kept)])
    assert nothing["matches"] == 0 and nothing["fit-mean"] is None


def test_figures_in_closed_form():
    pair = made_judgement()
    figures = pair_figures(pair, pair.found)
    expected = [75, 100 / 3, 200 / 3, 100, 0, 50]
    assert [figures[name] for name in FIGURES] == pytest.approx(expected)
    nothing = pair_figures(pair, np.zeros_like(pair.found))
    assert [nothing[name] for name in FIGURES] == [0, None, None, 0, None, None]
    assert mean_figures([figures, nothing])["coverage"] == 37.5
    assert mean_figures([figures, nothing])["wrong>3px"] == pytest.approx(100 / 3)
    assert mean_figures([nothing])["wrong>3px"] is None


def test_threshold_gives_the_coverage_asked_for():
    rng = np.random.default_rng(0)
    pairs = []
    for size in (50, 80):  # grids of two sizes weigh the same
        ones = np.ones((1, size), bool)
        confidence = rng.random((1, size)).astype(np.float32)
        pairs.append(made_judgement(kept=ones, confidence=confidence, features=np.zeros((1, size, 3))))
    threshold = threshold_for(pairs, 66)
    covered = np.mean([100 * (pair.confidence >= threshold).mean() for pair in pairs])
    without = np.mean([100 * (pair.confidence > threshold).mean() for pair in pairs])
    assert without < 66 <= covered
    assert threshold_for([made_judgement()], 75) == 0
    assert threshold_for([made_judgement()], 50) == pytest.approx(0.8)
    assert threshold_for([made_judgement()], 25) == pytest.approx(0.95)


def test_hidden_invalid_and_leaving_pixels_do_not_count_as_seen():
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, 2, 0] = 5  # leaves the image
    occluded, invalid = np.zeros((2, 2, 3), bool)
    occluded[1, 0], invalid[1, 1] = True, True
    known, seen = known_and_seen(Truth(flow, np.ones((2, 3), bool), None, None, occluded, invalid))
    assert known.tolist() == [[True, True, True], [True, False, True]]
    assert seen.tolist() == [[True, True, False], [False, False, True]]


def test_errors_are_those_of_the_seeds():
    truth = Truth(np.full((6, 9, 2), 2, np.float32), np.ones((6, 9), bool))
    seeds = seed_grid(6, 9, 3)
    vectors = np.full((2, 3, 2), 2, np.float32)
    vectors[0, 0] = 2, 6
    field = SeedField(
        seeds.astype(np.float32), vectors, np.ones((2, 3), np.float32), np.full((2, 3), np.inf), 3
    )
    judged = judge_pair(("d", "p", "m"), DenseMatches(field, field), truth, {"match": 0.0})
    assert judged.error.tolist() == [[4, 0, 0], [0, 0, 0]]
    assert judged.right.sum() == 5 and judged.found.all()
    assert judged.seen.tolist() == [[True, True, False], [False, False, False]]


def many_matches(pair: str, seed: int) -> JudgedPair:
    rng = np.random.default_rng(seed)
    features = rng.random((40, 50, 3)) * (1, 2.4, 1)
    confidence = weighted_confidence(features, WEIGHTS)
    wrong = rng.random((40, 50)) > confidence
    ones = np.ones((40, 50), bool)
    return made_judgement(
        pair=pair, error=10.0 * wrong, known=ones, seen=ones, found=ones, kept=ones,
        confidence=confidence.astype(np.float32), features=features,
    )  # fmt: skip


def test_confidence_that_keeps_its_word_is_seen_to():
    pairs = [many_matches("one", 0), many_matches("two", 1)]
    for step in reliability(pairs):
        assert step["right"] == pytest.approx(step["confidence"], abs=10)
    assert sum(step["share"] for step in reliability(pairs)) == pytest.approx(100)
    report = confidence_report(pairs)
    assert report["area"] > 0.8 and report["made"]["sure-right"] == report["sure-right"] > 90
    assert report["believed"] == report["made"]  # where every match is believed
    fit = fit_report(pairs)
    assert fit["weights"]["error"] == pytest.approx(WEIGHTS.error, abs=0.4)
    assert fit["fitted"]["area"] == pytest.approx(report["area"], abs=0.01)
    assert "held-out" not in fit_report(pairs[:1])


def test_area_under_roc_counts_pairs():
    score, right = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert area_under_roc(score, right) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert area_under_roc(score, np.ones(4, bool)) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "no/such/folder/m.json"], "no folder for no/such/folder/m.json"),
        (["--reliability", "r.jpg"], "the picture is a .png"),
        (["--dataset", "kitti2015"], "kitti2015"),
        (["--model", "none"], "unknown model 'none'"),
    ],
)
def test_one_line_says_what_to_mend(root, options, message, capsys):
    assert run(root, *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_usage_errors():
    for options in (["--method", "best"], ["--limit", "0"], ["--dataset", "none"]):
        with pytest.raises(SystemExit) as stopped:
            parse(["matching", "root", *options])
        assert stopped.value.code == 2


def test_settings_come_from_the_arguments():
    arguments = parse(["matching", "root", "--limit", "2", "--method", "semi-global"])
    assert matching_command.benchmark_of(arguments) == MatchingBenchmark(
        "root", methods=("semi-global",), limit=2
    )
    default = matching_command.benchmark_of(parse(["matching", "root"]))
    assert default == MatchingBenchmark("root")


def test_a_file_of_settings_is_one_more_method(root, tmp_path, capsys):
    own = tmp_path / "wider.toml"
    own.write_text('[matching]\nmethod = "exact"\n[matching.search]\nstep = 6\n')
    assert run(root, "--method", "coarse-to-fine", "--settings", str(own), "--limit", "1") == 0
    assert "| wider " in capsys.readouterr().out
    own.rename(tmp_path / "exact-global.toml")
    assert run(root, "--settings", str(tmp_path / "exact-global.toml")) == 1
    assert "there is a method 'exact-global' already" in capsys.readouterr().err


def test_a_users_own_descriptor_is_matched(root, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_patches.py").write_text(
        "import torch\n"
        "class Grey(torch.nn.Module):\n"
        "    patch_size = 7\n"
        "    def forward(self, patches):\n"
        "        return patches.flatten(1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = [
        "--model",
        "own_patches:Grey",
        "--method",
        "exact-windowed",
        "--limit",
        "1",
        "--fit-confidence",
    ]
    assert run(root, *options) == 0
    assert '("own_patches:Grey", "exact"): ConfidenceWeights(' in capsys.readouterr().out
