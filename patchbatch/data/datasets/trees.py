"""A frame pair in a folder tree, and what listing such trees needs; nothing here needs numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FlowPair:
    """Where the two frames of a pair and its ground truth lie.

    Attributes
    ----------
    dataset
        A name of `patchbatch.data.datasets.table.DATASETS`.
    name
        Name within the data set: `"000002"`, `"alley_1/frame_0002"`, `"RubberWhale"`, `"00001"`.
    image1, image2
        The two frames.
    flow
        True flow of every known pixel, occluded ones included; a disparity for the stereo sets; None for the
        pairs of a testing tree, whose truth is not published.
    noc
        KITTI: truth of the pixels whose target lies inside the second frame.
    obj_map
        KITTI 2015: 0 = background, above 0 = a moving object.
    occlusion, invalid
        Sintel: masks, above 0 = occluded, invalid.
    """

    dataset: str
    name: str
    image1: Path
    image2: Path
    flow: Path | None
    noc: Path | None = None
    obj_map: Path | None = None
    occlusion: Path | None = None
    invalid: Path | None = None

    def is_complete(self) -> bool:
        """Tell whether all files are there, the truth if it is published; a partial copy often lacks some."""
        files = (self.image1, self.image2, *([] if self.flow is None else [self.flow]))
        return all(file.is_file() for file in files)

    def is_hidden(self, base: Path) -> bool:
        """Tell whether a file of the pair, or a folder of it below `base`, begins with a dot.

        Such files are no frames: macOS writes `._000000_10.png` beside every file of a copied folder.
        """
        files = (self.image1, self.image2, self.flow)
        return any(part.startswith(".") for file in files if file is not None for part in _below(base, file))


def _below(base: Path, file: Path) -> tuple[str, ...]:
    return file.relative_to(base).parts if file.is_relative_to(base) else (file.name,)


def existing(path: Path) -> Path | None:
    """Return a path if it is a file."""
    return path if path.is_file() else None


def testing_folder(base: Path, name: str) -> Path | None:
    """Return the folder of this name below `base`, or `base` itself if it has the name; None for neither."""
    if (base / name).is_dir():
        return base / name
    return base if base.name == name else None


def first_folder(base: Path, *names: str) -> Path:
    """Return the first of the sub-folders that exists, else the last one named."""
    return next((base / name for name in names if (base / name).is_dir()), base / names[-1])
