"""What the page asks for: two image files in, pictures of their flow out; the last few are kept."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.outputs import SURE
from flow.pictures.fields import flow_picture
from flow.pictures.shares import OCCLUSION_ENDS, in_colour, share_picture
from flow.pipeline import estimate_flow
from flow.results.result import FlowResult
from flow.visualize import confidence_to_image, flow_to_color
from patchbatch.data.codecs import decode_image, encode_image
from patchbatch.data.formats import write_flow
from patchbatch.data.images import as_float, to_rgb
from patchbatch.models import load_descriptor

KEPT = 8  # results; an older one is forgotten

LAYERS = {
    "frame1.png": "first image",
    "frame2.png": "second image",
    "back.png": "second image pulled back by the flow",
    "flow.png": "flow",
    "confidence.png": "confidence: yellow is sure",
    "hidden.png": "hidden in the second image: yellow is hidden",
}
FILES = {
    "flow.flo": "flow, Middlebury .flo",
    "flow.npz": "flow, validity and confidence, NumPy .npz",
    "flow_legend.png": "picture of the flow with its legend",
    "confidence_legend.png": "picture of the confidence with its legend",
    "hidden_legend.png": "picture of what is hidden with its legend",
}


@dataclass(frozen=True)
class Estimate:
    """What is known of two images.

    Attributes
    ----------
    key
        Names it in addresses; cannot be guessed.
    said
        Lines for people.
    files
        Name -> bytes: those of `LAYERS`, all of one size, and of `FILES`.
    """

    key: str
    said: tuple[str, ...]
    files: dict[str, bytes]


class Estimates:
    """Estimates flow, one pair at a time, and keeps the last results.

    Parameters
    ----------
    model, preset, device
        As of `estimate_flow`. The model is loaded for the first pair.
    """

    def __init__(self, model: str, preset: str, device: str):
        self._model, self._preset, self._device = model, preset, device
        self._descriptor: Any = None
        self._busy = threading.Lock()
        self._kept: OrderedDict[str, Estimate] = OrderedDict()

    def get(self, key: str) -> Estimate | None:
        """Return a result that is still kept."""
        return self._kept.get(key)

    def make(self, images: tuple[bytes, bytes], names: tuple[str, str]) -> Estimate:
        """Estimate the flow between two image files, given as bytes and by name.

        Raises
        ------
        PatchBatchError
            As `estimate_flow`: files that are no images, images of two sizes.
        """
        first, second = (as_float(decode_image(data, name)) for data, name in zip(images, names, strict=True))
        with self._busy:  # the processors are one pair's, and what is kept changes hands
            self._descriptor = self._descriptor or load_descriptor(self._model, self._device)
            result = estimate_flow(first, second, self._descriptor, preset=self._preset)
            made = Estimate(secrets.token_urlsafe(12), _said(result), _files(first, second, result))
            self._kept[made.key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def _said(result: FlowResult) -> tuple[str, ...]:
    sure = 100 * float((result.confidence > SURE).mean())
    lengths = np.hypot(result.flow[..., 0], result.flow[..., 1])
    found = (
        f"{len(result.matches)} matches; {sure:.0f} % of the first image is sure (confidence over {SURE:g}); "
        f"motion {np.median(lengths):.1f} px (median) to {lengths.max():.1f} px; "
        f"{result.seconds['total']:.1f} s"
    )
    return (found,) if result.warning is None else (result.warning, found)


def _files(first: NDArray[np.float32], second: NDArray[np.float32], result: FlowResult) -> dict[str, bytes]:
    hidden = np.zeros(result.valid.shape, np.float32) if result.occluded is None else result.occluded
    pictures = {
        "frame1.png": _bytes(first),
        "frame2.png": _bytes(second),
        "back.png": _bytes(result.warp(second)),
        "flow.png": flow_to_color(result.flow, result.valid),
        "confidence.png": in_colour(confidence_to_image(result.confidence)),
        "hidden.png": in_colour(confidence_to_image(hidden)),
        "flow_legend.png": flow_picture(result.flow, result.valid),
        "confidence_legend.png": share_picture(result.confidence),
        "hidden_legend.png": share_picture(hidden, ends=OCCLUSION_ENDS),
    }
    files = {name: encode_image(picture, ".png") for name, picture in pictures.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("flow.flo", "flow.npz"):
            write_flow(Path(folder) / name, result.flow, result.valid, result.confidence)
            files[name] = (Path(folder) / name).read_bytes()
    return files


def _bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(to_rgb(image), 0, 1)).astype(np.uint8)
