"""Charts as plain geometry: `chart.svg` draws what is computed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# In units of the drawing, which is scaled to the width there is.
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 24
BAR_ROW = 40

Scale = Callable[[float], float]
Ticks = list[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes
    ----------
    series
        Number of its method, which gives it its colour.
    points
        In the drawing, as `points` of an SVG polyline.
    dots
        Places to mark with what they say: (x, y, words).
    ideal
        Whether it is the best that could be, which is drawn thinner.
    """

    series: int
    points: str
    dots: list[tuple[float, float, str]] = field(default_factory=list)
    ideal: bool = False


@dataclass(frozen=True)
class Bar:
    """A row of lengths: `parts` are (x, width, number of its colour, words)."""

    series: int
    label: str
    value: str
    y: float
    end: float
    parts: list[tuple[float, float, int, str]]


@dataclass(frozen=True)
class Chart:
    """A drawing with its axes, and the same as a table.

    Attributes
    ----------
    key, title, note
        Its id, its heading, and one line on what is averaged and how.
    x_label, y_label
        What the axes show, with units.
    header, rows
        The numbers as a table of words.
    x_ticks, y_ticks
        Places on the axes and their words.
    lines, bars, backs
        What is drawn; `backs` are faint columns behind it: (x, width, height).
    colours
        What the parts of bars are, in the order of their colours.
    """

    key: str
    title: str
    note: str
    x_label: str
    y_label: str
    header: list[str]
    rows: list[list[str]]
    x_ticks: Ticks = field(default_factory=list)
    y_ticks: Ticks = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    backs: list[tuple[float, float, float]] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    height: float = HEIGHT


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Return the scale that takes [low, high] to [start, end]."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Return the scale that takes [low, high], above 0, to [start, end]; what is lower than `low` as `low`."""
    across = linear(math.log(low), math.log(high), start, end)
    return lambda value: across(math.log(max(value, low)))


def curve_chart(
    words: Mapping[str, str],
    places: Sequence[float],
    curves: Sequence[tuple[int, str, Sequence[float], bool]],
    x_scale: Scale,
    x_ticks: Sequence[tuple[float, str]],
) -> Chart:
    """Draw shares over thresholds or coverage.

    Parameters
    ----------
    words
        `key`, `title`, `note`, `x_label` and `y_label` of the chart.
    places
        `(K,)`, where the curves are known.
    curves
        (number of the method, label, `(K,)` shares in [0, 1], whether it is the ideal).
    x_scale
        From places to the drawing.
    x_ticks
        (place, words).
    """
    most = max((max(values) for _, _, values, _ in curves), default=1.0)
    top = _round_up(100 * most)
    y_scale = linear(0, top, HEIGHT - BOTTOM, TOP)
    lines = [
        Line(
            series,
            _points([(x_scale(x), y_scale(100 * y)) for x, y in zip(places, values, strict=True)]),
            ideal=ideal,
        )
        for series, _, values, ideal in curves
    ]
    rows = [
        [f"{place:.3g}", *(f"{100 * values[i]:.2f}" for _, _, values, _ in curves)]
        for i, place in enumerate(places)
    ]
    return Chart(
        **words,
        header=[words["x_label"], *(label for _, label, _, _ in curves)],
        rows=rows,
        x_ticks=[(x_scale(place), text) for place, text in x_ticks],
        y_ticks=[(y_scale(value), f"{value:g}") for value in (0, top / 4, top / 2, 3 * top / 4, top)],
        lines=lines,
    )


def step_chart(
    words: Mapping[str, str],
    names: Sequence[str],
    curves: Sequence[tuple[int, str, Sequence[float | None]]],
    shares: Sequence[float],
) -> Chart:
    """Draw the mean error of each step on a logarithmic scale, and behind it how many pixels a step has.

    Parameters
    ----------
    words
        As for `curve_chart`.
    names
        `(K,)`, of the steps.
    curves
        (number of the method, label, `(K,)` errors in px, None for a step without pixels).
    shares
        `(K,)`, of all pixels in [0, 1].
    """
    slot = (WIDTH - LEFT - RIGHT) / len(names)
    middles = [LEFT + slot * (i + 0.5) for i in range(len(names))]
    known = [value for _, _, values in curves for value in values if value]
    low, high = _decades(known)
    y_scale = logarithmic(low, high, HEIGHT - BOTTOM, TOP)
    lines = []
    for series, label, values in curves:
        dots = [
            (x, y_scale(value), f"{label}, {name}: {value:.3g} px")
            for x, name, value in zip(middles, names, values, strict=True)
            if value is not None
        ]
        lines.append(Line(series, _points([(x, y) for x, y, _ in dots]), dots))
    rows = [
        [name, f"{100 * share:.1f}", *(_text(values[i]) for _, _, values in curves)]
        for i, (name, share) in enumerate(zip(names, shares, strict=True))
    ]
    floor = HEIGHT - BOTTOM
    return Chart(
        **words,
        header=[words["x_label"], "% of pixels", *(label for _, label, _ in curves)],
        rows=rows,
        x_ticks=list(zip(middles, names, strict=True)),
        y_ticks=[(y_scale(value), f"{value:g}") for value in _log_ticks(low, high)],
        lines=lines,
        backs=[
            (x - 0.36 * slot, 0.72 * slot, share * (floor - TOP))
            for x, share in zip(middles, shares, strict=True)
        ],
    )


def bar_chart(
    words: Mapping[str, str], rows: Sequence[tuple[int, str, Mapping[str, float | None]]]
) -> Chart:
    """Draw seconds as rows of parts.

    Parameters
    ----------
    words
        As for `curve_chart`.
    rows
        (number of the method, label, seconds by part with their `"total"`); what the total has over its parts
        is drawn as "other".
    """
    parts = list(dict.fromkeys(name for _, _, seconds in rows for name in seconds if name != "total"))
    colours = [*parts, "other"] if parts else []
    longest = max((seconds["total"] or 0.0 for _, _, seconds in rows), default=0.0) or 1.0
    x_scale = linear(0, longest, 0, WIDTH - 64)
    bars, lines = [], []
    for place, (series, label, seconds) in enumerate(rows):
        total = seconds["total"]
        known = {name: seconds.get(name) or 0.0 for name in parts}
        if total is not None:
            known["other"] = max(0.0, total - sum(known.values()))
        at, drawn = 0.0, []
        for colour, (name, value) in enumerate(known.items()):
            if value > 0:
                drawn.append((at, x_scale(value), colour, f"{label}, {name}: {value:.3g} s"))
                at += x_scale(value)
        value = "not measured" if total is None else f"{total:.3g} s"
        bars.append(Bar(series, label, value, place * BAR_ROW, at, drawn))
        lines.append([label, *(_text(seconds.get(name)) for name in (*parts, "total"))])
    return Chart(
        **words, header=["method", *parts, "total"], rows=lines, bars=bars, colours=colours,
        height=len(rows) * BAR_ROW,
    )  # fmt: skip


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _round_up(percent: float) -> float:
    """Return the end of an axis from 0: the first of some round numbers that is not below, at most 100."""
    return next(end for end in (0.4, 1, 2, 4, 8, 12, 20, 40, 60, 80, 100) if percent <= end or end == 100)


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis; errors below a hundredth of a pixel are all the same to it."""
    low = 10.0 ** math.floor(math.log10(max(0.01, min(values, default=0.1))))
    high = 10.0 ** math.ceil(math.log10(max(0.1, *values)))
    return low, max(high, 10 * low)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    # Wide axes have room for the decades alone.
    return [tick for tick in ticks if tick <= high * 1.001][:: 1 if len(decades) < 4 else 3]
