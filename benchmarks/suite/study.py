"""Run the flow benchmark on one data set after the other, and write what came of each at once."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.flow.runner import recorder_of, run_shared
from benchmarks.pages.alone import write_charts
from benchmarks.pages.gather import charts_of, gather
from benchmarks.pages.page import write_page
from benchmarks.report import write_json
from benchmarks.suite.report import leading_table, summary
from benchmarks.suite.settings import Suite
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.files import atomic_path, read_bytes
from patchbatch.errors import PatchBatchError
from patchbatch.runs.processes import Group


@dataclass(frozen=True)
class Found:
    """What a run of the suite found.

    Attributes
    ----------
    table
        The leading figure of every data set, as Markdown.
    failed
        What was not scored and why, a line each.
    """

    table: str
    failed: list[str]


def run(suite: Suite, group: Group) -> Found | None:
    """Measure data set by data set, and write all files; None in all processes of torchrun but the first.

    Raises
    ------
    PatchBatchError
        If no data set could be scored, or a file cannot be written.
    """
    reports: dict[str, dict[str, Any]] = {}
    failed: list[str] = []
    for dataset in suite.found():
        if group.rank == 0:
            print(f"{dataset}:", file=sys.stderr, flush=True)
        try:
            report = run_shared(suite.benchmark(dataset), suite.running(dataset), group)
        except PatchBatchError as error:
            if group.size > 1:  # the others would wait for this process
                raise
            failed.append(f"{dataset}: {error}")
            continue
        if report is not None:
            reports[dataset] = report
            failed += list(dict.fromkeys(one["error"] for one in report["failed"]))
            _write(suite, dataset, report)
    if group.rank > 0:
        return None
    if not reports:
        raise PatchBatchError(failed[0])
    reports = everything(Path(suite.output), reports)
    with atomic_path(Path(suite.output) / "summary.md") as temporary:
        temporary.write_text(summary(reports, times=suite.times), encoding="utf-8")
    return Found(leading_table(reports), failed)


def everything(output: Path, reports: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the reports with those of other data sets that earlier commands left in the folder.

    Raises
    ------
    PatchBatchError
        If one of them is damaged.
    """
    found = {}
    for dataset in DATASETS:
        file = output / f"{dataset}.json"
        if dataset in reports:
            found[dataset] = reports[dataset]
        elif file.exists():
            try:
                found[dataset] = json.loads(read_bytes(file))
            except ValueError as error:
                raise PatchBatchError(f"{file} is damaged; remove it and run {dataset} again") from error
    return found


def _write(suite: Suite, dataset: str, report: dict[str, Any]) -> None:
    """Write the figures, the page and the charts of a data set."""
    output = Path(suite.output)
    write_json(output / f"{dataset}.json", report)
    recorder = recorder_of(suite.benchmark(dataset), suite.running(dataset))
    assert recorder is not None  # noqa: S101 - the suite always makes a page
    write_page(recorder, report, times=suite.times)
    series, _ = gather(recorder, report)
    write_charts(output / "charts", dataset, series, charts_of(series, times=suite.times))
