"""Presets: settings of the whole pipeline for one kind of images, by name."""

from __future__ import annotations

from patchbatch.tables import Entry, Table

PRESETS = Table(
    "preset",
    [
        Entry("default", "images of no known kind"),
        Entry("kitti", "streets seen from a car, as in KITTI"),
        Entry("sintel", "films, large and fast motion, as in Sintel and FlyingChairs"),
        Entry("middlebury", "small motion in fine detail, as in Middlebury"),
    ],
)
"""Their settings: `flow.settings.flow_settings`."""
