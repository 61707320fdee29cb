"""One command over several data sets: files, names of folders, damaged pairs, going on, no pictures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_trees import HEIGHTS, MOTION, WIDTH, make_training

from benchmarks.__main__ import main
from benchmarks.flow.names import result_names
from patchbatch.data.datasets.pairs import find_pairs
from patchbatch.data.formats import write_flow

DATASETS = ("kitti2015", "middlebury")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make two data sets, and fields of another program that are 5 px off in the one and 1 in the other."""
    for dataset, off in zip(DATASETS, (5, 1), strict=True):
        make_training(tmp_path / "data", dataset)
        for number, pair in enumerate(find_pairs(dataset, tmp_path / "data")):
            file = tmp_path / "fields" / dataset / f"{result_names(pair)[0]}.flo"
            file.parent.mkdir(parents=True, exist_ok=True)
            flow = np.full((HEIGHTS[number], WIDTH, 2), MOTION, np.float32)
            write_flow(file, flow + np.float32([off, 0]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ["suite", "data", "out", "--method", "zero", "other=fields/{dataset}", "--report-pictures", "none"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_all_data_sets_are_run_and_everything_is_written(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(WORDS) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert cells(header) == ["method", "model", "kitti2015 (2): Fl-all", "middlebury (2): EPE"]
    assert [cells(row) for row in rows] == [
        ["zero", "", "100.00", "10.000"],
        ["other", "", "100.00", "1.000"],
    ]
    summary = (data / "out" / "summary.md").read_text()
    assert all(f"\n## {dataset}\n" in summary for dataset in DATASETS)
    assert rows[1] in summary and "seconds" in summary
    for dataset in DATASETS:
        report = json.loads((data / "out" / f"{dataset}.json").read_text())
        assert [(row["method"], row["pairs"]) for row in report["rows"]] == [("zero", 2), ("other", 2)]
        page = (data / "out" / dataset / "index.html").read_text()
        assert "Cumulative error" in page and "Seconds by stage" in page
    charts = {file.name for file in (data / "out" / "charts").iterdir()}
    assert {"kitti2015-cumulative.svg", "middlebury-length.svg", "middlebury-seconds.svg"} <= charts


def test_pages_without_pictures_have_none(data: Path) -> None:
    assert main(WORDS) == 0
    files = [file for file in (data / "out").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".json", ".jsonl", ".html", ".svg", ".md"}
    page = (data / "out" / "kitti2015" / "index.html").read_text()
    assert "<img" not in page and "<dialog" not in page and "#pair=" not in page
    assert "no record here" not in page and 'data-epe="5.0"' in page
    # With pictures after all, what was kept is drawn; without them again, none are shown.
    assert main([*WORDS[:-1], "all"]) == 0
    drawn = (data / "out" / "kitti2015" / "index.html").read_text()
    links = re.findall(r'src="(pairs/[^"]*)"', drawn)
    assert len(links) == 2 * 3 and all((data / "out" / "kitti2015" / link).is_file() for link in links)
    assert main(WORDS) == 0
    assert "<img" not in (data / "out" / "kitti2015" / "index.html").read_text()


def test_times_can_be_left_to_the_json(data: Path) -> None:
    assert main([*WORDS, "--no-times"]) == 0
    assert "seconds" not in (data / "out" / "summary.md").read_text()
    page = (data / "out" / "kitti2015" / "index.html").read_text()
    assert "Seconds by stage" not in page and ">seconds<" not in page
    assert not list((data / "out" / "charts").glob("*seconds*"))
    report = json.loads((data / "out" / "kitti2015.json").read_text())
    assert report["rows"][0]["seconds"]["total"] is not None


def test_the_summary_has_what_earlier_commands_left(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(WORDS) == 0
    table = capsys.readouterr().out
    (data / "out" / "summary.md").unlink()
    assert main([*WORDS, "--dataset", "middlebury"]) == 0
    captured = capsys.readouterr()
    assert captured.out == table
    assert "2 of 2 pairs are there from before" in captured.err
    assert "## kitti2015" in (data / "out" / "summary.md").read_text()


def test_damage_is_told_and_the_rest_goes_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for pair in find_pairs("kitti2015", data / "data"):
        pair.flow.write_bytes(b"damaged")
    (data / "fields" / "middlebury" / "Scene1" / "flow10.flo").unlink()
    assert main(WORDS) == 1
    captured = capsys.readouterr()
    assert cells(captured.out.splitlines()[0]) == ["method", "model", "middlebury (2): EPE"]
    assert cells(captured.out.splitlines()[-1]) == ["other", "", "1.000 (1 pair)"]
    told = captured.err.splitlines()[-2:]
    assert told[0].startswith("failed: kitti2015: no pair could be scored; the first: kitti2015 000001: ")
    assert told[1].startswith("failed: other on middlebury Scene1: no result in fields/middlebury")
    assert "- failed: other on middlebury Scene1" in (data / "out" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["suite", "nowhere", "out"], "no folder nowhere"),
        (["suite", "data", "out", "--method", "x=none/{dataset}"], "x=none/kitti2015: give NAME=FOLDER"),
        (["suite", "data", "out", "--method", "zeros"], "did you mean 'zero'"),
        (["suite", "data", "data", "--method", "zero"], "which is of no report"),
        (["suite", "data", "file", "--method", "zero"], "file"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (data / "file").write_text("")
    assert main(words) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith("error: ") and said.count("\n") == 1


def test_charts_are_files_that_say_all(data: Path) -> None:
    assert main(WORDS) == 0
    text = (data / "out" / "charts" / "middlebury-cumulative.svg").read_text()
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    for words in (
        "Cumulative error, middlebury",
        "% of pixels",
        "error of at most … px",
        ">zero<",
        ">other<",
    ):
        assert words in text
    assert text.count("<polyline") == 2 and "prefers-color-scheme: dark" in text
