"""Settings of matching: which search, and what is believed of its matches; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from flow.matching.search_settings import CoarseToFineSettings
from flow.matching.table import MATCHERS
from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class ConfidenceWeights(Settings):
    """Weights of the logistic function of the confidence, see `confidence.confidence_features`.

    The defaults are those of `compact` with the coarse-to-fine search, see `confidence.FITTED`.

    Attributes
    ----------
    bias
        Log odds of a match whose features are all 0.
    lead, error, cost
        Log odds for one unit of each feature.
    """

    bias: float = setting(4.09)
    lead: float = setting(1.05)
    error: float = setting(-2.11)
    cost: float = setting(-1.49)


@dataclass(frozen=True)
class MatchingSettings(Settings):
    """Settings of matching, from descriptors to the matches that are believed.

    Attributes
    ----------
    method
        A name of `flow.matching.table.MATCHERS`.
    search
        Settings of that search; None takes its defaults.
    check_threshold
        How far a match may come back from where it left; infinite for no check.
    check_reach
        Seeds around the one hit whose answer is heard too, see `filtering.two_way_error`.
    island_tolerance, smallest_island
        See `filtering.remove_small_islands`, which allows for the slope of the motion; a smallest island of 1
        drops nothing. It is never more than a tenth of all seeds, so that a small image keeps its matches.
    confidence
        Weights of the confidence; None takes those fitted for the model and the method, and where there are
        none the defaults, which are then not calibrated.

    Examples
    --------
    >>> MatchingSettings("exact").search.step
    3
    """

    method: str = setting("coarse-to-fine")
    search: Settings | None = None
    check_threshold: float = setting(1.5, least=0, infinite=True, unit="px")
    check_reach: int = setting(0, least=0, unit="seeds")
    island_tolerance: float = setting(1.5, least=0, infinite=True, unit="px")
    smallest_island: int = setting(50, least=0, unit="seeds")
    confidence: ConfidenceWeights | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = MATCHERS[self.method].load_settings()
        if self.search is None:
            object.__setattr__(self, "search", kind())
        if not isinstance(self.search, kind):
            raise PatchBatchError(
                f"search holds {type(self.search).__name__}, but {self.method} takes {kind.__name__}"
            )

    @classmethod
    def _nested(cls, name: str, table: Mapping[str, Any], base: Self | None) -> Settings | None:
        """Start the nested tables from the method that the table names, and from the default weights."""
        base = base if base is not None else cls()
        if name == "search":
            method = table.get("method", base.method)
            return base.search if method == base.method else cls(method).search
        return ConfidenceWeights() if name == "confidence" else None

    @classmethod
    def _read(cls, table: Mapping[str, Any], base: Self | None, where: str) -> dict[str, Any]:
        if "method" in table and table["method"] not in MATCHERS:
            MATCHERS[str(table["method"])]  # says which there are
        values = super()._read(table, base, where)
        another = base is not None and values.get("method", base.method) != base.method
        return values | ({"search": None} if another and "search" not in values else {})


def matching_settings(method: str, preset: str) -> MatchingSettings:
    """Return the settings that belong to a matcher on one kind of images.

    "kitti" leaves the price on length out, since what is near moves far there. Chosen on the validation
    pairs, and no clear case: with it (and earlier weights of the completion) KITTI 2015 had 10.16 % in place
    of 9.56, nearly all of it from one pair, and the pair of KITTI 2012 6.16 % in place of 6.46. All else is
    the same for all.

    Raises
    ------
    PatchBatchError
        For an unknown matcher.

    Examples
    --------
    >>> matching_settings("coarse-to-fine", "kitti").search.motion_price
    0.0
    """
    settings = MatchingSettings(method)
    if preset == "kitti" and isinstance(settings.search, CoarseToFineSettings):
        return replace(settings, search=replace(settings.search, motion_price=0.0))
    return settings
