"""Rows of the speed benchmark: all stages on a small pair, strips, refusals, the picture."""

import json
import sys
import types

import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.speed import measure as speed
from benchmarks.speed import works as speed_stages
from benchmarks.speed.plot import draw
from benchmarks.speed.table import PLOTTED, STAGES
from patchbatch.descriptors.adapters import DenseDescriptor
from patchbatch.descriptors.cost import describing_flop, flops_per_patch, flops_per_pixel
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    monkeypatch.setattr(speed, "PRODUCT_CPU", 64)
    monkeypatch.setattr(speed, "WARM_UP_SIZE", (48, 32))


def subject(preset, size=(64, 48), limit=0.0):
    return speed_stages.Subject(PatchNet(PRESETS[preset]).eval(), size, limit)


def test_all_stages_of_a_small_pair(tmp_path, capsys):
    file = tmp_path / "speed.json"
    stages = ["describe", "match-exact", "match", "interpolate", "refine", "total"]
    words = ["speed", "--only", *stages, "--size", "64x48", "--repeats", "1", "--json", str(file)]
    assert main(words) == 0
    report = json.loads(file.read_text())
    assert [row["stage"] for row in report["rows"]] == stages
    assert set(report["peak-GFLOPs"]) == {"float32", "bfloat16"}
    assert report["environment"]["threads"] >= 1
    for row in report["rows"]:
        assert (row["model"], row["size"], row["part"]) == ("compact", [64, 48], 1)
        assert row["seconds"] > 0
        known = row["stage"] in ("describe", "match-exact")
        assert (row["share-of-peak"] is not None) == ("share-by-processor-time" in row) == known
    assert capsys.readouterr().out.count("\n") == 2 + len(stages)


def test_work_over_the_limit_is_a_strip():
    few = subject("accurate", limit=6e10)  # a bit over 1400 patches of 42 MFLOP
    work = speed_stages.describe_work(few)
    # 16 rows, and their context at half and quarter size; 17 rows would be 1456.
    patches = 64 * 16 + 32 * 8 + 16 * 4
    assert work.flop == patches * flops_per_patch(PRESETS["accurate"])
    assert work.part == pytest.approx(patches / (64 * 48 + 32 * 24 + 16 * 12))
    exact = speed_stages.exact_work(subject("compact", limit=2 * (64 * 12) ** 2 * 64))
    assert exact.part == pytest.approx((12 / 48) ** 2)
    assert exact.flop == 2 * (64 * 12) ** 2 * 64


def test_a_descriptor_whose_arithmetic_nobody_knows_is_timed_whole():
    grey = DenseDescriptor("grey", lambda image: image[..., None], 1, 0)
    unknown = speed_stages.Subject(grey, (64, 48), 1.0)
    work = speed_stages.describe_work(unknown)
    assert (work.flop, work.part) == (None, 1.0)
    assert speed_stages.refusal(unknown, "total") is None
    work.run()


def test_settings_and_matcher_decide_what_is_timed(tmp_path):
    file, own = tmp_path / "speed.json", tmp_path / "own.toml"
    own.write_text("[refinement]\nouter_iterations = 1\n")
    words = [
        "--only",
        "match",
        "--size",
        "48x32",
        "--repeats",
        "1",
        "--matcher",
        "exact",
        "--settings",
        str(own),
    ]
    assert main(["speed", *words, "--json", str(file)]) == 0
    settings = json.loads(file.read_text())["environment"]["flow-settings"]
    assert (settings["matching"]["method"], settings["refinement"]["outer_iterations"]) == ("exact", 1)


def test_arithmetic_counts_context_and_joining():
    config = PRESETS["compact"]
    pixels = 64 * 48 + 32 * 24 + 16 * 12
    joining = 2 * 64 * 48 * (192 * 80 + 80 * 64)
    flop = describing_flop(config, (48, 64), 1)
    assert flop == pixels * flops_per_pixel(config) + joining
    assert config.dimension == 64
    assert PRESETS["fast"].dimension == 3 * 512


def test_refusals_name_the_reason(monkeypatch):
    reason = speed_stages.refusal(subject("accurate", limit=1e9), "match")
    assert "over the limit" in reason
    assert speed_stages.refusal(subject("accurate", limit=1e9), "describe") is None
    assert speed_stages.refusal(subject("compact"), "total") is None
    monkeypatch.setattr(speed_stages, "free_mb", lambda device: 1.0)
    assert "free are 1 MB" in speed_stages.refusal(subject("compact"), "total")
    row = speed._row(STAGES["total"], "compact", subject("compact"), 1, {})
    assert row["seconds"] is None
    assert "refused: the descriptors take" in speed.format_table([row])


def test_memory_is_what_the_run_adds():
    extra = speed.extra_mb(lambda: torch.ones(64 * 2**20, dtype=torch.uint8), torch.device("cpu"))
    if extra is None:
        pytest.skip("the system does not tell")
    assert 60 < extra < 80
    assert speed_stages.free_mb(torch.device("cpu")) > 0


def test_joint_bayesian_rows_come_along(monkeypatch, tmp_path, capsys):
    module = types.ModuleType("benchmarks.speed.joint_bayesian")
    module.measure = lambda repeats: [
        {"stage": "jb all pairs", "size": None, "pairs-per-second": 5.0 * repeats}
    ]
    monkeypatch.setitem(sys.modules, "benchmarks.speed.joint_bayesian", module)
    file = tmp_path / "jb.json"
    assert main(["speed", "--only", "jb", "--repeats", "2", "--json", str(file)]) == 0
    expected = {"stage": "jb all pairs", "size": None, "pairs-per-second": 10.0}
    assert json.loads(file.read_text())["rows"] == [expected]
    assert "pairs-per-second 10" in capsys.readouterr().out


def test_picture_of_time_and_memory(tmp_path):
    pytest.importorskip("matplotlib")
    common = {"stage": PLOTTED.name, "model": "compact"}
    rows = [common | {"size": [1000 * n, 1000], "seconds": 2.0 * n, "extra-MB": 100.0} for n in (1, 2, 4)]
    rows.append(common | {"size": [9000, 1000], "seconds": None, "extra-MB": None})
    draw(rows, tmp_path / "speed.svg")
    assert "</svg>" in (tmp_path / "speed.svg").read_text()
    for file, some, message in (("speed.svg", rows[2:], "two sizes"), ("speed.nothing", rows, "cannot be")):
        with pytest.raises(ValueError, match=message):
            draw(some, tmp_path / file)


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--repeats", "0"], 1), (["--limit", "-1"], 1), (["--json", "no/such/folder.json"], 1),
     (["--size", "31x64"], 2), (["--size", "x"], 2), (["--only", "nothing"], 2)],
)  # fmt: skip
def test_wrong_arguments_are_one_line(words, status, capsys):
    try:
        assert main(["speed", *words]) == status
    except SystemExit as error:
        assert error.code == status
    assert capsys.readouterr().err.strip()
