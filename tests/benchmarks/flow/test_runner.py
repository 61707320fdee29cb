"""The runner on a made tree with made methods: rows, medians, JSON, errors."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main, parse
from benchmarks.environment import cpu_model, describe_environment
from benchmarks.flow import command, methods
from benchmarks.flow.methods import Method, StageResult, stages_of
from benchmarks.flow.report import format_table
from benchmarks.flow.runner import run
from benchmarks.flow.running.scoring import measure
from benchmarks.flow.running.summary import summary_rows
from benchmarks.flow.settings import FlowBenchmark
from flow.settings import flow_settings, with_methods
from patchbatch.data.datasets.pairs import FlowPair, find_pairs
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import write_flow
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_descriptor
from patchbatch.runs.fingerprint import checkout_commit

SIZE = (24, 32)


@pytest.fixture
def chairs(tmp_path: Path) -> Path:
    """Make a FlyingChairs tree of three pairs that move by 2, 4 and 6 px to the right."""
    folder = tmp_path / "chairs" / "data"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
        for frame in ("img1", "img2"):
            assert cv2.imwrite(str(folder / f"0000{number}_{frame}.ppm"), image)
        write_flow(folder / f"0000{number}_flow.flo", np.full((*SIZE, 2), (2 * number, 0), np.float32))
    return tmp_path / "chairs"


def fake_run(pair: FlowPair) -> dict[str, StageResult]:
    """Return a sparse and a dense stage, both of no motion."""
    flow = np.zeros((*SIZE, 2), np.float32)
    sparse = np.zeros(SIZE, bool)
    sparse[:, ::2] = True
    number = float(pair.name)
    return {
        "matches": StageResult(flow, sparse, {"match": number, "total": number}),
        "final": StageResult(
            flow, np.ones(SIZE, bool), {"match": number, "refine": 1.0, "total": number + 1}
        ),
    }


def test_rows_join_the_pairs_by_method_and_stage(chairs: Path) -> None:
    methods = [Method("fake", "net", fake_run), Method("fake", "other", fake_run)]
    rows = summary_rows(one for pair in find_pairs("chairs", chairs) for one in measure(pair, methods))
    labels = [(row["method"], row["model"], row["stage"]) for row in rows]
    assert labels == [
        ("fake", "net", "matches"),
        ("fake", "net", "final"),
        ("fake", "other", "matches"),
        ("fake", "other", "final"),
    ]
    assert [row["pairs"] for row in rows] == [3] * 4
    assert rows[0]["density"] == 50
    assert rows[0]["seconds"] == {"match": 2, "total": 2}
    assert rows[0]["metrics"]["EPE (submitted)"] == 4
    assert rows[1]["seconds"] == {"match": 2, "refine": 1, "total": 3}
    assert rows[1]["metrics"]["Fl-all"] == rows[1]["metrics"]["Out-All"] == pytest.approx(200 / 3)


def test_the_report_has_its_keys_and_survives_json(chairs: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    command = ["flow", "chairs", str(chairs.parent), "--method", "zero", f"truth={chairs}/data"]
    assert main([*command, "--json", str(file)]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == ["benchmark", "dataset", "root", "environment", "rows", "per_pair", "failed"]
    assert (report["benchmark"], report["dataset"], report["root"]) == ("flow", "chairs", str(chairs.parent))
    needed = {"python", "torch", "opencv", "numpy", "cpu", "threads", "device", "date", "settings"}
    assert needed <= set(report["environment"]) <= needed | {"commit"}
    assert report["environment"]["settings"]["preset"] == "auto"
    keys = ["method", "model", "stage", "pairs", "density", "metrics", "seconds"]
    assert [list(row) for row in report["rows"]] == [keys, keys]
    assert {"EPE", "EPE-pooled", "Fl-all", "Fl-all-per-image", "Out-All"} <= set(report["rows"][0]["metrics"])
    zero, truth = report["rows"]
    assert (zero["method"], zero["model"], zero["stage"], zero["pairs"]) == ("zero", None, "final", 3)
    assert zero["metrics"]["EPE"] == 4
    assert truth["metrics"]["EPE"] == 0
    assert truth["seconds"] == {"total": None}
    assert [row["pair"] for row in report["per_pair"]] == [f"0000{n}" for n in (1, 1, 2, 2, 3, 3)]


def test_only_the_table_is_on_stdout(chairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "chairs", str(chairs), "--method", "zero", "--limit", "1"]) == 0
    captured = capsys.readouterr()
    header, rule, line = captured.out.splitlines()
    assert len(header) == len(rule) == len(line)
    assert [cell.strip() for cell in line.split("|")][1:6] == ["zero", "", "final", "1", "2.000"]
    told, closing = captured.err.splitlines()
    assert told.startswith("1/1 00001, zero EPE 2.000 px (so far 2.000 px); ")
    assert closing == "zero: EPE 2.000 px over 1 pair; best 00001 (2.000 px), worst 00001 (2.000 px)"


def test_figures_that_a_row_lacks_leave_its_cell_empty() -> None:
    shared = {"model": None, "stage": "final", "pairs": 1, "density": None, "seconds": {"total": None}}
    rows = [
        {"method": "a", "metrics": {"EPE": 1.0, "AAE": 2.0}, **shared},
        {"method": "b", "metrics": {}, **shared},
    ]
    assert format_table("middlebury", rows).splitlines()[-1].replace(" ", "") == "|b||final|1||||"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flow", "chairs", "nowhere"], "error: no folder nowhere"),
        (
            ["flow", "chairs", "ROOT", "--method", "raft"],
            "error: unknown method 'raft'; there are patchbatch, dis-",
        ),
        (["flow", "chairs", "ROOT", "--json", "nowhere/a.json"], "error: no folder for nowhere/a.json"),
        (["flow", "sintel-final", "ROOT", "--method", "zero"], "error: no sintel-final pairs in"),
        (["flow", "chairs", "ROOT", "--model", "compakt"], "error: unknown model 'compakt'"),
        (["flow", "chairs", "ROOT", "--settings", "no.toml"], "error: no.toml does not exist"),
    ],
)
def test_mistakes_are_one_line_and_status_1(
    chairs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([word.replace("ROOT", str(chairs)) for word in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["flow"],
        ["flow", "davis", "."],
        ["flow", "chairs", ".", "--limit", "0"],
        ["flow", "chairs", ".", "-x"],
    ],
)
def test_usage_errors_are_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_result_of_the_wrong_size_names_method_and_pair(chairs: Path) -> None:
    small = StageResult(np.zeros((2, 2, 2)), np.ones((2, 2), bool), {"total": 0.0})
    method = Method("small", None, lambda _pair: {"final": small})
    (outcome,) = measure(find_pairs("chairs", chairs)[0], [method])
    assert not outcome.stages
    assert outcome.error is not None
    assert outcome.error.startswith("small on chairs 00001: the flow is 2x2")
    with pytest.raises(PatchBatchError, match="x on chairs 00001: no result in"):
        run(FlowBenchmark("chairs", str(chairs), methods=(f"x={chairs}",)))


def test_a_method_named_twice_runs_once(chairs: Path) -> None:
    report = run(FlowBenchmark("chairs", str(chairs), methods=("zero", "zero"), limit=2))
    assert [row["pairs"] for row in report["rows"]] == [2]


def test_time_of_a_stage_is_the_time_to_get_there() -> None:
    field = (np.zeros((1, 1, 2)), np.ones((1, 1), bool))
    seconds = {"describe": 1.0, "match": 2.0, "interpolate": 4.0, "refine": 8.0, "total": 16.0}
    result = SimpleNamespace(
        flow=field[0],
        valid=field[1],
        seconds=seconds,
        stages={"matches": field, "interpolated": field, "refined": field},
        confidence=np.full(SIZE, 0.5),
        occluded=None,
    )
    stages = stages_of(result)
    assert list(stages) == ["matches", "interpolated", "final"]
    assert stages["matches"].seconds == {"describe": 1, "match": 2, "total": 3}
    assert stages["interpolated"].seconds["total"] == 7
    assert stages["final"].seconds == seconds
    assert [stage.confidence is None for stage in stages.values()] == [True, True, False]


def test_the_pipeline_gets_the_settings_and_one_loaded_descriptor(
    chairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, loaded = [], []

    def load_descriptor(name: str, device: str) -> SimpleNamespace:
        loaded.append((name, device))
        return SimpleNamespace(device="cpu")

    def estimate_flow(
        image1: np.ndarray, image2: np.ndarray, model: SimpleNamespace, **settings: object
    ) -> SimpleNamespace:
        calls.append((image1.shape, image2.shape, model.device, settings))
        field = (np.zeros((*SIZE, 2), np.float32), np.ones(SIZE, bool))
        stages = {"matches": field, "interpolated": field}
        seconds, nothing = {"match": 1.0, "total": 1.0}, {"confidence": field[1] * 1.0, "occluded": None}
        return SimpleNamespace(flow=field[0], valid=field[1], seconds=seconds, stages=stages, **nothing)

    monkeypatch.setattr("benchmarks.flow.methods.load_descriptor", load_descriptor)
    pipeline = SimpleNamespace(estimate_flow=estimate_flow, describing_gflop=lambda *_: None)
    monkeypatch.setitem(sys.modules, "flow.pipeline", pipeline)
    benchmark = FlowBenchmark(
        "chairs", str(chairs), models=("net",), device="cpu", precision="float32", refine=False, seed=5
    )
    report = run(benchmark)
    assert loaded == [("net", "cpu")]
    settings = with_methods(flow_settings("sintel"), "sintel", seed=5)
    expected = {"preset": "sintel", "settings": settings, "precision": "float32", "refine": False}
    assert calls == [((*SIZE, 3), (*SIZE, 3), "cpu", expected | {"keep_stages": True})] * 3
    assert [row["stage"] for row in report["rows"]] == ["matches", "interpolated", "final"]
    assert {(row["method"], row["model"]) for row in report["rows"]} == {("patchbatch", "net")}
    assert report["environment"]["flow-settings"]["matching"]["search"]["seed"] == 5
    json.dumps(report, allow_nan=False)


def test_the_preset_follows_the_data_set_unless_chosen() -> None:
    chosen = {name: FlowBenchmark(name, "root").resolved_preset for name in DATASETS}
    assert chosen == {name: dataset.preset for name, dataset in DATASETS.items()}
    assert FlowBenchmark("sintel-final", "root", preset="default").resolved_preset == "default"


def test_a_file_of_settings_and_a_matcher_reach_the_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[interpolation]\nneighbours = 7\n")
    benchmark = FlowBenchmark("kitti2015", "root", settings=str(file), matcher="exact")
    settings = benchmark.flow_settings()
    assert (settings.interpolation.neighbours, settings.matching.method) == (7, "exact")
    kitti = flow_settings("kitti")
    assert settings.interpolation.kernel_decay == kitti.interpolation.kernel_decay
    assert settings.refinement == kitti.refinement


@pytest.mark.slow
def test_a_users_own_descriptor_runs_with_a_users_own_settings(
    chairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_descriptor.py").write_text(
        "def mean():\n"
        "    def describe(patches):\n"
        "        return patches.flatten(1)\n"
        "    describe.patch_size = 3\n"
        "    return describe\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "flow.json"
    words = ["--model", "own_descriptor:mean", "--matcher", "exact", "--limit", "1", "--no-refine"]
    assert main(["flow", "chairs", str(chairs), *words, "--json", str(file)]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert {row["model"] for row in report["rows"]} == {"own_descriptor:mean"}
    assert report["environment"]["flow-settings"]["matching"]["method"] == "exact"
    assert report["environment"]["flow-settings"]["interpolation"]["estimator"] == "robust"


def test_arguments_reach_the_benchmark() -> None:
    words = "flow sintel-clean root --method patchbatch zero --model a b --preset kitti --device cpu"
    words += " --precision float32 --no-refine --seed 7 --limit 3 --keep-invalid --matcher exact"
    expected = FlowBenchmark(
        "sintel-clean", "root", ("patchbatch", "zero"), ("a", "b"), "kitti", "exact", None, "cpu", "float32",
        refine=False, seed=7, limit=3, keep_invalid=True,
    )  # fmt: skip
    assert command.benchmark_of(parse([*words.split(), "--settings", "x.toml"])) == replace(
        expected, settings="x.toml"
    )
    assert command.benchmark_of(parse(words.split())) == expected


def test_the_environment_is_described() -> None:
    environment = describe_environment("cpu")
    assert environment["device"] == "cpu"
    assert int(environment["threads"]) >= 1
    assert cpu_model()


def test_a_file_that_no_checkout_tracks_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("")
    assert checkout_commit(tmp_path / "module.py") is None


def test_long_describing_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net, settings = load_descriptor("compact", "cpu"), flow_settings("default")
    methods._announce(net, (48, 64), settings, "float32")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(methods, "LONG_GFLOP", 0.001)
    methods._announce(net, (48, 64), settings, "float32")
    assert re.fullmatch(r"describing a pair by compact takes about \d+ s here\n", capsys.readouterr().err)
