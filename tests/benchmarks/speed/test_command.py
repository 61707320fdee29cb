"""Rows of the speed benchmark: all stages on a small pair, strips, refusals, the picture."""

import json

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.speed import joint_bayesian
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


@pytest.mark.slow
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


def test_free_memory_is_read_in_mb(monkeypatch, tmp_path):
    file = tmp_path / "meminfo"
    monkeypatch.setattr(speed_stages, "MEMINFO", file)
    assert speed_stages.free_mb(torch.device("cpu")) == float("inf")
    file.write_text("MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:  2048 kB\n")
    assert speed_stages.free_mb(torch.device("cpu")) == 2


def test_figures_follow_from_the_medians_of_the_seconds(monkeypatch):
    """A quarter of the work is run; the machine does 64^3 products, 2 FLOP each, in 2 s by the wall clock."""
    limit = speed.Limit(torch.float32, torch.device("cpu"))
    times = {
        limit._product: iter([speed.Time(2, 8), speed.Time(90, 90), speed.Time(1, 4)]),
        torch.tensor: iter([speed.Time(3, 6), speed.Time(1, 1), speed.Time(70, 50)]),
    }
    monkeypatch.setattr(speed, "timed", lambda run, device: next(times[run]))
    work = speed_stages.Work(torch.tensor, flop=2 * 64**3 * 0.75, part=0.25)
    monkeypatch.setattr(speed, "extra_mb", lambda run, device: 7.0)
    figures = speed._figures(work, subject("compact"), 3, {torch.float32: limit})
    # 0.75 products in 3 s beside one in 2 s, by the processor's clock in 6 s beside 8 s.
    expected = {
        "seconds": 12,
        "share-of-peak": 0.5,
        "extra-MB": 7,
        "part": 0.25,
        "share-by-processor-time": 1,
    }
    assert figures == pytest.approx(expected)
    assert limit.rates == pytest.approx([2 * 64**3 / seconds / 1e9 for seconds in (2, 90, 1)])
    unknown = speed_stages.Work(torch.tensor)
    times[limit._product], times[torch.tensor] = iter([speed.Time(2, 8)]), iter([speed.Time(3, 6)])
    assert speed._figures(unknown, subject("compact"), 1, {torch.float32: limit})["share-of-peak"] is None


def test_joint_bayesian_rows_come_along(monkeypatch, tmp_path, capsys):
    asked, measure = [], joint_bayesian.measure
    monkeypatch.setattr(joint_bayesian, "FACES", 50)
    monkeypatch.setattr(joint_bayesian, "PAIRS", 100)
    monkeypatch.setattr(joint_bayesian, "measure", lambda repeats: asked.append(repeats) or measure(repeats))
    file = tmp_path / "jb.json"
    assert main(["speed", "--only", "jb", "--repeats", "2", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert asked == [2]
    assert [row["stage"] for row in rows] == ["jb", "jb all pairs"]
    printed = capsys.readouterr().out.splitlines()[2:]
    for row, line in zip(rows, printed, strict=True):
        assert f"pairs-per-second {row['pairs-per-second']:.3g}" in line


def test_picture_of_time_and_memory(tmp_path, monkeypatch):
    """Each figure's points and the line through them; what was refused is left out."""
    figure = pytest.importorskip("matplotlib.figure")
    drawn = []
    monkeypatch.setattr(
        figure, "Figure", lambda make=figure.Figure, **how: drawn.append(make(**how)) or drawn[-1]
    )
    common = {"stage": PLOTTED.name, "model": "compact"}
    rows = [common | {"size": [1000 * n, 1000], "seconds": 2.0 * n + 1, "extra-MB": 100.0} for n in (1, 2, 4)]
    rows.append(common | {"size": [9000, 1000], "seconds": None, "extra-MB": None})
    draw(rows, tmp_path / "speed.svg")
    assert "</svg>" in (tmp_path / "speed.svg").read_text()
    for axes, values, label in zip(
        drawn[0].axes, ([3, 5, 9], [100] * 3), ("1 + 2 per megapixel", "100 + "), strict=True
    ):
        points, line = axes.lines
        np.testing.assert_allclose(points.get_xydata(), np.column_stack([[1, 2, 4], values]))
        np.testing.assert_allclose(line.get_ydata(), values)
        assert line.get_label().startswith(label)
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
