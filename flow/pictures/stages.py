"""`--save-stages`: a folder with what each stage made, as numbers and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flow.pictures.descriptors import descriptor_picture
from flow.pictures.fields import flow_picture, match_picture
from flow.pictures.shares import MATCHES_PX, share_picture
from patchbatch.data.files import atomic_path
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image
from patchbatch.data.matches_io import write_matches
from patchbatch.data.pfm import write_pfm

if TYPE_CHECKING:
    from torch import Tensor

    from flow.results.result import FlowResult

# What `save_stages` may write.
STAGE_FILES = (
    "1-descriptors.npy", "1-descriptors.png", "2-matches.txt", "2-matches.png", "3-initial.flo",
    "3-initial.png", "3-interpolated.flo", "3-interpolated.png", "4-chosen.flo", "4-chosen.png",
    "5-refined.flo", "5-refined.png",
    "confidence.pfm", "confidence.png",
)  # fmt: skip
_CAPTIONS = {
    "initial": "the flow that was given",
    "interpolated": "interpolated between the matches",
    "chosen": "after the choice of what no match settles",
    "refined": "after the variational refinement",
}


def save_stages(folder: Path, result: FlowResult, *, legend: bool = True) -> list[Path]:
    """Write what each stage made; the pictures of all fields share one colour scale.

    `1-descriptors.png` shows both images by the three directions in which their descriptors differ most, as
    red, green and blue; `1-descriptors.npy` holds every 4th pixel's descriptor of image 1 as float16. Then
    `2-matches` (.txt, .png), `3-interpolated` (or `3-initial`), `4-chosen` and `5-refined` (.flo, .png each),
    and `confidence` (.pfm, .png).

    Parameters
    ----------
    folder
        Is there. Files of those names in it are of an earlier run and are replaced or taken away.
    result
        Made with `keep_stages`.
    legend
        Set what the colours mean beneath the pictures.

    Returns
    -------
    list
        The paths of the files.

    Raises
    ------
    PatchBatchError
        When a file cannot be written.
    """
    radius = _longest(result.flow)
    for name in STAGE_FILES:  # of an earlier run, which may have had other stages
        (folder / name).unlink(missing_ok=True)
    written = []
    if result.descriptors is not None:
        written += _save_descriptors(folder, result.descriptors, result.descriptors2, legend)
    if "matches" in result.stages:
        written += _save_matches(folder, result, radius, legend)
    for number, name in ((3, "initial"), (3, "interpolated"), (4, "chosen"), (5, "refined")):
        if name in result.stages:
            flow, valid = result.stages[name]
            numbers, picture = folder / f"{number}-{name}.flo", folder / f"{number}-{name}.png"
            write_flow(numbers, flow, valid)
            caption = _CAPTIONS[name] if legend else None
            write_image(picture, flow_picture(flow, valid, radius, legend=legend, caption=caption))
            written += [numbers, picture]
    numbers, picture = folder / "confidence.pfm", folder / "confidence.png"
    write_pfm(numbers, result.confidence)
    write_image(picture, share_picture(result.confidence, result.valid, smooth_px=MATCHES_PX, legend=legend))
    return [*written, numbers, picture]


def _longest(flow: NDArray[np.float32]) -> float | None:
    """Return the length in px that has full colour in all pictures; None where nothing moves by a pixel."""
    longest = float(np.hypot(*np.moveaxis(flow, -1, 0)).max())
    return longest if longest > 1 else None


def _save_matches(folder: Path, result: FlowResult, radius: float | None, legend: bool) -> list[Path]:
    text, picture, matches = folder / "2-matches.txt", folder / "2-matches.png", result.matches
    height, width = result.valid.shape
    write_matches(text, matches.points1, matches.points2, matches.confidence)
    drawn = match_picture(matches.points1, matches.vectors, (height, width), radius, legend=legend)
    write_image(picture, drawn)
    return [text, picture]


def _save_descriptors(folder: Path, first: Tensor, second: Tensor | None, legend: bool) -> list[Path]:
    import torch  # noqa: PLC0415 - whoever has descriptors has imported it

    numbers, picture = folder / "1-descriptors.npy", folder / "1-descriptors.png"
    with atomic_path(numbers) as part:
        np.save(part, first[::4, ::4].to(torch.float16).cpu().numpy())
    write_image(picture, descriptor_picture(first, second, legend=legend))
    return [numbers, picture]
