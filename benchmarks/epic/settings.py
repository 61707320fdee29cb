"""What is compared with the original EpicFlow program; nothing here needs torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arguments import AUTO
from benchmarks.epic.table import EDGES, REFINEMENTS
from flow.interpolation.settings import InterpolationSettings, interpolation_settings
from flow.interpolation.table import ESTIMATORS
from flow.presets import PRESETS
from flow.refinement.settings import RefinementSettings
from patchbatch.errors import PatchBatchError

FIGURES = "figures.json"
FOLDER, FRAMES = "epic_reference", "flow"
FAST_REFINEMENT = dict.fromkeys(PRESETS, RefinementSettings(method="opencv"))


@dataclass(frozen=True)
class EpicBenchmark:
    """What is compared with the original.

    Attributes
    ----------
    root
        Folder of the reference pairs, or the one that holds it as `epic_reference`.
    frames
        Folder of the frames and their truth; None for `flow` beside the references.
    estimator
        A name of `ESTIMATORS`, with the settings that belong to it.
    preset
        `"auto"` takes the one of the pair's data set.
    edges
        A name of `EDGES`, or weights of an edge network.
    refinement
        A name of `REFINEMENTS`; `"auto"` is own for the project's estimators, else original.
    refine
        False leaves the rows with refinement out.
    """

    root: str
    frames: str | None = None
    estimator: str = "affine"
    preset: str = AUTO
    edges: str = "given"
    refinement: str = AUTO
    refine: bool = True

    def folder(self) -> Path:
        """Return the folder of the references; raises `PatchBatchError` if there is none."""
        root = Path(self.root)
        for folder in (root, root / FOLDER):
            if (folder / FIGURES).is_file():
                return folder
        raise PatchBatchError(f"no {FIGURES} in {root}: give the folder of the EpicFlow references")

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each reference pair; raises `PatchBatchError` for a damaged file."""
        folder = self.folder()
        try:
            figures: dict[str, dict[str, Any]] = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
            return {name: figures[name] for name in sorted(figures) if (folder / name).is_dir()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise PatchBatchError(f"{folder / FIGURES} is not a table of figures: copy it again") from error

    def frames_folder(self) -> Path:
        """Return the folder of the frames."""
        return self.folder().parent / FRAMES if self.frames is None else Path(self.frames)

    def stage_settings(self, preset: str) -> tuple[InterpolationSettings, RefinementSettings]:
        """Return the settings of both stages for a pair whose data set has this preset."""
        name = PRESETS[preset if self.preset == AUTO else self.preset].kind
        kind = "original" if ESTIMATORS[self.estimator].epicflow else "own"
        refinements = REFINEMENTS[kind if self.refinement == AUTO else self.refinement].load()
        return interpolation_settings(self.estimator, name), refinements[name]

    def check(self) -> None:
        """Refuse what can be refused before anything is computed.

        Raises
        ------
        PatchBatchError
            For unknown names, files and folders that are not there.
        """
        if self.edges not in EDGES and not Path(self.edges).is_file():
            raise PatchBatchError(f"no file {self.edges}; give {', '.join(EDGES)}, or weights of a network")
        self.figures()
        if not self.frames_folder().is_dir():
            raise PatchBatchError(f"no folder {self.frames_folder()}: give the frames with --frames")
