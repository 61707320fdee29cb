"""What tables show: the columns of the papers, published rows, three formats, CSV."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_trees import make_chairs

from benchmarks.__main__ import main
from benchmarks.flow.printing.columns import COLUMNS, figures_shown
from benchmarks.flow.printing.forms import FORMATS, Shown, as_latex, as_markdown, as_text
from benchmarks.flow.report import format_table, shown_table
from benchmarks.metrics import score, summarise
from patchbatch.data.datasets.pairs import Truth
from patchbatch.data.datasets.table import DATASETS

RESULTS = Path(__file__).resolve().parents[4] / "benchmarks" / "results"


def row_of(dataset: str, density: float = 100.0, stage: str = "final") -> dict[str, Any]:
    """Return a row with every figure that the data set can have: of a flow 2 px off a truth of 5 px."""
    size = (6, 8)
    truth = np.zeros((*size, 2), np.float32)
    truth[..., 0] = 5
    half = np.zeros(size, bool)
    half[:, 4:] = True
    everywhere = np.ones(size, bool)
    every = Truth(truth, everywhere, noc=half, foreground=half, occluded=half)
    figures = summarise([score(DATASETS[dataset].judged_as, every, truth + np.float32([2, 0]))])
    del figures["density"]
    return {
        "method": "made", "model": None, "stage": stage, "pairs": 3, "density": density, "metrics": figures,
        "seconds": {"total": 12.34},
    }  # fmt: skip


PAPERS = {
    "kitti2015": ["Fl-bg", "Fl-fg", "Fl-all"],
    "kitti2012": ["Out-Noc", "Out-All", "Avg-Noc", "Avg-All"],
    "sintel-final": ["EPE all", "EPE matched", "EPE unmatched", "d0-10", "s0-10"],
    "middlebury": ["AAE", "EPE", "R1"],
    "chairs": ["EPE"],
    "middlebury_stereo": ["EPE", "Fl-all"],
}


@pytest.mark.parametrize("dataset", PAPERS)
def test_the_columns_are_those_of_the_papers(dataset: str) -> None:
    shown = shown_table(dataset, [row_of(dataset)])
    assert list(shown.header) == ["method", "model", "stage", "pairs", *PAPERS[dataset], "seconds"]
    cells = dict(zip(shown.header, shown.rows[0], strict=True))
    assert cells["seconds"] == "12.3"
    exact = {"EPE": "2.000", "EPE all": "2.000", "Avg-Noc": "2.000", "R1": "100.00", "Out-Noc": "0.00"}
    assert {name: cells[name] for name in exact if name in cells} == {
        name: value for name, value in exact.items() if name in cells
    }


def test_all_columns_are_all_figures_and_the_density() -> None:
    row = row_of("sintel-clean")
    shown = shown_table("sintel-clean", [row], "all")
    assert set(shown.header) == {"method", "model", "stage", "pairs", "density", "seconds", *row["metrics"]}
    assert shown.header[5] == "EPE-pooled"


def test_every_data_set_leads_by_a_figure_that_it_shows() -> None:
    for name, dataset in DATASETS.items():
        assert dataset.lead in dataset.figures
        assert dataset.lead in row_of(name)["metrics"]
        assert figures_shown(name, [row_of(name)])


def test_sparse_rows_say_that_holes_were_filled() -> None:
    rows = [row_of("kitti2015", 8.4, "matches"), row_of("kitti2015")]
    stages = [cells[2] for cells in shown_table("kitti2015", rows).rows]
    assert stages == ["matches (8.4 %, holes filled)", "final"]


@pytest.mark.parametrize(
    ("dataset", "first", "last"),
    [
        ("sintel-clean", ["NeuFlow v2 (C+T)", "1.264", ""], ["FastFlowNet (C+T)", "2.873", ""]),
        ("kitti2012", ["PatchBatch-ACCRTE-PS71", "5.29", "60.5"], ["DiscreteFlow", "6.23", "180.0"]),
        ("kitti2015", ["PatchBatch-ACCURATE", "21.69", "50.5"], ["FastFlowNet (C+T)", "33.27", ""]),
        ("sintel-final", ["FlowFields", "5.810", ""], ["FastFlowNet (C+T)", "4.194", ""]),
    ],
)
def test_published_rows_stand_below_and_say_what_they_are(
    dataset: str, first: list[str], last: list[str]
) -> None:
    shown = shown_table(dataset, [row_of(dataset)], published=True)
    at = shown.header.index({"kitti2012": "Out-Noc", "kitti2015": "Fl-all"}.get(dataset, "EPE all"))
    rows = [[row[0], row[at], row[-1]] for row in shown.rows[1:]]
    assert (rows[0], rows[-1]) == (first, last)
    counts = Counter(row[3] for row in shown.rows[1:])
    assert (
        counts
        == {
            "kitti2012": {"test set": 10},
            "kitti2015": {"test set": 10, "training set": 8},
            "sintel-final": {"test set": 16, "training set": 8},
            "sintel-clean": {"training set": 8},
        }[dataset]
    )
    notes = " ".join(shown.notes)
    assert ("published figures of 2015-2016" in notes) == ("test set" in counts)
    assert ("measured by ptlflow" in notes) == ("training set" in counts)
    tested = [row[at] for row in shown.rows[1:] if row[3] == "test set"]
    assert tested == sorted(tested, key=float)  # as in the paper


def test_three_formats_of_one_table() -> None:
    shown = Shown(["method", "Fl-all"], [["a_b", "1.00"], ["c & d", "20.00"]], 1, ["50 % of it"])
    assert as_markdown(shown).splitlines()[2] == "| a_b    |   1.00 |"
    assert as_latex(shown).splitlines()[4:6] == [r"a\_b & 1.00 \\", r"c \& d & 20.00 \\"]
    assert as_latex(shown).endswith(r"50 \% of it")
    assert as_text(shown).splitlines()[:4] == [
        "method  Fl-all",
        "--------------",
        "a_b       1.00",
        "c & d    20.00",
    ]
    for form in FORMATS:
        assert format_table("chairs", [row_of("chairs")], form=form)


def test_the_options_reach_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chairs, file = make_chairs(tmp_path, 2), tmp_path / "figures.csv"
    words = ["flow", "chairs", str(chairs), "--method", "zero", "dis-fast", "--csv", str(file)]
    assert main([*words, "--columns", "all", "--format", "terminal", "--json", str(tmp_path / "a.json")]) == 0
    assert "Fl-all-per-image" in capsys.readouterr().out.splitlines()[0]
    with open(file, newline="", encoding="utf-8") as opened:
        lines = list(csv.DictReader(opened))
    assert [(line["method"], line["pair"]) for line in lines] == [
        ("zero", "all"), ("dis-fast", "all"), ("zero", "00001"), ("dis-fast", "00001"), ("zero", "00002"),
        ("dis-fast", "00002"),
    ]  # fmt: skip
    report = json.loads((tmp_path / "a.json").read_text())
    assert [float(line["EPE"]) for line in lines] == [
        row["metrics"]["EPE"] for row in report["rows"] + report["per_pair"]
    ]
    assert float(lines[1]["seconds total"]) == report["rows"][1]["seconds"]["total"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--published"], "--published has rows for kitti2012, kitti2015, sintel-final, sintel-clean only"),
        (["--csv", "a.txt"], "a.txt: give --csv a .csv file"),
        (["--csv", "nowhere/a.csv"], "give --csv a .csv file in a folder that exists"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["flow", "chairs", str(make_chairs(tmp_path, 1)), "--method", "zero", *words]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["kitti2015", "kitti2012", "sintel-final", "sintel-clean", "middlebury", "chairs"]
)
def test_committed_results_can_be_shown(name: str) -> None:
    report = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for columns in COLUMNS:
        table = format_table(report["dataset"], report["rows"], columns=columns)
        assert table.count("\n") == len(report["rows"]) + 1
