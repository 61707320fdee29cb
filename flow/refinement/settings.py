"""What can be chosen about the refinement; nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

from flow.refinement.table import REFINEMENTS
from patchbatch.settings import Settings, setting


@dataclass(frozen=True)
class RefinementSettings(Settings):
    """How far and how smoothly the flow follows the images.

    The defaults are EpicFlow's. Every preset leaves brightness constancy out (`delta` 0).

    Attributes
    ----------
    outer_iterations
        Warps of image 2; more follow the images further, 0 returns the flow as it is.
    alpha
        Weight of smoothness; higher is smoother.
    gamma
        Weight of gradient constancy; 0 is off.
    delta
        Weight of brightness constancy; 0 is off.
    sigma
        Gaussian smoothing of both images first; 0 is off.
    sweeps
        Relaxation sweeps per warp; more solve the linear system further.
    omega
        Over-relaxation; 1 is plain Gauss-Seidel, and only between 0 and 2 it converges.
    data_trust
        Confidence below which a pixel's data do not count; 0 is off.
    trust
        Confidence below which a pixel is left as it is; 0 is off.
    reach_px
        Moves longer than about this are taken back; infinite takes none back.
    method
        A name of `flow.refinement.table.REFINEMENTS`; of the settings `opencv` heeds the iterations, the
        sweeps and the trust.
    """

    outer_iterations: int = setting(5, least=0)
    alpha: float = setting(1.0, least=0, most=1e6)
    gamma: float = setting(0.71, least=0, most=1e6)
    delta: float = setting(0.0, least=0, most=1e6)
    sigma: float = setting(1.0, least=0, most=100, unit="px")
    sweeps: int = setting(30, least=0)
    omega: float = setting(1.9, above=0, below=2)
    data_trust: float = setting(0.0, least=0, most=1)
    trust: float = setting(0.0, least=0, most=1)
    reach_px: float = setting(math.inf, above=0, infinite=True, unit="px")
    method: str = setting("variational")

    def __post_init__(self) -> None:
        super().__post_init__()
        REFINEMENTS[self.method]  # refuses an unknown one


PRESETS = MappingProxyType(
    {
        "default": RefinementSettings(),
        "sintel": RefinementSettings(gamma=0.72, sigma=1.1),
        "kitti": RefinementSettings(outer_iterations=2, gamma=0.77, sigma=1.7),
        "middlebury": RefinementSettings(outer_iterations=25, gamma=0.72, sigma=1.1),
    }
)
"""Settings that the authors of EpicFlow used on each data set; `default` fits none in particular."""

TRUSTING_PRESETS = MappingProxyType(
    {
        "default": replace(PRESETS["sintel"], reach_px=3.0),
        "sintel": replace(PRESETS["sintel"], reach_px=3.0),
        "kitti": RefinementSettings(method="opencv", reach_px=3.0),
        "middlebury": PRESETS["middlebury"],
    }
)
"""Ours, chosen on the validation pairs (docs/interpolation.md).

EpicFlow's own makes outliers on KITTI, where the smoothness bends the road and the data term is weak;
OpenCV's does not. Long moves are taken back but on Middlebury, where all motion is small.
"""
