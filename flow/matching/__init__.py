"""Descriptors of two images in, matches out."""

from flow.matching.coarse_to_fine import CoarseToFineSettings, DenseMatches, match_pyramids
from flow.matching.confidence import match_confidence
from flow.matching.exact import ExactSettings, NearestNeighbours, nearest_neighbours
from flow.matching.filtering import remove_small_islands, two_way_check, two_way_error
from flow.matching.matcher import MatchingSettings, match
from flow.matching.matches import Matches
from flow.matching.seeds import SeedField
from flow.matching.semiglobal import SemiGlobalSettings, match_semiglobal

__all__ = [
    "CoarseToFineSettings",
    "DenseMatches",
    "ExactSettings",
    "Matches",
    "MatchingSettings",
    "NearestNeighbours",
    "SeedField",
    "SemiGlobalSettings",
    "match",
    "match_confidence",
    "match_pyramids",
    "match_semiglobal",
    "nearest_neighbours",
    "remove_small_islands",
    "two_way_check",
    "two_way_error",
]
