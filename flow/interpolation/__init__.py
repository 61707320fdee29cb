"""Sparse matches to dense flow."""

from flow.interpolation.edges import gradient_edges, saliency
from flow.interpolation.epic import interpolate
from flow.interpolation.settings import (
    PRESETS,
    ROBUST_PRESETS,
    InterpolationSettings,
    interpolation_settings,
)

__all__ = [
    "PRESETS",
    "ROBUST_PRESETS",
    "InterpolationSettings",
    "gradient_edges",
    "interpolate",
    "interpolation_settings",
    "saliency",
]
