"""What is tried of every loss, and the budget that all share; nothing here is slow to import."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting

TRIED = {
    "drlim": ("margin", (0.7, 1.0, 1.4)),
    "drlim+sd": ("margin", (0.7, 1.0, 1.4)),
    "cent": ("margin", (0.35, 0.5, 0.7, 1.0)),
    "cent+sd": ("margin", (0.35, 0.5, 0.7, 1.0)),
    "siamese": ("threshold", (0.25, 0.35, 0.5, 0.7)),
    "hinge+sd": ("margin", (0.12, 0.25, 0.5)),
    "bailer": ("margin", (0.25, 0.35, 0.5, 0.7, 1.0)),
    "softmax": ("temperature", (0.03, 0.05, 0.1)),
}
"""By loss, the option that is chosen on held-out scenes, and the values tried, for unit length.

There are enough of them that the best is not at an end.
"""


@dataclass(frozen=True)
class Budget(Settings):
    """What all trainings share.

    Attributes
    ----------
    steps
        Updates of the short budget.
    longer
        The long budget is so many times as long.
    seeds
        Runs of each loss at the short budget.
    scenes, crop
        Made crop pairs, the same for all runs, and their side.
    batch
        Pairs per update.
    """

    steps: int = setting(300, least=1)
    longer: int = setting(4, least=1)
    seeds: int = setting(3, least=1)
    scenes: int = setting(400, least=1)
    crop: int = setting(150, least=100, unit="px")
    batch: int = setting(2, least=1, unit="pairs")
