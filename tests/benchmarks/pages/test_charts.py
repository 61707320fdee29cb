"""Charts put values where they belong."""

import pytest

from benchmarks.pages.charts import OTHER, bar_chart, curve_chart, linear, logarithmic, step_chart
from benchmarks.pages.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Words

WORDS = Words("key", "Title", "note", "x", "y")


def places(points: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_a_curve_goes_from_corner_to_corner() -> None:
    x_scale = linear(0, 100, LEFT, WIDTH - RIGHT)
    chart = curve_chart(WORDS, [0, 50, 100], [(3, "a", [0, 0.5, 1.0], False)], x_scale, [(50, "half")])
    [line] = chart.lines
    middle = ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2)
    assert places(line.points) == [(LEFT, HEIGHT - BOTTOM), middle, (WIDTH - RIGHT, TOP)]
    assert (line.series, chart.x_ticks) == (3, [(middle[0], "half")])
    assert [text for _, text in chart.y_ticks] == ["0", "25", "50", "75", "100"]
    assert chart.rows == [["0", "0.00"], ["50", "50.00"], ["100", "100.00"]]


@pytest.mark.parametrize(
    ("most", "top"), [(0.0, "0.4"), (0.039, "4"), (0.041, "8"), (0.8, "80"), (1.0, "100")]
)
def test_the_axis_of_shares_ends_above_the_highest(most: float, top: str) -> None:
    chart = curve_chart(WORDS, [1], [(0, "a", [most], False)], linear(0, 1, 0, 1), [])
    assert chart.y_ticks[-1][1] == top


def test_a_logarithmic_scale_has_equal_steps_for_equal_factors() -> None:
    scale = logarithmic(0.1, 10, 0, 100)
    assert [scale(value) for value in (0.1, 1, 10)] == pytest.approx([0, 50, 100])
    assert scale(0) == 0


def test_steps_without_pixels_have_no_dot_and_columns_stand_for_pixels() -> None:
    chart = step_chart(WORDS, ["0–1", "1–2", "2+"], [(1, "a", [0.1, None, 10.0])], [0.25, 0, 0.75], (0, 1, 2))
    [line] = chart.lines
    slot = (WIDTH - LEFT - RIGHT) / 3
    (x1, y1, said), (x2, y2, _) = line.dots
    assert (x1, x2) == pytest.approx((LEFT + slot / 2, LEFT + 2.5 * slot))
    assert (y1, y2) == pytest.approx((HEIGHT - BOTTOM, TOP))
    assert said == "a, 0–1: 0.1 px"
    assert [height for _, _, height in chart.backs] == pytest.approx(
        [share * (HEIGHT - BOTTOM - TOP) for share in (0.25, 0, 0.75)]
    )
    assert [text for _, text in chart.x_ticks] == ["0", "1", "2"]
    assert chart.rows == [["0–1", "25.0", "0.1"], ["1–2", "0.0", ""], ["2+", "75.0", "10"]]


@pytest.mark.parametrize("errors", [[0.0, 0.0], [None, None], [0.0003, 900.0]])
def test_every_error_finds_a_place_on_the_axis(errors: list[float | None]) -> None:
    chart = step_chart(WORDS, ["a", "b"], [(0, "m", errors)], [0.5, 0.5])
    assert all(TOP - 0.1 <= y <= HEIGHT - BOTTOM for _, y, _ in chart.lines[0].dots)
    assert [text for _, text in chart.x_ticks] == ["a", "b"]
    assert 2 <= len(chart.y_ticks) <= 9


def test_bars_are_as_long_as_their_seconds() -> None:
    rows = [
        (0, "a", {"match": 1.5, "refine": 0.25, "total": 2.0}),
        (1, "b", {"total": 1.0}),
        (2, "c", {"total": None}),
    ]
    chart = bar_chart(WORDS, rows)
    full = WIDTH - 64
    first, second, third = chart.bars
    assert [(x, width, colour) for x, width, colour, _ in first.parts] == [
        (0, 0.75 * full, 0),
        (0.75 * full, full / 8, 1),
        (0.875 * full, full / 8, OTHER),
    ]
    assert (second.end, second.value) == (full / 2, "1.0 s")
    assert (third.parts, third.value) == ([], "not measured")
    assert chart.colours == [(0, "match"), (1, "refine"), (OTHER, "other")]
    assert chart.rows[0] == ["a", "1.5", "0.25", "2"] and chart.rows[2] == ["c", "", "", ""]
