"""TensorBoard's event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def events_of(folder: Path) -> dict[str, dict[int, float]]:
    """Return by figure its values by step, as TensorBoard shows them."""
    reader = EventAccumulator(str(folder))
    reader.Reload()
    tags = reader.Tags()["scalars"]
    return {tag: {event.step: event.value for event in reader.Scalars(tag)} for tag in tags}


def rows_of(file: Path) -> dict[str, dict[int, float]]:
    """Return the same of a `log.csv`."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = [name for name in rows[0] if name != "step"]
    return {
        name: {int(row["step"]): float(row[name]) for row in rows if row[name]}
        for name in names
        if any(row[name] for row in rows)
    }


def assert_same_figures(events: Path, file: Path) -> None:
    """Events and CSV hold the same figures of the same steps, the CSV with fewer decimals."""
    shown, written = events_of(events), rows_of(file)
    assert shown.keys() == written.keys() and "loss" in shown
    for name, values in written.items():
        assert shown[name] == pytest.approx(values, abs=0.0051), name
