"""The pages of the docs are what the tables say, and every setting of the pipeline is on them."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.tables.command import PAGES
from benchmarks.tables.settings import meanings
from flow.matching.search_settings import ExactMatcherSettings, PatchMatchMatcherSettings
from flow.settings import FlowSettings
from patchbatch.models import MODELS

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("page", PAGES)
def test_the_committed_page_is_the_commands(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", page]) == 0
    made = capsys.readouterr().out
    committed = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert committed == made, f"write it anew: python -m benchmarks tables {page} > docs/{page}.md"


def test_every_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tables", "settings"])
    shown = capsys.readouterr().out
    table = FlowSettings().to_table()
    for stage in ("matching", "interpolation", "refinement"):
        for key in table[stage]:
            assert key == "search" or f"| `{key}` " in shown
    rows = [line for line in shown.splitlines() if line.startswith("| `")]
    assert all(row.split("|")[-2].strip() for row in rows)


def test_what_a_base_explains_is_not_lost_to_see_there() -> None:
    for kind in (ExactMatcherSettings, PatchMatchMatcherSettings):
        assert not any(text.startswith("See `") for text in meanings(kind).values())
    assert "seeds" in meanings(ExactMatcherSettings)["step"]


def test_models_come_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tables"])
    lines = capsys.readouterr().out.splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[3:6]]
        for line in lines[8:14]
        if "|" in line
    }
    assert cells["`compact`"][:2] == ["62", "64"]
    assert {f"`{name}`" for name in MODELS} <= set(cells)


def test_the_pages_need_no_torch() -> None:
    program = (
        "import sys\nfrom benchmarks.__main__ import main\n"
        "[main(['tables', page]) for page in ('tables', 'settings')]\nprint('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("False\n")
