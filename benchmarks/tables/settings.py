"""The page of all settings of the flow pipeline, made from their classes; nothing here needs torch."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import markdown
from flow.completion.table import DENSE_METHODS
from flow.interpolation.table import ESTIMATORS
from flow.matching.settings import ConfidenceWeights, MatchingSettings
from flow.matching.table import MATCHERS
from flow.presets import PRESETS
from flow.refinement.table import REFINEMENTS
from flow.settings import flow_settings
from patchbatch.settings import Settings, rows_of
from patchbatch.tables import Table

HEAD = """\
# Settings

Every setting of the flow pipeline, as `FlowSettings` holds it, and as `--settings FILE.toml` and
`flow.settings.read_settings` read it. A file says only what differs from the preset; "none" stands for None,
`inf` for infinite. Made by `python -m benchmarks tables settings`.
"""
NAMED: Mapping[str, Table[Any]] = {
    "matching.method": MATCHERS,
    "interpolation.estimator": ESTIMATORS,
    "completion.method": DENSE_METHODS,
    "refinement.method": REFINEMENTS,
}


def page() -> str:
    """Return docs/settings.md."""
    presets = {name: flow_settings(name) for name in PRESETS}
    plain = MatchingSettings()
    sections = [_section("matching", {"default": plain}, left_out=("search",))]
    for name, matcher in MATCHERS.items():
        title = f'matching.search` with `method = "{name}"'
        used: dict[str, Any] = {
            preset: flow_settings(preset, matcher=name).matching.search for preset in presets
        }
        differ = len({str(search) for search in used.values()}) > 1
        searches = used if differ else {"default": matcher.load_settings()()}
        sections.append(_section(title, searches))
    sections.append(_section("matching.confidence", {"default": ConfidenceWeights()}))
    for stage in ("interpolation", "completion", "refinement"):
        sections.append(_section(stage, {name: getattr(one, stage) for name, one in presets.items()}))
    return HEAD + "".join(sections)


def _section(title: str, values: Mapping[str, Settings], left_out: Sequence[str] = ()) -> str:
    """Return the table of a class of settings: a column of values for each of its instances."""
    kind = type(next(iter(values.values())))
    said, tables = meanings(kind), [one.to_table() for one in values.values()]
    rows = [
        [f"`{key}`", *(_shown(table[key]) for table in tables), _names(title, key) or limits, unit, said[key]]
        for key, (limits, unit) in _limits(kind).items()
        if key not in left_out
    ]
    header = ["key", *values, "what it may be", "unit", "meaning"]
    return f"\n## `{title}`\n\n{markdown(header, rows, labels=len(header))}\n"


def _names(title: str, key: str) -> str:
    """Return the names that a setting may hold, if it holds a name of a table."""
    table = NAMED.get(f"{title}.{key}")
    return "" if table is None else "one of " + ", ".join(table)


def _limits(kind: type[Settings]) -> dict[str, tuple[str, str]]:
    """Return what each setting of a class may be, and its unit."""
    return {key.partition(".")[0]: (limits, unit) for key, _, limits, unit in rows_of(kind)}


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def meanings(kind: type[Settings]) -> dict[str, str]:
    """Return what each setting of a class means, from the attributes of its docstring or of its bases'."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        for names, text in _attributes(one.__dict__.get("__doc__") or ""):
            for name in names:
                if not (name in found and text.startswith("See ")):  # said by the base
                    found[name] = text
    return found


def _attributes(docstring: str) -> list[tuple[list[str], str]]:
    """Return names and text of each paragraph of the section "Attributes"."""
    _, _, section = inspect.cleandoc(docstring).partition("Attributes\n----------\n")
    section = re.split(r"\n\n\w+\n-+\n", section)[0]
    parts = re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?)+)", section, flags=re.MULTILINE)
    return [(names.split(", "), " ".join(text.split())) for names, text in parts]
