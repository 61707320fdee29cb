"""From the outcomes of pairs to the rows of a report."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.flow.running.scoring import Outcome, StageScore
from benchmarks.flow.table import Label
from benchmarks.metrics import DENSITY, summarise


def summary_rows(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Join the pairs: one row per method, model and stage, in the order they were run."""
    groups: dict[tuple[Label, str], list[StageScore]] = {}
    for outcome in outcomes:
        for stage, one in outcome.stages.items():
            groups.setdefault((outcome.label, stage), []).append(one)
    return [
        {
            **label._asdict(),
            "stage": stage,
            "pairs": len(group),
            **_figures(group),
            "seconds": {step: _median([one.seconds.get(step) for one in group]) for step in group[0].seconds},
        }
        for (label, stage), group in groups.items()
    ]


def pair_rows(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return one row per pair, method, model and stage."""
    return [
        {
            **outcome.label._asdict(),
            "stage": stage,
            "pair": outcome.pair,
            **_figures([one]),
            "seconds": dict(one.seconds),
        }
        for outcome in outcomes
        for stage, one in outcome.stages.items()
    ]


def _figures(group: Sequence[StageScore]) -> dict[str, Any]:
    figures = summarise([one.tallies for one in group])
    return {"density": figures.pop(DENSITY, None), "metrics": figures}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
