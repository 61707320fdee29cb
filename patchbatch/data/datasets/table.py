"""The data sets by name; nothing here needs numpy or torch.

Adding one is an entry and a function that lists the pairs of its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair
from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class Dataset(Entry):
    """Frame pairs with true flow, as they are published.

    Attributes
    ----------
    name, help
        As of every `Entry`.
    target
        A function `(folder) -> iterator of FlowPair` for a folder of this kind.
    folders
        Names that its folder usually has, looked for below a root before any other folder.
    expected
        One line for the error message: what the folder should hold.
    reader
        `package.module:function`, a file of its truth -> flow `(H, W, 2)` px and valid `(H, W)`.
    benchmark
        The public benchmark whose figures count for it; empty for one of its own name.
    figures
        Figures of that benchmark that tables show beside those that every data set has.
    preset
        Name of the settings of the flow pipeline that belong to it (`flow.presets.PRESETS`).
    results
        Where a result for a pair is looked for, without suffix, in that order: `{name}` is the pair's name,
        `{upload}` that name as it is uploaded.
    other_frames_of
        A data set with the same scenes and truth, which stands for both where each scene counts once.
    stereo
        Whether the pairs are rectified stereo pairs, which move to the left only.
    """

    folders: tuple[str, ...] = ()
    expected: str = ""
    reader: str = "patchbatch.data.formats:read_flow"
    benchmark: str = ""
    figures: tuple[str, ...] = ()
    preset: str = "default"
    results: tuple[str, ...] = ("{name}",)
    other_frames_of: str = ""
    stereo: bool = False

    def pairs(self, folder: Path) -> list[FlowPair]:
        """List the complete pairs of a folder of this kind, sorted by name; none for another folder."""
        listed: Iterator[FlowPair] = self.load()(folder)
        return sorted((pair for pair in listed if pair.is_complete()), key=lambda pair: pair.name)

    @property
    def judged_as(self) -> str:
        """The benchmark whose figures count."""
        return self.benchmark or self.name


_PLACE = "patchbatch.data.datasets"
_KITTI_RESULTS = ("flow/{name}_10", "{name}_10", "{name}")
_SINTEL = ("sintel", "MPI-Sintel-complete", "MPI-Sintel")
_SINTEL_FIGURES = ("EPE-matched", "EPE-unmatched", "s0-10", "s10-40", "s40+")

DATASETS = Table(
    "data set",
    [
        Dataset(
            "kitti2015",
            "streets from a moving car, with other cars moving",
            f"{_PLACE}.kitti:kitti2015_pairs",
            folders=("kitti2015", "data_scene_flow"),
            expected="training/image_2 with NNNNNN_10.png, NNNNNN_11.png and training/flow_occ",
            figures=("Fl-bg", "Fl-fg"),
            preset="kitti",
            results=_KITTI_RESULTS,
        ),
        Dataset(
            "kitti2012",
            "streets from a moving car, all else at rest",
            f"{_PLACE}.kitti:kitti2012_pairs",
            folders=("kitti2012", "data_stereo_flow"),
            expected="training/image_0 (or colored_0) with NNNNNN_10.png, NNNNNN_11.png and "
            "training/flow_occ",
            preset="kitti",
            results=_KITTI_RESULTS,
        ),
        Dataset(
            "sintel-final",
            "an animated film with motion blur and fog",
            f"{_PLACE}.sintel:final_pairs",
            folders=_SINTEL,
            expected="training/final/SCENE/frame_NNNN.png and training/flow/SCENE/frame_NNNN.flo",
            benchmark="sintel",
            figures=_SINTEL_FIGURES,
            preset="sintel",
            results=("final/{upload}", "final/{name}", "{upload}", "{name}"),
        ),
        Dataset(
            "sintel-clean",
            "the same film without blur and fog",
            f"{_PLACE}.sintel:clean_pairs",
            folders=_SINTEL,
            expected="training/clean/SCENE/frame_NNNN.png and training/flow/SCENE/frame_NNNN.flo",
            benchmark="sintel",
            figures=_SINTEL_FIGURES,
            preset="sintel",
            results=("clean/{upload}", "clean/{name}", "{upload}", "{name}"),
            other_frames_of="sintel-final",
        ),
        Dataset(
            "middlebury",
            "small scenes with small motion, in fine detail",
            f"{_PLACE}.middlebury:middlebury_pairs",
            folders=("middlebury",),
            expected="other-data/SCENE/frame10.png, frame11.png and other-gt-flow/SCENE/flow10.flo",
            figures=("AAE", "R0.5", "R1", "R2"),
            preset="middlebury",
            results=("{name}/flow10", "{name}"),
        ),
        Dataset(
            "chairs",
            "FlyingChairs: rendered chairs flying in front of photographs",
            f"{_PLACE}.chairs:chairs_pairs",
            folders=("chairs", "FlyingChairs_release", "FlyingChairs"),
            expected="data/NNNNN_img1.ppm, NNNNN_img2.ppm and NNNNN_flow.flo",
            figures=("EPE-pooled",),
            preset="sintel",  # as EpicFlow's authors did
            results=("{name}_flow", "{name}"),
        ),
        Dataset(
            "kitti2012_stereo",
            "left and right frames of KITTI 2012",
            f"{_PLACE}.kitti:kitti2012_stereo_pairs",
            folders=("kitti2012_stereo", "kitti2012", "data_stereo_flow"),
            expected="image_0 and image_1 (or colored_0, colored_1) with NNNNNN_10.png and disp_occ",
            reader=f"{_PLACE}.stereo:kitti_disparity_as_flow",
            preset="kitti",
            stereo=True,
        ),
        Dataset(
            "middlebury_stereo",
            "left and right frames of Middlebury 2003, quarter size",
            f"{_PLACE}.middlebury:middlebury_stereo_pairs",
            folders=("middlebury_stereo",),
            expected="SCENE/im2.png, SCENE/im6.png and SCENE/disp2.png",
            reader=f"{_PLACE}.stereo:middlebury_disparity_as_flow",
            preset="middlebury",
            stereo=True,
        ),
    ],
)
