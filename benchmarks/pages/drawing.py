"""What a chart is made of: lines, bars, axes, words; `drawing.svg` draws it as it stands here."""

from __future__ import annotations

from dataclasses import dataclass, field

# In units of the drawing, which is scaled to the width there is.
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 24
BAR_ROW = 40

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
class Words:
    """What is said about a chart.

    Attributes
    ----------
    key, title, note
        Its id, its heading, and one line on what is averaged and how.
    x_label, y_label
        What the axes show, with units.
    """

    key: str
    title: str
    note: str
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing with its axes, and the same as a table.

    Attributes
    ----------
    words
        What is said about it.
    header, rows
        The numbers as a table of words.
    x_ticks, y_ticks
        Places on the axes and their words.
    lines, bars, backs
        What is drawn; `backs` are faint columns behind it: (x, width, height).
    colours
        Number and meaning of the colours of parts of bars.
    """

    words: Words
    header: list[str]
    rows: list[list[str]]
    x_ticks: Ticks = field(default_factory=list)
    y_ticks: Ticks = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    backs: list[tuple[float, float, float]] = field(default_factory=list)
    colours: list[tuple[int, str]] = field(default_factory=list)
    height: float = HEIGHT
