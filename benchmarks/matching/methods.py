"""Settings of matching methods that depend on the data set."""

from __future__ import annotations

from dataclasses import asdict

from flow.matching.patch_match import KITTI, SINTEL
from flow.matching.search_settings import PatchMatchMatcherSettings
from flow.matching.settings import MatchingSettings


def paper_patchmatch(dataset: str) -> MatchingSettings:
    """Return PatchMatch with the paper's settings: those for KITTI, and for all else those for Sintel."""
    paper = KITTI if dataset.startswith("kitti") else SINTEL
    return MatchingSettings("patchmatch", PatchMatchMatcherSettings(**asdict(paper)))
