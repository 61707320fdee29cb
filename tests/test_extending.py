"""`docs/extending.md` as printed: every recipe is one new file, one entry, and a command that then works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flow.synthetic import demo_scene
from patchbatch.data import read_flow, write_flow, write_image

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
RECIPES = ["A descriptor network", "A matcher", "An estimator", "A loss", "A data set"]
NEW = re.compile(r"^`([\w/]+\.py)`, new:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^`([\w/]+\.py)`, into `(\w+)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)
NAMES = {"patchbatch-flow": "-m flow.cli", "python": ""}


def test_the_page_has_the_recipes_and_nothing_that_is_not_run():
    assert [title for title in SECTIONS if title.startswith(("A ", "An "))] == RECIPES
    for title in RECIPES:
        blocks = SECTIONS[title].count("```") // 2
        assert blocks == len(NEW.findall(SECTIONS[title])) + len(ENTRY.findall(SECTIONS[title])) + 1


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_touches_at_most_two_files(title):
    assert len({name for name, *_ in ENTRY.findall(SECTIONS[title])}) <= 2
    for name, *_ in ENTRY.findall(SECTIONS[title]):
        assert (ROOT / name).exists()
    for name, _ in NEW.findall(SECTIONS[title]):
        assert not (ROOT / name).exists()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of the code with all recipes followed, compiled loops included."""
    copy = tmp_path_factory.mktemp("copy")
    left_out = shutil.ignore_patterns("results", "fast.safetensors", "accurate.safetensors")
    for package in ("patchbatch", "flow", "benchmarks"):
        shutil.copytree(ROOT / package, copy / package, ignore=left_out)
    for title in RECIPES:
        for name, code in NEW.findall(SECTIONS[title]):
            (copy / name).write_text(code)
        for name, table, entry in ENTRY.findall(SECTIONS[title]):
            follow(copy / name, table, entry)
    return copy


def follow(file, table, entry):
    """Put an entry at the head of a table."""
    text = file.read_text()
    opened = re.search(rf"^{table}\b[^\n]*= Table\(\s*\"[^\"]*\",\s*\[\n", text, re.MULTILINE)
    assert opened, f"no {table} in {file}"
    file.write_text(text[: opened.end()] + entry + text[opened.end() :])


@pytest.fixture
def folder(tmp_path):
    """Return a folder with frames, photographs and a data set under the names of the page."""
    scene = demo_scene(64, 80)
    (tmp_path / "pairs").mkdir()
    for place in ("", "pairs/scene_"):
        first, second = ("a.png", "b.png") if not place else (f"{place}1.png", f"{place}2.png")
        write_image(tmp_path / first, scene.image1)
        write_image(tmp_path / second, scene.image2)
    write_flow(tmp_path / "pairs" / "scene.flo", scene.flow)
    (tmp_path / "photos").mkdir()
    for number in range(6):
        write_image(tmp_path / "photos" / f"{number}.png", demo_scene(240, 280, seed=number).image1)
    return tmp_path


def run(line, copy, folder):
    """Run a line of the page in a shell, with the copy in place of the package."""
    program, _, words = line.partition(" ")
    command = f"{sys.executable} {NAMES[program]} {words}"
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(  # noqa: S602 - the lines of our own page
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works_as_printed(title, copy, folder):
    before = set(folder.rglob("*"))
    said = [run(line, copy, folder) for line in COMMAND.findall(SECTIONS[title])]
    assert said
    made = {path.name for path in set(folder.rglob("*")) - before}
    if title in ("A descriptor network", "A matcher", "An estimator"):
        flow, valid = read_flow(folder / "a_flow.flo")
        assert valid.all() and flow.shape == (64, 80, 2)
    elif title == "A loss":
        assert {"compact.safetensors", "settings.json"} <= made
    else:
        assert "| patchbatch" in said[-1] and "| zero" in said[-1]
