"""What can be chosen about the alignment; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class AlignmentSettings(Settings):
    """When image 2 is turned to look as image 1 does, and on what evidence.

    Attributes
    ----------
    below
        Share of the seeds: where fewer are matched, a homography is looked for, and the pair is matched again
        with image 2 seen through it. 0 is never, 1 always.
    least_inliers
        Features that have to obey the homography.
    gain
        The second matching is taken where it matches at least so many times as many seeds as the first.
    """

    below: float = setting(0.3, least=0, most=1)
    least_inliers: int = setting(30, least=4)
    gain: float = setting(1.5, least=1)


NEVER = AlignmentSettings(below=0.0)
