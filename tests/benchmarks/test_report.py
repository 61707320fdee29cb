"""Tables in Markdown, and JSON files."""

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks.report import check_plot, markdown, number, require_matplotlib, significant, write_json
from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import plain


def test_columns_are_aligned_words_left_and_figures_right() -> None:
    table = markdown(["a", "longer", "n"], [["word", "x", number(1.5, 2)], ["", "y|z", 10]], labels=2)
    assert table.splitlines() == [
        "| a    | longer |    n |",
        "| ---- | ------ | ---: |",
        "| word | x      | 1.50 |",
        "|      | y\\|z   |   10 |",
    ]


def test_a_heading_stands_above_and_a_table_may_be_empty() -> None:
    assert markdown(["a", "b"], [], heading="what") == "what\n\n| a   |   b |\n| --- | --: |"


def test_nothing_is_an_empty_cell() -> None:
    assert (number(None, 2), significant(None), number(0.0, 1)) == ("", "", "0.0")
    assert markdown(["name", "b"], [["x", None]]).splitlines()[-1] == "| x    |     |"
    assert significant(0.000123456) == "0.000123"


def test_infinite_numbers_survive_json(tmp_path: Path) -> None:
    settings = {"far": math.inf, "parts": ({"near": -math.inf}, 1.5, None, True), "name": "inf"}
    write_json(tmp_path / "r.json", plain(settings))
    read = json.loads((tmp_path / "r.json").read_text())
    assert read == {"far": "inf", "parts": [{"near": "-inf"}, 1.5, None, True], "name": "inf"}


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PatchBatchError, match="--figure needs matplotlib: pip install"):
        require_matplotlib("--figure")


def test_a_picture_needs_a_suffix_that_can_be_written() -> None:
    pytest.importorskip("matplotlib")
    check_plot("--plot", None)
    check_plot("--plot", "roc.SVG")
    with pytest.raises(PatchBatchError, match=r"roc.txt has no suffix .* use .png, .svg or .pdf"):
        check_plot("--plot", "roc.txt")
