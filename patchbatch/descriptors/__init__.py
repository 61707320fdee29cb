"""Patch networks: what they are, how an image is described, how they learn."""

from patchbatch.descriptors.checkpoint2016 import load_2016
from patchbatch.descriptors.describe import describe, describe_points, describe_pyramid
from patchbatch.descriptors.network import PRESETS, PatchNet, PatchNetConfig
from patchbatch.descriptors.normalization import FineGrainedBatchNorm
from patchbatch.descriptors.weights_io import read_weights, save_weights

__all__ = [
    "PRESETS",
    "FineGrainedBatchNorm",
    "PatchNet",
    "PatchNetConfig",
    "describe",
    "describe_points",
    "describe_pyramid",
    "load_2016",
    "read_weights",
    "save_weights",
]
