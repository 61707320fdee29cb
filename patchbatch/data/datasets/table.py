"""The data sets by name; nothing here needs numpy or torch.

Adding one is an entry and a function that lists the pairs of its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair
from patchbatch.errors import PatchBatchError
from patchbatch.tables import Entry, Table, load_object


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
        The figures that its papers print, in their order; a table shows those.
    lead
        The one of them by which methods are compared.
    preset
        Name of the settings of the flow pipeline that belong to it (`flow.presets.PRESETS`).
    results
        Where a result for a pair is looked for, without suffix, in that order: `{name}` is the pair's name,
        `{upload}` that name as it is uploaded.
    other_frames_of
        A data set with the same scenes and truth, which stands for both where each scene counts once.
    testing
        A function like `target` for the pairs whose truth is not published; empty for a data set without any.
    testing_expected
        As `expected`, for those.
    stereo
        Whether the pairs are rectified stereo pairs, which move to the left only.
    """

    folders: tuple[str, ...] = ()
    expected: str = ""
    reader: str = "patchbatch.data.formats:read_flow"
    benchmark: str = ""
    figures: tuple[str, ...] = ("EPE", "Fl-all")
    lead: str = "EPE"
    preset: str = "default"
    results: tuple[str, ...] = ("{name}",)
    other_frames_of: str = ""
    testing: str = ""
    testing_expected: str = ""
    stereo: bool = False

    def pairs(self, folder: Path, *, testing: bool = False) -> list[FlowPair]:
        """List the complete pairs of a folder of this kind, sorted by name; none for another folder.

        Files and folders whose names begin with a dot are passed over.

        Parameters
        ----------
        folder
            Where to look.
        testing
            The pairs whose truth is not published in place of those with truth.

        Raises
        ------
        PatchBatchError
            If `testing` pairs are asked for of a data set that has none.
        """
        if testing and not self.testing:
            raise PatchBatchError(f"{self.name} has no testing pairs without truth; leave --testing out")
        listed: Iterator[FlowPair] = (load_object(self.testing) if testing else self.load())(folder)
        whole = (pair for pair in listed if pair.is_complete() and not pair.is_hidden(folder))
        return sorted(whole, key=lambda pair: pair.name)

    @property
    def judged_as(self) -> str:
        """The benchmark whose figures count."""
        return self.benchmark or self.name


_PLACE = "patchbatch.data.datasets"
_KITTI_RESULTS = ("flow/{name}_10", "{name}_10", "{name}")
_SINTEL = ("sintel", "MPI-Sintel-complete", "MPI-Sintel")
_SINTEL_FIGURES = (
    "EPE-pooled", "EPE-matched", "EPE-unmatched", "d0-10", "d10-60", "d60-140", "s0-10", "s10-40", "s40+",
)  # fmt: skip

DATASETS = Table(
    "data set",
    [
        Dataset(
            "kitti2015",
            "streets from a moving car, with other cars moving",
            f"{_PLACE}.kitti:kitti2015_pairs",
            folders=("kitti2015", "data_scene_flow"),
            expected="training/image_2 with NNNNNN_10.png, NNNNNN_11.png and training/flow_occ",
            figures=("Fl-bg", "Fl-fg", "Fl-all"),
            lead="Fl-all",
            preset="kitti",
            results=_KITTI_RESULTS,
            testing=f"{_PLACE}.kitti:kitti2015_testing",
            testing_expected="testing/image_2 with NNNNNN_10.png and NNNNNN_11.png",
        ),
        Dataset(
            "kitti2012",
            "streets from a moving car, all else at rest",
            f"{_PLACE}.kitti:kitti2012_pairs",
            folders=("kitti2012", "data_stereo_flow"),
            expected="training/image_0 (or colored_0) with NNNNNN_10.png, NNNNNN_11.png and "
            "training/flow_occ",
            figures=("Out-Noc", "Out-All", "Avg-Noc", "Avg-All"),
            lead="Out-Noc",
            preset="kitti",
            results=_KITTI_RESULTS,
            testing=f"{_PLACE}.kitti:kitti2012_testing",
            testing_expected="testing/image_0 (or colored_0) with NNNNNN_10.png and NNNNNN_11.png",
        ),
        Dataset(
            "sintel-final",
            "an animated film with motion blur and fog",
            f"{_PLACE}.sintel:final_pairs",
            folders=_SINTEL,
            expected="training/final/SCENE/frame_NNNN.png and training/flow/SCENE/frame_NNNN.flo",
            benchmark="sintel",
            figures=_SINTEL_FIGURES,
            lead="EPE-pooled",
            preset="sintel",
            results=("final/{upload}", "final/{name}", "{upload}", "{name}"),
            testing=f"{_PLACE}.sintel:final_testing",
            testing_expected="test/final/SCENE/frame_NNNN.png",
        ),
        Dataset(
            "sintel-clean",
            "the same film without blur and fog",
            f"{_PLACE}.sintel:clean_pairs",
            folders=_SINTEL,
            expected="training/clean/SCENE/frame_NNNN.png and training/flow/SCENE/frame_NNNN.flo",
            benchmark="sintel",
            figures=_SINTEL_FIGURES,
            lead="EPE-pooled",
            preset="sintel",
            results=("clean/{upload}", "clean/{name}", "{upload}", "{name}"),
            testing=f"{_PLACE}.sintel:clean_testing",
            testing_expected="test/clean/SCENE/frame_NNNN.png",
            other_frames_of="sintel-final",
        ),
        Dataset(
            "middlebury",
            "small scenes with small motion, in fine detail",
            f"{_PLACE}.middlebury:middlebury_pairs",
            folders=("middlebury",),
            expected="other-data/SCENE/frame10.png, frame11.png and other-gt-flow/SCENE/flow10.flo",
            figures=("AAE", "EPE", "R1"),
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
            lead="EPE-pooled",
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
