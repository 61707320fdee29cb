"""Settings of matching methods that depend on the data set."""

from __future__ import annotations

from flow.matching.settings import MatchingSettings
from flow.presets import PAPER_PATCHMATCH


def paper_patchmatch(dataset: str) -> MatchingSettings:
    """Return PatchMatch with the paper's settings: those for KITTI, and for all else those for Sintel."""
    return MatchingSettings(
        "patchmatch", PAPER_PATCHMATCH["kitti" if dataset.startswith("kitti") else "sintel"]
    )
