"""Patch networks: what they are, how an image is described, how they learn."""

from patchbatch.descriptors.describe import describe, describe_pyramid
from patchbatch.descriptors.network import PRESETS, FineGrainedBatchNorm, PatchNet, PatchNetConfig
from patchbatch.descriptors.weights_io import read_weights, save_weights

__all__ = [
    "PRESETS",
    "FineGrainedBatchNorm",
    "PatchNet",
    "PatchNetConfig",
    "describe",
    "describe_pyramid",
    "read_weights",
    "save_weights",
]
