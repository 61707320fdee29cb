"""Bring together what the table, the charts and the viewer of a page show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from benchmarks.models import short_name
from benchmarks.pages.charts import bar_chart, curve_chart, linear, logarithmic, step_chart
from benchmarks.pages.curves import COVERAGE, DISTANCES_PX, LENGTHS_PX, SEEN, THRESHOLDS_PX, CurveSum
from benchmarks.pages.drawing import LEFT, RIGHT, WIDTH, Chart, Words
from benchmarks.pages.folder import key_of
from benchmarks.pages.recorder import PairRecord, Recorder, ResultRecord

MEAN = "Mean of the pairs, each weighing the same."
POOLED = "Mean over the pixels of all pairs. Columns: share of the pixels."


@dataclass
class Series:
    """A method with its model, over all pairs.

    Attributes
    ----------
    key, label
        For links and files; for people.
    seconds
        Of the last stage, as in the table.
    sums
        Its curves.
    """

    key: str
    label: str
    seconds: Mapping[str, float | None]
    sums: CurveSum = field(default_factory=CurveSum)


@dataclass
class Shown:
    """A pair in the list: its record, and by the key of a method its figures and pictures.

    Attributes
    ----------
    name
        Of the pair.
    record
        None if there are no pictures of it.
    figures
        `"EPE"` in px and `"Fl"` in percent by method; None where no pixel counts.
    layers
        Pictures by method.
    missing
        Number of methods whose result is in no curve.
    """

    name: str
    record: PairRecord | None
    figures: dict[str, dict[str, float | None]] = field(default_factory=dict)
    layers: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: int = 0

    def spread(self, figure: str) -> float | None:
        """Return how much the methods differ: the highest less the lowest; None for fewer than two."""
        known = [one[figure] for one in self.figures.values()]
        values = [value for value in known if value is not None]
        return max(values) - min(values) if len(values) > 1 else None

    @property
    def extremes(self) -> tuple[str, str] | None:
        """The methods with the least and the most EPE of those with pictures; None for fewer than two."""
        known = {key: self.figures[key]["EPE"] for key in self.layers}
        order = sorted((epe, key) for key, epe in known.items() if epe is not None)
        return (order[0][1], order[-1][1]) if len(order) > 1 else None


def gather(recorder: Recorder, report: Mapping[str, Any]) -> tuple[list[Series], list[Shown]]:
    """Read the records of a report's results, one after the other, and add up their curves.

    A result whose record is missing, or is of another run and so has another error, gets figures but no
    pictures, and no part in the curves.

    Parameters
    ----------
    recorder
        That watched the run.
    report
        As `benchmarks.flow.runner.run` returns it.
    """
    series = _series([row for row in report["rows"] if row["stage"] == "final"])
    pairs: dict[str, Shown] = {}
    for row in report["per_pair"]:
        if row["stage"] != "final":
            continue
        name, one = row["pair"], series[row["method"], row["model"]]
        shown = pairs.setdefault(name, Shown(name, recorder.pair(name) if recorder.pictures else None))
        metrics = row["metrics"]
        shown.figures[one.key] = {"EPE": metrics.get("EPE"), "Fl": metrics.get("Fl-all")}
        record = recorder.result(name, row["method"], row["model"])
        if record is None or not _same_run(record, metrics.get("EPE")):
            shown.missing += 1
            continue
        one.sums.add(record.curves)
        if shown.record is not None and record.layers:
            shown.layers[one.key] = record.layers
    return list(series.values()), list(pairs.values())


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str | None], Series]:
    models = {row["model"] for row in rows if row["model"] is not None}
    series = {}
    for row in rows:
        method, model = row["method"], row["model"]
        label = method if model is None or len(models) == 1 else f"{method} {short_name(model)}"
        series[method, model] = Series(key_of(method, model), label, row["seconds"])
    return series


def _same_run(record: ResultRecord, epe: float | None) -> bool:
    kept = record.curves.epe
    return kept == epe if kept is None or epe is None else math.isclose(kept, epe, rel_tol=1e-6, abs_tol=1e-9)


def charts_of(series: Sequence[Series], *, times: bool = True) -> list[Chart]:
    """Make every chart that there is anything for; seconds are left out unless `times`."""
    made = [
        _within(series),
        _by_step(series, "length", "Error by motion length", "true length in px", LENGTHS_PX),
        _by_step(
            series, "border", "Error by distance to a motion border",
            "distance in px to a jump of the true flow", DISTANCES_PX,
        ),
        _by_step(series, "seen", "Error by occlusion", "whether the second frame shows the pixel"),
        _risk(series),
        _seconds(series) if times else None,
    ]  # fmt: skip
    return [chart for chart in made if chart is not None]


def _ranges(starts: Sequence[float]) -> list[str]:
    """Return the names of steps: `["0–1", "1–2", "2+"]` for starts at 0, 1 and 2."""
    inner = [f"{low}–{high}" for low, high in pairwise(starts)]
    return [*inner, f"{starts[-1]}+"]


def _within(series: Sequence[Series]) -> Chart | None:
    curves = [
        (number, one.label, values, False)
        for number, one in enumerate(series)
        if (values := one.sums.mean("within")) is not None
    ]
    if not curves:
        return None
    places = THRESHOLDS_PX.tolist()
    x_scale = logarithmic(places[0], places[-1], LEFT, WIDTH - RIGHT)
    ticks = [(1 / 16, "1/16"), (1 / 4, "1/4"), (1, "1"), (3, "3"), (10, "10"), (30, "30"), (64, "64")]
    words = Words("cumulative", "Cumulative error", MEAN, "error of at most … px", "% of pixels")
    return curve_chart(words, places, curves, x_scale, ticks)


def _risk(series: Sequence[Series]) -> Chart | None:
    curves = []
    for number, one in enumerate(series):
        risk, ideal = one.sums.mean("risk"), one.sums.mean("ideal")
        if risk is not None and ideal is not None:
            curves += [(number, one.label, risk, False), (number, f"{one.label}, ideal", ideal, True)]
    if not curves:
        return None
    x_scale = linear(0, 100, LEFT, WIDTH - RIGHT)
    words = Words(
        "risk",
        "Risk and coverage",
        f"{MEAN} Thin: the lowest there can be. Outlier: over 3 px and over 5 % of the true length.",
        "% of the pixels, the most confident first",
        "% outliers among them",
    )
    ticks = [(float(percent), str(percent)) for percent in (0, 25, 50, 75, 100)]
    return curve_chart(words, (100 * COVERAGE).tolist(), curves, x_scale, ticks)


def _by_step(
    series: Sequence[Series], key: str, title: str, x_label: str, starts: Sequence[float] = ()
) -> Chart | None:
    curves = [
        (number, one.label, errors)
        for number, one in enumerate(series)
        if (errors := one.sums.errors(key)) is not None
    ]
    if not curves:
        return None
    names = _ranges(starts) if starts else SEEN
    shares = series[curves[0][0]].sums.shares(key)
    words = Words(key, title, POOLED, x_label, "mean error in px")
    return step_chart(words, names, curves, shares or [], starts)


def _seconds(series: Sequence[Series]) -> Chart | None:
    words = Words("seconds", "Seconds by stage", "Median of the pairs, each part on its own.")
    return bar_chart(words, [(number, one.label, one.seconds) for number, one in enumerate(series)])
