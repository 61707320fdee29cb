"""The comparison of matching methods as Markdown tables, and the reliability of confidence as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.matching.confidence import SURE, reliability
from benchmarks.matching.figures import FIGURES, JudgedPair
from benchmarks.report import markdown, number, require_matplotlib
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError

LABELS = ("method", "check")
SECONDS = ("describe", "match")


def format_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return one Markdown table per data set, columns aligned, with a heading each.

    Parameters
    ----------
    rows
        As `benchmarks.matching.study.run` returns them.
    """
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    return "\n\n".join(_format_table([row for row in rows if row["dataset"] == name]) for name in datasets)


def _format_table(rows: Sequence[dict[str, Any]]) -> str:
    count = rows[0]["pairs"]
    heading = f"{rows[0]['dataset']}: {count} pair{'s' if count > 1 else ''}, percent of a grid, seconds"
    columns = (*FIGURES, *SECONDS)
    cells = [[*(row[name] for name in LABELS), *(number(row[name], 2) for name in columns)] for row in rows]
    return markdown((*LABELS, *columns), cells, labels=len(LABELS), heading=heading)


def format_fits(confidence: dict[str, dict[str, Any]]) -> str:
    """Return the fitted weights as lines for `FITTED` of `flow/matching/confidence.py`, and how they do.

    Parameters
    ----------
    confidence
        By name of the method, as `benchmarks.matching.study.run` reports it after a fit.
    """
    return "\n\n".join(_format_fit(name, found) for name, found in confidence.items())


def _format_fit(name: str, confidence: dict[str, Any]) -> str:
    fit = confidence["fit"]
    weights = ", ".join(f"{part}={value:.3g}" for part, value in fit["weights"].items())
    lines = [f"{name}: {tuple(fit['key'])!r}: ConfidenceWeights({weights}),".replace("'", '"')]
    judged = {"as it was": confidence} | {part: fit[part] for part in ("fitted", "held-out") if part in fit}
    return "\n".join(lines + [_kept_word(part, figures) for part, figures in judged.items()])


def _kept_word(name: str, figures: dict[str, Any]) -> str:
    area, sure, right = _shown(figures["area"], 3), _shown(figures["sure"], 1), figures["sure-right"]
    return (
        f"{name}: area under the ROC curve {area}; {sure} % of the matches above {SURE}, "
        f"{_shown(right, 1)} % of these within 3 px"
    )


def _shown(value: float | None, decimals: int) -> str:
    return number(value, decimals) or "-"


def write_reliability(path: FilePath, pairs: Sequence[JudgedPair]) -> None:
    """Draw the share of matches within 3 px against their confidence, into a `.png`.

    A line for each data set; bars say how many of all matches have such a confidence.

    Raises
    ------
    PatchBatchError
        If there are no matches, or matplotlib is missing, or the file cannot be written.
    """
    require_matplotlib("--reliability")
    from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)

    if not pairs:
        raise PatchBatchError("the reliability is that of the default method; add it to --method")
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    steps = reliability(pairs)
    axes.bar(
        [step["confidence"] for step in steps], [step["share"] for step in steps], 6, color="0.85",
        label="share of all matches",
    )  # fmt: skip
    axes.plot([0, 100], [0, 100], color="0.5", linestyle=":", label="as good as its word")
    for name in dict.fromkeys(pair.dataset for pair in pairs):
        steps = reliability([pair for pair in pairs if pair.dataset == name])
        places, heights = ([step[key] for step in steps] for key in ("confidence", "right"))
        axes.plot(places, heights, marker="o", markersize=3, label=name)
    axes.set_xlabel("confidence in %")
    axes.set_ylabel("within 3 px of the truth, % of matches with known truth")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
