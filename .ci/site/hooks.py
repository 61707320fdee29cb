"""What the site has beyond the pages of docs/: README as its start, files that pages link to, the API.

Pages are written to be read in the repository, so their links are paths in it. Every page and every file that
one of them names gets a place on the site, and the links are turned to it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
NAME = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)
PACKAGES = ("patchbatch", "flow")


def place(path: str) -> str:
    """Return where a file of the repository stands on the site."""
    if path == "README.md":
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def linked(path: str) -> list[str]:
    """Return the files of the repository that a page of it links to."""
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = {
        posixpath.normpath(posixpath.join(posixpath.dirname(path), hit[2])) for hit in LINK.finditer(text)
    }
    return sorted(target for target in targets if (ROOT / target).is_file())


def pages() -> list[str]:
    """Return README, the pages of docs/, and all files that can be reached from them by links."""
    written = [f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")]
    found: set[str] = set()
    ahead = ["README.md", "CHANGELOG.md", *written]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += linked(path) if path.endswith(".md") else []
    return sorted(found)


def public_names(package: str) -> dict[str, list[str]]:
    """Return by package, itself and those inside it, the full names of what it exports.

    What it passes on from another package is left to that one's page, where that has it.
    """
    names = {}
    for stub in sorted((ROOT / package).rglob("__init__.pyi")):
        module = stub.parent.relative_to(ROOT).as_posix().replace("/", ".")
        exported = NAME.findall(stub.read_text(encoding="utf-8"))
        full = [
            f"{module if source.startswith('.') else ''}{source}.{name}"
            for source, name in exported if source != "."
        ]  # fmt: skip
        elsewhere = {one for other in PACKAGES if other != package for one in own_names(other)}
        names[module] = [one for one in full if one.startswith(f"{package}.") or one not in elsewhere]
    return names


def own_names(package: str) -> set[str]:
    """Return the full names of what a package exports of its own."""
    found = set()
    for stub in (ROOT / package).rglob("__init__.pyi"):
        module = stub.parent.relative_to(ROOT).as_posix().replace("/", ".")
        exported = NAME.findall(stub.read_text(encoding="utf-8"))
        found |= {f"{module}{source}.{name}" for source, name in exported if source.startswith(".")}
    return found


def reference(package: str) -> str:
    """Return the page of a package's public names."""
    parts = [f"# {package}\n"]
    for module, names in public_names(package).items():
        parts.append(f"## To import from `{module}`\n")
        parts += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(parts)


def on_files(files: Files, config: object) -> Files:
    """Add what does not lie in docs/."""
    for path in pages():
        if not path.startswith("docs/"):
            files.append(File.generated(config, place(path), abs_src_path=str(ROOT / path)))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=reference(package)))
    return files


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Turn links to files of the repository into links of the site."""
    uri = page.file.src_uri
    source = next((path for path in pages() if place(path) == uri), None)
    if source is None:
        return markdown

    def turned(hit: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), hit[2]))
        if not (ROOT / target).is_file():
            return hit[0]
        return (
            f"{hit[1]}{posixpath.relpath(place(target), posixpath.dirname(uri) or '.')}{hit[3] or ''}{hit[4]}"
        )

    return LINK.sub(turned, markdown)
