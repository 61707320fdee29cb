"""The two pictures of a verification as SVG: the detection error trade-off, and the scores of both kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from patchbatch.transfer.verification.roc import Roc

WIDTH, HEIGHT = 520, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 46
_BINS = 48
_MOST_POINTS = 600


def det_curve(roc: Roc) -> str:
    """Return the miss rate over the rate of false accepts, both axes logarithmic, as an SVG element.

    Rates below one pair of a kind cannot be seen in the data and end the axes.
    """
    # At least a decade of each, or a test of one pair would have no axis.
    least = tuple(min(1 / count, 0.1) for count in (roc.negatives, roc.positives))
    far, miss = np.maximum(roc.far, least[0]), np.maximum(1 - roc.tar, least[1])
    kept = np.unique(np.linspace(0, len(far) - 1, min(_MOST_POINTS, len(far))).astype(int))
    across, down = (
        _log_scale(low, size) for low, size in zip(least, (_inner()[0], -_inner()[1]), strict=True)
    )
    points = " ".join(
        f"{_LEFT + across(x):.1f},{HEIGHT - _BOTTOM + down(y):.1f}"
        for x, y in zip(far[kept], miss[kept], strict=True)
    )
    ticks = [_x_tick(_LEFT + across(value), _percent(value)) for value in _decades(least[0])]
    ticks += [_y_tick(HEIGHT - _BOTTOM + down(value), _percent(value)) for value in _decades(least[1])]
    body = [*ticks, f'<polyline class="curve" points="{points}"/>']
    return _svg("det", body, "not-same pairs accepted (FAR)", "same pairs refused (1 − TAR)")


def score_histogram(scores: NDArray[np.float64], same: NDArray[np.bool_], threshold: float) -> str:
    """Return how many pairs of each kind have which score, as an SVG element, with the threshold."""
    # The outermost thousandth of the scores would leave no room for the rest.
    low, high = np.quantile(scores, [0.001, 0.999])
    low, high = min(low, threshold), max(high, threshold)
    high = high if high > low else low + 1
    edges = np.linspace(low, high, _BINS + 1)
    counts = [np.histogram(np.clip(scores[kind], low, high), edges)[0] for kind in (same, ~same)]
    top = max(int(one.max()) for one in counts)
    width, height = _inner()

    def x_of(value: float) -> float:
        return float(_LEFT + width * (value - low) / (high - low))

    bars = [
        f'<rect class="{name}" x="{x_of(edges[place]):.1f}" width="{width / _BINS:.1f}" '
        f'y="{HEIGHT - _BOTTOM - height * count / top:.1f}" height="{height * count / top:.1f}"/>'
        for name, one in zip(("same", "other"), counts, strict=True)
        for place, count in enumerate(one)
        if count
    ]
    at = f"{x_of(threshold):.1f}"
    line = f'<line class="threshold" x1="{at}" x2="{at}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
    ticks = [_x_tick(x_of(value), f"{value:.3g}") for value in np.linspace(low, high, 5)]
    ticks += [_y_tick(HEIGHT - _BOTTOM - height * share, f"{top * share:.0f}") for share in (0, 0.5, 1)]
    return _svg("scores", [*bars, line, *ticks], "score", "pairs")


def _inner() -> tuple[int, int]:
    return WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM


def _log_scale(low: float, size: float) -> Callable[[float], float]:
    """Return the way along an axis of `size` px from `low` to 1."""
    return lambda value: size * (1 - math.log10(value) / math.log10(low))


def _decades(low: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(low)), 1)]


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _x_tick(x: float, text: str) -> str:
    y = HEIGHT - _BOTTOM
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{y}"/>'
        f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle">{text}</text>'
    )


def _y_tick(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _svg(name: str, body: Sequence[str], across: str, down: str) -> str:
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    words = (
        f'<text x="{(WIDTH + _LEFT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>'
        f'<text transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">{down}</text>'
    )
    style = (
        "text{font:12px sans-serif;fill:currentColor}.grid{stroke:currentColor;opacity:.15}"
        ".curve{fill:none;stroke:#0072b2;stroke-width:2}.same{fill:#0072b2;opacity:.6}.other{fill:#d55e00;opacity:.6}"
        ".threshold{stroke:currentColor;stroke-dasharray:4 3}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{down} over {across}"><style>{style}</style>{"".join(body)}{words}</svg>'
    )
