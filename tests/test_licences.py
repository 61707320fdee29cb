"""The page of licences names everything that the package needs, and every weights file that ships."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "licences.md").read_text()


def dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.match(r"[\w-]+", line).group() for line in project["dependencies"]]


def test_every_dependency_has_a_row_and_no_other():
    code = PAGE.split("## Weights")[0]
    assert re.findall(r"^\| (\w[\w-]*) \| (?!licence)", code, re.MULTILINE) == dependencies()


def test_rows_say_what_the_packages_say():
    for name in dependencies():
        about = metadata(name)
        stated = " ".join(
            [
                about.get("License-Expression") or "",
                about.get("License") or "",
                *about.get_all("Classifier", []),
            ]
        )
        row = re.search(rf"^\| {re.escape(name)} \| ([^|]*)\|", PAGE, re.MULTILINE).group(1)
        kind = re.match(r"[A-Z]+", row).group()  # BSD, MIT, MPL; Apache has small letters
        assert ("Apache" if row.startswith("Apache") else kind) in stated, (name, row, stated[:200])


def test_every_weights_file_has_a_row():
    shipped = {
        str(file.relative_to(ROOT))
        for package in ("patchbatch", "flow")
        for file in (ROOT / package).rglob("*.safetensors")
    }
    assert set(re.findall(r"`([\w/.-]+\.safetensors)`", PAGE)) == shipped


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
