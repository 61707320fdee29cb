"""Charts as plain geometry: from figures to what `drawing.svg` draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from benchmarks.pages.drawing import (
    BAR_ROW,
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Bar,
    Chart,
    Line,
    Words,
)

OTHER = 5

Scale = Callable[[float], float]


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Return the scale that takes [low, high] to [start, end]."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Return the scale that takes [low, high], above 0, to [start, end]; what is below `low` as `low`."""
    across = linear(math.log(low), math.log(high), start, end)
    return lambda value: across(math.log(max(value, low)))


def curve_chart(
    words: Words,
    places: Sequence[float],
    curves: Sequence[tuple[int, str, Sequence[float], bool]],
    x_scale: Scale,
    x_ticks: Sequence[tuple[float, str]],
) -> Chart:
    """Draw shares over thresholds or coverage.

    Parameters
    ----------
    words
        Of the chart.
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
        words,
        header=[words.x_label, *(label for _, label, _, _ in curves)],
        rows=rows,
        x_ticks=[(x_scale(place), text) for place, text in x_ticks],
        y_ticks=[(y_scale(value), f"{value:g}") for value in (0, top / 4, top / 2, 3 * top / 4, top)],
        lines=lines,
    )


def step_chart(
    words: Words,
    names: Sequence[str],
    curves: Sequence[tuple[int, str, Sequence[float | None]]],
    shares: Sequence[float],
    starts: Sequence[float] = (),
) -> Chart:
    """Draw the mean error of each step on a logarithmic scale, and behind it how many pixels a step has.

    Parameters
    ----------
    words
        Of the chart.
    names
        `(K,)`, of the steps.
    curves
        (number of the method, label, `(K,)` errors in px, None for a step without pixels).
    shares
        `(K,)`, of all pixels in [0, 1].
    starts
        `(K,)`, where the steps begin, to be written between them in place of their names.
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
        words,
        header=[words.x_label, "% of pixels", *(label for _, label, _ in curves)],
        rows=rows,
        x_ticks=[(x - slot / 2, f"{start:g}") for x, start in zip(middles, starts, strict=True)]
        if starts
        else list(zip(middles, names, strict=True)),
        y_ticks=[(y_scale(value), f"{value:g}") for value in _log_ticks(low, high)],
        lines=lines,
        backs=[
            (x - 0.36 * slot, 0.72 * slot, share * (floor - TOP))
            for x, share in zip(middles, shares, strict=True)
        ],
    )


def bar_chart(words: Words, rows: Sequence[tuple[int, str, Mapping[str, float | None]]]) -> Chart:
    """Draw seconds as rows of parts.

    Parameters
    ----------
    words
        Of the chart.
    rows
        (number of the method, label, seconds by part with their `"total"`); what the total has over its parts
        is drawn as "other".
    """
    parts = list(dict.fromkeys(name for _, _, seconds in rows for name in seconds if name != "total"))
    colour = {name: number % OTHER for number, name in enumerate(parts)} | {"other": OTHER}
    longest = max((seconds["total"] or 0.0 for _, _, seconds in rows), default=0.0) or 1.0
    x_scale = linear(0, longest, 0, WIDTH - 64)
    bars = []
    for place, (series, label, seconds) in enumerate(rows):
        drawn, at = [], 0.0
        for name, value in _with_other(seconds).items():
            drawn.append((at, x_scale(value), colour[name], f"{label}, {name}: {value:.3g} s"))
            at += x_scale(value)
        bars.append(Bar(series, label, _seconds_text(seconds["total"]), place * BAR_ROW, at, drawn))
    return Chart(
        words,
        header=["method", *parts, "total"],
        rows=[
            [label, *(_text(seconds.get(name)) for name in (*parts, "total"))] for _, label, seconds in rows
        ],
        bars=bars,
        colours=[(number, name) for name, number in colour.items()] if parts else [],
        height=len(rows) * BAR_ROW,
    )


def _with_other(seconds: Mapping[str, float | None]) -> dict[str, float]:
    """Return the parts that took any time, and what the total has over them."""
    parts = {name: value for name, value in seconds.items() if value and name != "total"}
    rest = (seconds["total"] or 0.0) - sum(parts.values())
    return parts | ({"other": rest} if rest > 0 else {})


def _seconds_text(total: float | None) -> str:
    if total is None:
        return "not measured"
    return f"{total:.2g} s" if total < 1 else f"{total:.1f} s"


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
    high = 10.0 ** math.ceil(math.log10(max([0.1, *values])))
    return low, max(high, 10 * low)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    # Wide axes have room for the decades alone.
    return [tick for tick in ticks if tick <= high * 1.001][:: 1 if len(decades) < 4 else 3]
