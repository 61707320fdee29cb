"""How the edge network is taught, and on what; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class EdgeTraining(Settings):
    """How the network is taught.

    Attributes
    ----------
    minutes
        Of wall time; the learning rate falls to 0 by then.
    steps
        At most.
    batch
        Crops a step.
    crop
        Their side, px.
    learning_rate
        At its highest.
    seed
        Of crops and of the first weights.
    """

    minutes: float = setting(30.0, above=0)
    steps: int = setting(1_000_000, least=1)
    batch: int = setting(8, least=1, unit="crops")
    crop: int = setting(192, least=1, unit="px")
    learning_rate: float = setting(2e-3, above=0)
    seed: int = setting(0, least=0)


def boundary_pairs(data: Path, split: str) -> list[tuple[Path, Path]]:
    """Return photograph and drawn boundaries of each image of a split, sorted by name.

    Parameters
    ----------
    data
        A folder with `images/SPLIT/*.jpg` and `boundaries/SPLIT/*.png`, as BSDS500 is stored here.
    split
        "train", "val" or "test".

    Raises
    ------
    PatchBatchError
        If there are none.
    """
    photos = sorted((data / "images" / split).glob("*.jpg"))
    pairs = [(photo, data / "boundaries" / split / f"{photo.stem}.png") for photo in photos]
    complete = [pair for pair in pairs if pair[1].is_file()]
    if not complete:
        raise PatchBatchError(
            f"no images/{split}/*.jpg with boundaries/{split}/*.png in {data}: give BSDS500"
        )
    return complete
