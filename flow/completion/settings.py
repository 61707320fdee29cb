"""What can be chosen about the completion; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from flow.completion.table import DENSE_METHODS
from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class CompletionSettings(Settings):
    """How pixels that the matches do not settle get their motion.

    Attributes
    ----------
    method
        A name of `DENSE_METHODS`.
    settled
        Confidence of the interpolated flow from which on a pixel keeps it. Higher chooses at more pixels,
        which takes longer.
    rounds
        In which a pixel sees what its neighbours chose.
    planes
        Homographies looked for in the whole frame; 0 is off. They carry the road and the walls that a driving
        camera passes; elsewhere they offer more wrong motions than right ones.
    weights
        File of a network from `python -m flow.completion.train`; empty takes the one that ships.
    colour_reach
        How far colour reaches when a pixel picks among the choices around it: the sum of the differences of
        three channels in [0, 1] at which a choice counts a third.
    """

    method: str = setting("chosen")
    settled: float = setting(0.7, least=0, most=1)
    rounds: int = setting(3, least=0, most=20)
    planes: int = setting(0, least=0, most=64)
    weights: str = setting("")
    colour_reach: float = setting(0.2, least=0.01, most=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        DENSE_METHODS[self.method]  # refuses an unknown one


PRESETS = MappingProxyType(
    {
        "default": CompletionSettings(),
        "sintel": CompletionSettings(),
        "kitti": CompletionSettings(settled=0.5, planes=18),
        "middlebury": CompletionSettings(),
    }
)
"""Ours, chosen on the validation pairs: on KITTI fewer nodes choose, which is quicker and no worse, and there
alone planes help."""
