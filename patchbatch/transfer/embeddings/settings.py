"""What a network from elsewhere wants to see; torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.settings import Settings, setting
from patchbatch.transfer.embeddings.table import CROPS

COLOURS = ("rgb", "bgr", "grey")


@dataclass(frozen=True)
class InputSettings(Settings):
    """How crops of faces are handed to a network of an ONNX or TorchScript file, which does not say it.

    The network takes float32 `(N, C, side, side)` and returns `(N, D)`. A pixel p of 0 to 255 becomes
    (p - mean) / deviation.

    Attributes
    ----------
    crop
        A name of `CROPS`.
    side
        Of the crop; 0: what an ONNX file says, else 112.
    colour
        Order of the channels; "grey": one channel.
    mean, deviation
        Of the pixels. ArcFace's are the defaults; OpenCV's SFace takes pixels as they are: 0 and 1.
    """

    crop: str = setting("arcface", choices=tuple(CROPS))
    side: int = setting(0, least=0, most=1024, unit="px")
    colour: str = setting("rgb", choices=COLOURS)
    mean: float = setting(127.5)
    deviation: float = setting(127.5, above=0)
