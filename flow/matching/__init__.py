"""Descriptors of two images in, matches out."""

from flow.matching.coarse_to_fine import CoarseToFineSettings, DenseMatches, match_pyramids
from flow.matching.confidence import match_confidence
from flow.matching.exact import ExactSettings, NearestNeighbours, nearest_neighbours
from flow.matching.filtering import remove_small_islands, two_way_check, two_way_error
from flow.matching.jump_flooding import JumpFloodingSettings, jump_flooding
from flow.matching.matcher import MatchingSettings, match
from flow.matching.matches import Matches
from flow.matching.patchmatch import PatchMatchSettings, patchmatch
from flow.matching.seeds import SeedField
from flow.matching.semiglobal import SemiGlobalSettings, match_semiglobal
from flow.matching.subpixel import refine_subpixel

__all__ = [
    "CoarseToFineSettings",
    "DenseMatches",
    "ExactSettings",
    "JumpFloodingSettings",
    "Matches",
    "MatchingSettings",
    "NearestNeighbours",
    "PatchMatchSettings",
    "SeedField",
    "SemiGlobalSettings",
    "jump_flooding",
    "match",
    "match_confidence",
    "match_pyramids",
    "match_semiglobal",
    "nearest_neighbours",
    "patchmatch",
    "refine_subpixel",
    "remove_small_islands",
    "two_way_check",
    "two_way_error",
]
