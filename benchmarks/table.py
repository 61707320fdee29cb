"""The sub-commands of `python -m benchmarks` by name; nothing slow is imported to list them."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

COMMANDS = Table(
    "command",
    [
        Entry(
            name,
            line,
            f"benchmarks.{name}.command:add_arguments",
        )
        for name, line in (
            ("flow", "optical flow on a public data set"),
            ("suite", "optical flow on all data sets of a folder, with one summary"),
            ("descriptors", "descriptors on public data sets: matching and ranking figures"),
            ("matching", "ways to match the same descriptors; the confidence of matches"),
            ("confidence", "how far the confidence and the occlusion of the dense flow can be trusted"),
            ("projection", "shorter descriptors by Joint Bayesian"),
            ("epic", "the interpolation beside the original EpicFlow program"),
            ("stages", "what each part of the dense stages brings, and what matches lose"),
            ("losses", "which loss teaches descriptors best, at two budgets"),
            ("ablation", "losses and normalisations at one training budget"),
            ("speed", "seconds and memory of every stage"),
            ("training", "speed of the trainer"),
            ("transfer", "does the multiverse transfer: from classes that are learned to others"),
            ("faces", "face verification on LFW: hand-made features, and networks that are trained"),
            ("tables", "the tables of names and settings that the docs hold"),
        )
    ],
)
"""Targets take the parser of the sub-command, and add its words, its arguments, and what runs it as `run`."""
