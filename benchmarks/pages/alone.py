"""Charts as SVG files of their own, for documents that show pictures and no pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages.drawing import Chart
from benchmarks.pages.gather import Series
from benchmarks.pages.page import templates
from patchbatch.data.files import atomic_path

LEGEND_ROW, HEAD = 18, 40
"""Heights in the units of the drawing: of a line of the legend, and of the title with the vertical axis."""


def write_charts(folder: Path, name: str, series: Sequence[Series], charts: Sequence[Chart]) -> list[Path]:
    """Write every chart as `NAME-CHART.svg`, with its title, axes and a legend; return the files.

    Parameters
    ----------
    folder
        Which is there.
    name
        Of the data set.
    series
        The methods, as the charts number them.
    charts
        As `benchmarks.pages.gather.charts_of` makes them.

    Raises
    ------
    PatchBatchError
        If a file cannot be written.
    """
    template, files = templates().get_template("alone.svg"), []
    for chart in charts:
        drawn = {line.series for line in chart.lines}
        legend = [(number, one.label) for number, one in enumerate(series) if number in drawn]
        text = template.render(
            chart=chart, name=name, legend=legend, head=HEAD, row=LEGEND_ROW,
            height=HEAD + chart.height + 24 + LEGEND_ROW * -(-len(legend) // 2),
        )  # fmt: skip
        path = folder / f"{name}-{chart.words.key}.svg"
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        files.append(path)
    return files
