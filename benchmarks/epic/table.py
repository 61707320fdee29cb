"""What the comparison with EpicFlow may choose, by name; nothing here is slow to import."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

EDGES = Table(
    "edge map",
    [
        Entry("given", "what the original was given"),
        Entry("gradient", "of the first image"),
        Entry("network", "found by the shipped edge network"),
    ],
)

REFINEMENTS = Table(
    "refinement",
    [
        Entry("original", "EpicFlow's settings", "flow.refinement.settings:PRESETS"),
        Entry("own", "this project's", "flow.refinement.settings:TRUSTING_PRESETS"),
        Entry("fast", "OpenCV's", "benchmarks.epic.settings:FAST_REFINEMENT"),
    ],
)
"""Targets are settings by name of the preset."""
