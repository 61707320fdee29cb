"""Presets: settings of the whole pipeline for one kind of images, by name."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.models import DEFAULT_MODEL
from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class Preset(Entry):
    """Settings of the whole pipeline.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`.
    kind
        Of the images: "default", "kitti", "sintel" or "middlebury".
    paper
        Whether it is the pipeline of the paper, not this project's own.
    model
        That describes where none is named.
    """

    kind: str = "default"
    paper: bool = False
    model: str = DEFAULT_MODEL


PRESETS = Table(
    "preset",
    [
        Preset("default", "images of no known kind"),
        Preset("kitti", "streets seen from a car, as in KITTI", kind="kitti"),
        Preset("sintel", "films, large and fast motion, as in Sintel and FlyingChairs", kind="sintel"),
        Preset("middlebury", "small motion in fine detail, as in Middlebury", kind="middlebury"),
        Preset(
            "patchbatch-2016", "the paper's own pipeline, with its settings for films; minutes without a GPU",
            kind="sintel", paper=True, model="accurate",
        ),
        Preset(
            "patchbatch-2016-kitti", "the same with the paper's settings for KITTI",
            kind="kitti", paper=True, model="accurate",
        ),
    ],
)  # fmt: skip
"""Their settings: `flow.settings.flow_settings`."""


def preset_of_kind(name: str, kind: str) -> str:
    """Return the form of a preset that is meant for a kind of images, or the preset itself.

    Examples
    --------
    >>> preset_of_kind("patchbatch-2016", "kitti"), preset_of_kind("patchbatch-2016", "sintel")
    ('patchbatch-2016-kitti', 'patchbatch-2016')
    """
    form = f"{name}-{kind}"
    return form if form in PRESETS else name
