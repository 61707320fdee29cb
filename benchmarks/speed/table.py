"""The stages that the speed benchmark times, by name; nothing here is slow to import."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

_WORKS = "benchmarks.speed.works"

STAGES = Table(
    "stage",
    [
        Entry("describe", "describe one frame at all levels", f"{_WORKS}:describe_work"),
        Entry("match-exact", "match all pixels exactly, both ways", f"{_WORKS}:exact_work"),
        Entry("match", "match as the pipeline does", f"{_WORKS}:match_work"),
        Entry("interpolate", "interpolate those matches", f"{_WORKS}:interpolate_work"),
        Entry("refine", "refine that flow", f"{_WORKS}:refine_work"),
        Entry("total", "two images in, a flow out", f"{_WORKS}:total_work"),
        Entry("jb", "Joint Bayesian scores in eigen-form", "benchmarks.speed.joint_bayesian:measure"),
    ],
)
"""Targets take a `Subject` and return a `Work`; that of "jb" takes the number of runs and returns rows."""

PLOTTED = Entry("describe-and-match", "describe both frames and match them", f"{_WORKS}:path_work")
"""What --plot times besides."""
