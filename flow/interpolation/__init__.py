"""Sparse matches to dense flow."""

from flow.interpolation.edges import gradient_edges, saliency
from flow.interpolation.epic import PRESETS, InterpolationSettings, interpolate

__all__ = ["PRESETS", "InterpolationSettings", "gradient_edges", "interpolate", "saliency"]
