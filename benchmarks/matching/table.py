"""The ways to match that are compared, by name; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from flow.matching.search_settings import ExactMatcherSettings, SemiGlobalSettings
from flow.matching.settings import MatchingSettings
from patchbatch.tables import Entry, Table

WINDOW_PX = 256  # the fastest pixel of the KITTI pairs moves 245 px


@dataclass(frozen=True)
class MatchingMethod(Entry):
    """One way to match.

    Attributes
    ----------
    name, help
        As of every `Entry`.
    target
        A function from the name of a data set to `MatchingSettings`; empty where `matching` has them.
    matching
        The same settings for every data set.
    on_demand
        Whether it runs only when it is named, because it takes long.
    """

    matching: MatchingSettings | None = None
    on_demand: bool = False

    def settings_for(self, dataset: str) -> MatchingSettings:
        """Return its settings for a data set, given by its name."""
        found: MatchingSettings = self.load()(dataset) if self.matching is None else self.matching
        return found


METHODS = Table(
    "method",
    [
        MatchingMethod(
            "coarse-to-fine",
            "the default: the best few vectors of every seed from level to level",
            matching=MatchingSettings("coarse-to-fine"),
        ),
        MatchingMethod(
            "semi-global",
            "a cost volume smoothed in eight directions",
            matching=MatchingSettings("semi-global"),
        ),
        MatchingMethod(
            "quarter-volume",
            "semi-global with the whole range compared at a quarter of the size, as DCFlow does",
            matching=MatchingSettings("semi-global", SemiGlobalSettings(volume_level=2)),
            on_demand=True,
        ),
        MatchingMethod(
            "exact-global",
            "the nearest neighbour in the whole other image",
            matching=MatchingSettings("exact"),
            on_demand=True,
        ),
        MatchingMethod(
            "exact-windowed",
            f"the nearest neighbour within +-{WINDOW_PX} px",
            matching=MatchingSettings("exact", ExactMatcherSettings(window=WINDOW_PX)),
        ),
        MatchingMethod(
            "patchmatch",
            "as the paper's program ran it: two passes, a local search",
            "benchmarks.matching.methods:paper_patchmatch",
        ),
        MatchingMethod(
            "patchmatch-converged",
            "until next to nothing changes, searching the whole image",
            matching=MatchingSettings("patchmatch"),
        ),
        MatchingMethod(
            "jump-flooding",
            "PatchMatch for parallel machines",
            matching=MatchingSettings("jump-flooding"),
            on_demand=True,
        ),
    ],
)
DEFAULT_METHODS = tuple(name for name, method in METHODS.items() if not method.on_demand)
