"""The embeddings of faces that have a name, and the crops that embeddings expect; quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from patchbatch.models import WEIGHTS
from patchbatch.tables import Entry, Table

PLACE = "patchbatch.transfer.embeddings"
FIVE = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")
"""The points that YuNet and most detectors give, in this order; right and left are the person's own."""
WITHOUT_MOUTH = ("right eye", "left eye", "nose base")
"""What is left of the five points of dlib: the middles of the eyes' corners, and the nose below."""


@dataclass(frozen=True)
class Crop(Entry):
    """How an embedding wants a face to be cut out.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`.
    points
        Where the points of a face, by name, come to lie: (x, y) as shares of the side, from the upper left
        corner.
    """

    points: Mapping[str, tuple[float, float]] = field(default_factory=dict)


CROPS = Table(
    "crop",
    [
        # Eyes and nose base: means over 579 crops of LFW's folds 6 to 10, the points being dlib's. Nose tip
        # and mouth: those of "arcface" moved so that its eyes come to lie on these.
        Crop(
            "lfw",
            "square, eyes at 36 % of its height, 33 and 68 % of its width: the middle of LFW's images",
            points=dict(
                zip(
                    (*FIVE, "nose base"),
                    ((0.330, 0.365), (0.679, 0.358), (0.506, 0.561), (0.363, 0.764), (0.652, 0.763), (0.508,
                    0.630)), strict=True,
                )
            ),
        ),
        # The reference points of InsightFace's 112 x 112 crops, which OpenCV's SFace uses too; the nose base
        # lies as far below the tip as in "lfw".
        Crop(
            "arcface",
            "square, eyes at 46 % of its height, 34 and 66 % of its width: ArcFace's and SFace's",
            points=dict(
                zip(
                    (*FIVE, "nose base"),
                    ((0.3412, 0.4616), (0.6565, 0.4600), (0.5002, 0.6405), (0.3710, 0.8247), (0.6315, 0.8232),
                     (0.5005, 0.7028)),
                    strict=True,
                )
            ),
        ),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class NamedEmbedding(Entry):
    """A face embedding that can be asked for by name.

    Attributes
    ----------
    name, help, target, settings
        As of every `Entry`; the target is a function of a device that returns an `Embedding`.
    crop
        A name of `CROPS`.
    licence
        Of its weights, in a line, and what it allows.
    """

    crop: str = "lfw"
    licence: str = ""

    @property
    def verifier(self) -> Path:
        """The Joint Bayesian model that comes with it: it makes probabilities of pairs of vectors."""
        return WEIGHTS / "verifiers" / f"{self.name}.safetensors"


EMBEDDINGS = Table(
    "embedding",
    [
        NamedEmbedding(
            "faces-small",
            "ours, 80 numbers, learned from 2,600 people of LFW: a demonstration, wrong in one pair of five",
            f"{PLACE}.named:faces_small",
            licence="MIT as the code; learned from LFW, whose photographs are for research",
        ),
        NamedEmbedding(
            "dlib",
            "D. King's residual network of 2017, 128 numbers; wants pip install 'patchbatch[faces]'",
            f"{PLACE}.named:dlib",
            licence="public domain (CC0), as the package face_recognition_models says",
        ),
    ],
)
DEFAULT_EMBEDDING = "faces-small"
