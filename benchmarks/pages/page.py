"""Make the page of a report from what was recorded: one HTML file, which opens without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmarks.flow.report import shown_table
from benchmarks.pages.folder import PAGE, PAIRS
from benchmarks.pages.gather import Series, Shown, charts_of, gather
from benchmarks.pages.layers import THUMBNAIL_PX, error_key, wheel_link
from benchmarks.pages.recorder import Recorder
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.files import atomic_path

# Layers in the order in which a viewer offers them, and what they are called.
SHARED_LAYERS = {
    "frame1": "first frame",
    "frame2": "second frame",
    "truth": "true flow",
    "hidden": "truly not seen in the second frame",
}
METHOD_LAYERS = {
    "flow": "flow",
    "error": "error",
    "confidence": "confidence",
    "occluded": "not seen in the second frame, probability",
    "matches": "matches",
    "interpolated": "flow after interpolation",
    "chosen": "flow after completion",
}
# Of what a report says of its run, these belong to the machine of the run alone.
_PRIVATE = ("root", "settings", "models")


def write_page(recorder: Recorder, report: Mapping[str, Any], *, times: bool = True) -> Path:
    """Write the page beside the pictures of a run; return its path.

    Parameters
    ----------
    recorder
        That watched the run.
    report
        As `benchmarks.flow.runner.run` returns it.
    times
        Whether the page has seconds.

    Raises
    ------
    PatchBatchError
        If a record is damaged, or the page cannot be written.
    """
    series, pairs = gather(recorder, report)
    table = shown_table(report["dataset"], report["rows"], times=times)
    text = templates().get_template("page.html").render(
        dataset=report["dataset"],
        about=DATASETS[report["dataset"]].help,
        header=table.header,
        rows=table.rows,
        labels=table.labels,
        charts=charts_of(series, times=times),
        series=series,
        pairs=pairs,
        thumbnail=THUMBNAIL_PX,
        folder_of=_folder_of,
        wheel=wheel_link(),
        errors=error_key(),
        data=_viewer_data(series, pairs),
        run=_run_facts(report["environment"]),
        details=json.dumps(_without_private(report["environment"]), indent=1, ensure_ascii=False),
        failed=report.get("failed", []),
        missing=sum(pair.missing for pair in pairs),
        pictures=recorder.pictures,
    )  # fmt: skip
    path = recorder.folder / PAGE
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def templates() -> Environment:
    """Return the templates, with everything that is put into them escaped."""
    return Environment(
        loader=PackageLoader("benchmarks.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _folder_of(pair: str) -> str:
    """Return the folder of a pair as a link from the page."""
    return quote(f"{PAIRS}/{pair}")


def _viewer_data(series: Sequence[Series], pairs: Sequence[Shown]) -> dict[str, Any]:
    """Return what the viewer knows, ready for JSON: methods, names of layers, pairs with their pictures."""
    return {
        "methods": [{"key": one.key, "label": one.label} for one in series],
        "layers": {"shared": SHARED_LAYERS, "method": METHOD_LAYERS},
        "pairs": [
            {
                "name": pair.name,
                "folder": _folder_of(pair.name),
                "width": pair.record.width,
                "height": pair.record.height,
                "radius": pair.record.radius,
                "shared": pair.record.layers,
                "methods": pair.layers,
                "figures": pair.figures,
            }
            for pair in pairs
            if pair.record is not None
        ],
    }


def _run_facts(environment: Mapping[str, Any]) -> str:
    """Return where and when the run was, in one line."""
    facts = [environment.get(name) for name in ("date", "cpu", "device")]
    return " · ".join(str(fact) for fact in facts if fact)


def _without_private(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings and versions of a run without the paths of the machine."""
    settings = {name: value for name, value in environment["settings"].items() if name not in _PRIVATE}
    settings["methods"] = [word.partition("=")[0] for word in settings["methods"]]
    return {**environment, "settings": settings}
