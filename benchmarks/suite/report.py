"""The Markdown of the suite: one table over all data sets, and the table of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.bar import counted
from benchmarks.flow.printing.columns import decimals_of, title_of
from benchmarks.flow.report import format_table
from benchmarks.flow.running.progress import leading_figure
from benchmarks.models import short_name
from benchmarks.report import markdown, number
from patchbatch.data.datasets.table import DATASETS

Reports = Mapping[str, Mapping[str, Any]]


def leading_table(reports: Reports) -> str:
    """Return a Markdown table of the final flow: a row a method, and a column a data set, its leading figure.

    Parameters
    ----------
    reports
        By data set, as `benchmarks.flow.runner.run_shared` returns them.
    """
    header, columns, rows = ["method", "model"], [], []
    for dataset, report in reports.items():
        finals = [row for row in report["rows"] if row["stage"] == "final"]
        figure = leading_figure(dataset, finals[0]["metrics"]) if finals else None
        if figure is None:
            continue
        pairs = max(row["pairs"] for row in finals)
        header.append(f"{dataset} ({pairs}): {title_of(dataset, figure)}")
        columns.append(
            {
                (row["method"], row["model"]): number(row["metrics"].get(figure), decimals_of(figure))
                + ("" if row["pairs"] == pairs else f" ({counted(row['pairs'], 'pair')})")
                for row in finals
            }
        )
    for method, model in dict.fromkeys(label for column in columns for label in column):
        cells = [column.get((method, model)) for column in columns]
        rows.append([method, "" if model is None else short_name(model), *cells])
    return markdown(header, rows, labels=2)


def summary(reports: Reports, *, times: bool) -> str:
    """Return the whole text: the leading figures, then every data set with its facts and its failures."""
    parts = [
        "# Optical flow, data set by data set",
        "The figure that leads each data set, of the final flow; in brackets the number of pairs. EPE and "
        "Out are means of the pairs in px and percent, Fl-all pools their pixels, in percent.",
        leading_table(reports),
    ]
    for dataset, report in reports.items():
        environment = report["environment"]
        facts = [environment.get(name) for name in ("date", "commit", "cpu", "device")]
        parts += [
            f"## {dataset}",
            f"{DATASETS[dataset].help}. {' · '.join(str(fact) for fact in facts if fact)}",
            format_table(dataset, report["rows"], times=times),
            *(f"- failed: {one['error']}" for one in report["failed"]),
        ]
    return "\n\n".join(parts) + "\n"
