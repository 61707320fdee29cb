"""The descriptors that networks are compared with, by name; nothing here is slow to import."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

_PLACE = "benchmarks.descriptors"

BASELINES = Table(
    "descriptor",
    [
        Entry("sift", "OpenCV's SIFT, upright, at one scale; 128 numbers", f"{_PLACE}.sift:sift"),
        Entry("rootsift", "the roots of SIFT's shares; 128 numbers", f"{_PLACE}.sift:rootsift"),
        Entry("daisy", "DAISY; 200 numbers", f"{_PLACE}.baselines:daisy_descriptor"),
        Entry("patch", "normalised grey levels (ZNCC); 225 numbers", f"{_PLACE}.baselines:patch_descriptor"),
        Entry("census", "census bits of 9 x 7 px; 62 numbers", f"{_PLACE}.baselines:census_descriptor"),
    ],
)
"""Targets take the side of SIFT's cells in px, and return a `Descriptor`."""

TFEAT = Entry("tfeat", "TFeat as kornia defines it; 128 numbers", f"{_PLACE}.baselines:load_tfeat")
"""Its target takes the file of its weights and the device."""
