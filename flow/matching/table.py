"""The matchers by name."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class Matcher(Entry):
    """A way to search both ways between two described images.

    Attributes
    ----------
    name, help, settings
        As of every `Entry`.
    target
        A function `(descriptors1, descriptors2, settings) -> DenseMatches` of two pyramids: lists of
        `(H, W, D)` tensors, the full image first, each level half the size of the one before.
    pyramid
        Whether it wants halvings of the images too; otherwise the lists hold the full image alone.
    least_levels
        So many levels at least, whatever the size of the images.
    """

    pyramid: bool = True
    least_levels: int = 1


MATCHERS = Table(
    "matcher",
    [
        Matcher(
            "coarse-to-fine",
            "the default: the best few vectors of every seed from level to level, with propagation",
            "flow.matching.pyramid.coarse_to_fine:match_pyramids",
            "flow.matching.search_settings:CoarseToFineSettings",
        ),
        Matcher(
            "semi-global",
            "a cost volume smoothed in eight directions; three times the time, a little fewer errors",
            "flow.matching.pyramid.semiglobal:match_semiglobal",
            "flow.matching.search_settings:SemiGlobalSettings",
            least_levels=3,  # the volume is that of a quarter of the size, or less
        ),
        Matcher(
            "exact",
            "the nearest neighbour in the whole other image; minutes on a CPU",
            "flow.matching.nearest:match_exactly",
            "flow.matching.search_settings:ExactMatcherSettings",
            pyramid=False,
        ),
        Matcher(
            "patchmatch",
            "near neighbours by random search and propagation, pixel by pixel; on the CPU",
            "flow.matching.nearest:match_by_patchmatch",
            "flow.matching.search_settings:PatchMatchMatcherSettings",
            pyramid=False,
        ),
        Matcher(
            "jump-flooding",
            "PatchMatch for parallel machines, all pixels at once; on any device",
            "flow.matching.nearest:match_by_jump_flooding",
            "flow.matching.search_settings:JumpFloodingMatcherSettings",
            pyramid=False,
        ),
    ],
)
DEFAULT_MATCHER = "coarse-to-fine"
