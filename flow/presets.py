"""Presets: settings of the whole pipeline for one kind of images, by name.

Those of the paper are what Gadot & Wolf (CVPR 2016) ran, stage by stage. From their program: images
standardised as a whole, one scale, PatchMatch with two passes and a local random search, a two-way check
within 1 px and nothing else; then EpicFlow, whose authors' settings for the kind of images are taken. Matches
go on from every third pixel of every third row, since EpicFlow's program has room for 100,000. Their edges
were those of structured forests, here the gradient's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from flow.matching.search_settings import PatchMatchMatcherSettings
from flow.matching.settings import MatchingSettings
from patchbatch.descriptors.settings import DescriptionSettings
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


PAPER_DESCRIPTION = DescriptionSettings(standardization="image", single_scale=True)

_SINTEL = PatchMatchMatcherSettings(passes=2, search_radius=20.0, start_x=10, start_y=10)
PAPER_PATCHMATCH = MappingProxyType(
    {"kitti": replace(_SINTEL, search_radius=5.0, start_x=500), "sintel": _SINTEL}
)
"""The paper's two, by kind of images."""


def paper_matching(kind: str) -> MatchingSettings:
    """Return the paper's matching for a kind of images.

    Examples
    --------
    >>> paper_matching("kitti").search.start_x
    500
    """
    return MatchingSettings("patchmatch", PAPER_PATCHMATCH[kind], check_threshold=1.0, smallest_island=0)
