"""The comparison of losses: what is trained, chosen and judged, and that nothing is done twice."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.losses import study
from benchmarks.losses.settings import NETWORK, LossesBenchmark, Run
from benchmarks.losses.table import TRIED, Budget
from patchbatch.descriptors.losses.table import LOSSES, options_for
from patchbatch.errors import PatchBatchError

TINY = Budget(steps=2, longer=2, seeds=2, scenes=4, crop=120, batch=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        noise = np.random.default_rng(number).random((200, 220, 3), np.float32)
        picture = cv2.GaussianBlur(noise, (0, 0), 2)
        picture = (picture - picture.min()) / np.ptp(picture)
        cv2.imwrite(str(folder / f"{number}.png"), (255 * picture).astype(np.uint8))
    return folder


def test_every_loss_is_tried_with_options_it_has():
    assert set(TRIED) == set(LOSSES)
    assert NETWORK.ends_in_unit_length
    for loss, (option, values) in TRIED.items():
        assert len(set(values)) >= 3
        if loss != "softmax":
            for value in values:  # none of them is refused, or acts never
                assert options_for(loss, {option: value}, unit_length=True)[option] == value


def test_runs_of_a_loss():
    benchmark = LossesBenchmark("root", (), None, losses=("cent",), budget=TINY)
    trials = benchmark.trials()
    assert [one.value for one in trials] == list(TRIED["cent"][1])
    assert {(one.seed, one.steps) for one in trials} == {(0, 2)}
    runs = benchmark.runs(trials[1])
    assert [(one.seed, one.steps) for one in runs] == [(0, 2), (1, 2), (0, 4)]
    assert {one.value for one in runs} == {trials[1].value}
    assert (
        len({one.name for one in (*trials, *runs)}) == len(trials) + 2
    )  # seed 0 at the short budget is a trial already


def test_the_best_option_is_judged(monkeypatch, tmp_path):
    """The trial with the highest held-out score goes on, and the flow is that of seed 0 alone."""

    class Told(study.Study):
        def __init__(self, benchmark):
            self.benchmark, self.device = benchmark, "cpu"

        def held_out(self, run):
            return {0.7: 10.0, 1.0: 30.0}.get(run.value, 5.0)

        def judged(self, run, flow):
            named = {"loss": run.loss, "margin": run.value, "seed": run.seed, "steps": run.steps}
            return [named | {"flow": flow, "raw-error": 5.0}]

    monkeypatch.setattr(study, "Study", Told)
    report = study.run(LossesBenchmark("root", (), tmp_path, losses=("cent", "drlim"), budget=TINY))
    assert [row["margin"] for row in report["rows"]] == 6 * [1.0]
    assert [row["flow"] for row in report["rows"]] == 2 * [True, False, True]
    tried = [value for loss in ("cent", "drlim") for value in TRIED[loss][1]]
    assert [trial["value"] for trial in report["trials"]] == tried
    assert [trial["held-out"] for trial in report["trials"]] == [
        {0.7: 10.0, 1.0: 30.0}.get(value, 5.0) for value in tried
    ]


@pytest.mark.slow
def test_what_is_trained_is_not_trained_again(photos, tmp_path, monkeypatch):
    benchmark = LossesBenchmark("root", (photos,), tmp_path, losses=("cent",), budget=TINY)
    one = Run("cent", "margin", 1.0, 0, 2)
    first = study.Study(benchmark).trained(one)
    monkeypatch.setattr(study, "Trainer", None)
    again = study.Study(benchmark).trained(one)
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), again.state_dict()[name].numpy())
    monkeypatch.undo()
    other = study.Study(benchmark).trained(replace(one, seed=1))
    assert not np.array_equal(other.convolutions[0].weight.detach(), first.convolutions[0].weight.detach())


def test_what_is_judged_is_not_judged_again(tmp_path, monkeypatch):
    """Unless other pairs, points or another commit are asked about, or the flow too."""
    judged = []

    class Told(study.Study):
        def _judge(self, run, flow):
            judged.append(flow)
            return [{"flow": flow}]

    monkeypatch.setattr(LossesBenchmark, "pairs", lambda self: [])
    run = Run("cent", "margin", 1.0, 0, 2)
    (tmp_path / run.name).mkdir()
    benchmark = LossesBenchmark("root", (tmp_path,), tmp_path, budget=TINY)
    told = Told.__new__(Told)
    told.benchmark = benchmark
    for flow in (False, False, True, True):
        assert told.judged(run, flow) == [{"flow": flow}]
    assert judged == [False, True]
    told.benchmark = replace(benchmark, points=10)
    told.judged(run, True)
    monkeypatch.setattr(study, "checkout_commit", lambda file: "another")
    told.judged(run, True)
    assert judged == [False, True, True, True]


def test_the_table_has_the_spread():
    row = {
        "loss": "cent",
        "option": "margin",
        "margin": 1.0,
        "dataset": "kitti2015",
        "near-miss": 1.0,
        "rank1@3px": 5.0,
    }
    rows = [
        row | {"seed": 0, "steps": 2, "raw-error": 10.0, "EPE": 3.0},
        row | {"seed": 1, "steps": 2, "raw-error": 14.0},
        row | {"seed": 0, "steps": 4, "raw-error": 8.0, "EPE": 2.0},
    ]
    text = study.format_tables({"rows": rows})
    assert f"12.00 ± {math.sqrt(8):.2f}" in text
    lines = [line for line in text.splitlines() if line.startswith("| cent")]
    assert [line.split("|")[-2].strip() for line in lines] == ["3.00", "2.00"]


@pytest.mark.slow
def test_the_command_from_end_to_end(photos, real_data, tmp_path, capsys):
    words = [
        "losses", str(real_data / "flow"), "--photos", str(photos), "--work", str(tmp_path / "work"),
        "--loss", "cent", "softmax", "--dataset", "middlebury", "--limit", "1", "--steps", "2",
        "--longer", "2", "--seeds", "2", "--scenes", "4", "--points", "50",
        "--json", str(tmp_path / "losses.json"), "--device", "cpu",
    ]  # fmt: skip
    assert main(words) == 0
    assert "raw-error" in capsys.readouterr().out
    report = json.loads((tmp_path / "losses.json").read_text())
    assert len(report["rows"]) == 6
    assert len(report["trials"]) == len(TRIED["cent"][1]) + len(TRIED["softmax"][1])
    keys = {"loss", "margin", "seed", "steps", "dataset", "raw-error", "near-miss", "rank1@3px"}
    assert all(keys <= set(row) for row in report["rows"])
    assert [("EPE" in row) for row in report["rows"]] == 2 * [True, False, True]


def test_networks_of_other_scenes_are_not_taken(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(LossesBenchmark, "pairs", lambda self: [])
    benchmark = LossesBenchmark("root", (photos,), tmp_path, budget=TINY)
    benchmark.check()
    replace(benchmark, losses=("cent",)).check()
    for other in (replace(TINY, scenes=5), replace(TINY, crop=130), replace(TINY, batch=3)):
        with pytest.raises(PatchBatchError, match="other scenes"):
            replace(benchmark, budget=other).check()
    with pytest.raises(PatchBatchError, match="other scenes"):
        replace(benchmark, streets=(photos,)).check()


def test_bad_input_is_one_line(photos, tmp_path):
    good = LossesBenchmark("nowhere", (photos,), tmp_path)
    with pytest.raises(PatchBatchError, match="nowhere"):
        good.check()
    with pytest.raises(PatchBatchError, match="no folder"):
        replace(good, photos=(tmp_path / "none",)).check()
    with pytest.raises(PatchBatchError, match="unknown loss"):
        replace(good, losses=("cent+",)).check()
