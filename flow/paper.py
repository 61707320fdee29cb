"""The pipeline of the paper as settings: what Gadot & Wolf (CVPR 2016) ran, stage by stage.

From their program: images standardised as a whole, one scale, PatchMatch with two passes and a local random
search, a two-way check within 1 px and nothing else; then EpicFlow, whose authors' settings for the kind of
images are taken. Matches go on from every third pixel of every third row, since EpicFlow's program has room
for 100,000. Their edges were those of structured forests, here the gradient's.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from flow.matching.search_settings import PatchMatchMatcherSettings
from flow.matching.settings import MatchingSettings
from patchbatch.descriptors.settings import DescriptionSettings

DESCRIPTION = DescriptionSettings(standardization="image", single_scale=True)

_SINTEL = PatchMatchMatcherSettings(passes=2, search_radius=20.0, start_x=10, start_y=10)
PATCHMATCH = MappingProxyType({"kitti": replace(_SINTEL, search_radius=5.0, start_x=500), "sintel": _SINTEL})
"""The paper's two, by kind of images."""


def paper_matching(kind: str) -> MatchingSettings:
    """Return the paper's matching for a kind of images.

    Examples
    --------
    >>> paper_matching("kitti").search.start_x
    500
    """
    return MatchingSettings("patchmatch", PATCHMATCH[kind], check_threshold=1.0, smallest_island=0)
