"""The whole command on made trees of every data set: results whose every figure is known beforehand."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_trees import HEIGHTS, MOTION, TRAINING, WIDTH, make_training

from benchmarks.__main__ import main
from benchmarks.flow.names import result_names
from patchbatch.data.datasets.pairs import find_pairs
from patchbatch.data.formats import write_flow

Result = tuple[np.ndarray, np.ndarray] | None
SHARES = ("Out-", "Fl-", "R0.5", "R1", "R2")


def run(
    tmp_path: Path, dataset: str, result: Callable[[int, np.ndarray, np.ndarray], Result], status: int = 0
) -> dict:
    """Score results made from (number of the pair, truth, valid); return the report."""
    root, folder = make_training(tmp_path / "data", dataset), tmp_path / "results"
    for number, pair in enumerate(find_pairs(dataset, root)):
        size = (HEIGHTS[number], WIDTH)
        made = result(number, np.full((*size, 2), MOTION, np.float32), np.ones(size, bool))
        if made is not None:
            file = folder / f"{result_names(pair)[0]}.flo"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_flow(file, *made)
    file = tmp_path / "report.json"
    words = ["--method", f"made={folder}", "--json", str(file)]
    assert main(["flow", dataset, str(root), *words]) == status
    return dict(json.loads(file.read_text()))


@pytest.mark.parametrize("dataset", TRAINING)
def test_a_constant_shift_is_the_error_everywhere(tmp_path: Path, dataset: str) -> None:
    report = run(tmp_path, dataset, lambda _, flow, valid: (flow + np.float32([3, 4]), valid))
    lengths = math.sqrt(1 + 6**2 + 8**2) * math.sqrt(1 + 9**2 + 12**2)
    angle = math.degrees(math.acos((1 + 6 * 9 + 8 * 12) / lengths))
    for row in (*report["rows"], *report["per_pair"]):
        assert row["density"] == 100
        for name, value in row["metrics"].items():
            expected = 100 if name.startswith(SHARES) else angle if name == "AAE" else 5
            if "-5px" in name:  # 5 px are not more than 5 px
                expected = 0
            assert value == pytest.approx(expected, abs=1e-5), name
    shown = {
        "kitti2015": {"Fl-bg", "Fl-fg", "Fl-all"},
        "kitti2012": {"Out-Noc", "Out-All", "Avg-Noc", "Avg-All"},
        "middlebury": {"AAE", "EPE", "R1"},
        "chairs": {"EPE-pooled"},
    }.get(dataset, {"EPE-pooled", "EPE-matched", "EPE-unmatched", "d0-10", "s10-40"})
    assert shown <= set(report["rows"][0]["metrics"])


@pytest.mark.parametrize("dataset", TRAINING)
def test_an_overwritten_row_counts_by_each_rule(tmp_path: Path, dataset: str) -> None:
    """The top row of the first pair, 10 of its 40 pixels, is 10 px off; the second pair, of 80, is right."""

    def overwritten(number: int, flow: np.ndarray, valid: np.ndarray) -> Result:
        flow[0, :, 1] += 10 * (number == 0)
        return flow, valid

    metrics = run(tmp_path, dataset, overwritten)["rows"][0]["metrics"]
    pooled, mean = 10 / 120, (10 / 40 + 0) / 2
    angle = math.degrees(math.acos((1 + 6 * 6 + 8 * 18) / math.sqrt(101 * (1 + 6**2 + 18**2))))
    expected = {
        "EPE": 10 * mean, "EPE-pooled": 10 * pooled, "Fl-all": 100 * pooled, "Fl-all-per-image": 100 * mean,
        "Fl-bg": 100 * pooled, "Fl-fg": 100 * pooled, "EPE-matched": 10 * pooled, "AAE": angle * mean,
        "EPE-unmatched": 10 * pooled, "s10-40": 10 * pooled, "d0-10": 10 * pooled, "Avg-All": 10 * mean,
        "Out-Noc": 100 * mean, "Fl-noc": 100 * pooled,
    }  # fmt: skip
    if dataset.startswith("kitti"):  # of the upper half it is 10 of 20
        expected |= {"Out-Noc": 25, "Avg-Noc": 2.5, "Fl-noc": 100 * 10 / 60}
    for name, value in metrics.items():  # every figure that there is
        one = "Out-Noc" if name.startswith("Out-Noc") else name
        otherwise = 100 * mean if name.startswith(("Out-All", "R0.5", "R1", "R2")) else None
        assert value == pytest.approx(expected.get(one, otherwise), abs=1e-5), name
    assert {"EPE", "EPE-pooled", "Fl-all", "Fl-all-per-image", "Out-All"} <= set(metrics)


@pytest.mark.parametrize("dataset", TRAINING)
def test_what_is_not_known_is_filled_and_said(
    tmp_path: Path, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest of the column is the truth, so that what fills the holes is right, too."""

    def with_holes(number: int, flow: np.ndarray, valid: np.ndarray) -> Result:
        if number == 0:
            flow[0] = np.nan
        return flow, valid

    row = run(tmp_path, dataset, with_holes)["rows"][0]
    assert row["density"] == (75 + 100) / 2
    assert {value for name, value in row["metrics"].items() if name != "AAE"} == {0}
    assert "| final (87.5 %, holes filled) |" in capsys.readouterr().out


@pytest.mark.parametrize("dataset", TRAINING)
def test_a_missing_result_is_a_line_and_the_rest_is_scored(
    tmp_path: Path, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(tmp_path, dataset, lambda number, flow, valid: (flow, valid) if number else None, status=1)
    (failed,) = report["failed"]
    assert report["rows"][0]["pairs"] == 1 and report["rows"][0]["metrics"]["EPE"] == 0
    said = capsys.readouterr().err
    assert f"failed: made on {dataset} {failed['pair']}: no result in" in said
    assert said.endswith("1 pair failed, see above; all others are scored\n")
