"""How each public data set lies on disk: the rules that turn a folder tree into frame pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FlowPair:
    """Where the two frames of a pair and its ground truth lie.

    Attributes
    ----------
    dataset
        A key of `DATASETS`.
    name
        Name within the data set: `"000002"`, `"alley_1/frame_0002"`, `"RubberWhale"`, `"00001"`.
    image1, image2
        The two frames.
    flow
        True flow of every known pixel, occluded ones included; a disparity for the two stereo sets.
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
    flow: Path
    noc: Path | None = None
    obj_map: Path | None = None
    occlusion: Path | None = None
    invalid: Path | None = None

    def is_complete(self) -> bool:
        """Tell whether both frames and the truth are there; a partial copy often lacks some."""
        return self.image1.is_file() and self.image2.is_file() and self.flow.is_file()


@dataclass(frozen=True)
class Layout:
    """How one data set lies on disk.

    Attributes
    ----------
    folders
        Names that its folder usually has, looked for below the root before any other folder.
    expected
        One line for the error message: what the folder should hold.
    pairs
        Lists the pairs of a folder of this kind, given the Sintel rendering.
    """

    folders: tuple[str, ...]
    expected: str
    pairs: Callable[[Path, str], Iterator[FlowPair]]


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _first_folder(base: Path, *names: str) -> Path:
    """Return the first of the sub-folders that exists, else the last one named."""
    return next((base / name for name in names if (base / name).is_dir()), base / names[-1])


def _kitti(base: Path, dataset: str, image_folders: tuple[str, ...]) -> Iterator[FlowPair]:
    training = _first_folder(base, "training", ".")
    images = _first_folder(training, *image_folders)
    for flow in training.glob("flow_occ/*_10.png"):
        number = flow.name.removesuffix("_10.png")
        yield FlowPair(
            dataset,
            number,
            images / f"{number}_10.png",
            images / f"{number}_11.png",
            flow,
            noc=_existing(training / "flow_noc" / flow.name),
            obj_map=_existing(training / "obj_map" / flow.name),
        )


def _kitti2012(base: Path, _rendering: str) -> Iterator[FlowPair]:
    return _kitti(base, "kitti2012", ("image_0", "colored_0"))


def _kitti2015(base: Path, _rendering: str) -> Iterator[FlowPair]:
    return _kitti(base, "kitti2015", ("image_2",))


def _kitti2012_stereo(base: Path, _rendering: str) -> Iterator[FlowPair]:
    training = _first_folder(base, "training", ".")
    left = _first_folder(training, "image_0", "colored_0")
    right = training / left.name.replace("0", "1")
    for disparity in training.glob("disp_occ/*_10.png"):
        name = disparity.name
        yield FlowPair(
            "kitti2012_stereo",
            name.removesuffix("_10.png"),
            left / name,
            right / name,
            disparity,
            noc=_existing(training / "disp_noc" / name),
        )


def _sintel(base: Path, rendering: str) -> Iterator[FlowPair]:
    training = _first_folder(base, "training", ".")
    frames = training / rendering
    for flow in training.glob("flow/*/frame_*.flo"):
        scene, stem = flow.parent.name, flow.stem
        number = stem.removeprefix("frame_")
        if not number.isdecimal():
            continue
        yield FlowPair(
            "sintel",
            f"{scene}/{stem}",
            frames / scene / f"{stem}.png",
            frames / scene / f"frame_{int(number) + 1:04d}.png",
            flow,
            occlusion=_existing(training / "occlusions" / scene / f"{stem}.png"),
            invalid=_existing(training / "invalid" / scene / f"{stem}.png"),
        )


def _middlebury(base: Path, _rendering: str) -> Iterator[FlowPair]:
    for flow in base.glob("other-gt-flow/*/flow10.flo"):
        frames = base / "other-data" / flow.parent.name
        yield FlowPair("middlebury", frames.name, frames / "frame10.png", frames / "frame11.png", flow)


def _middlebury_stereo(base: Path, _rendering: str) -> Iterator[FlowPair]:
    for disparity in base.glob("*/disp2.png"):
        scene = disparity.parent
        yield FlowPair("middlebury_stereo", scene.name, scene / "im2.png", scene / "im6.png", disparity)


def _chairs(base: Path, _rendering: str) -> Iterator[FlowPair]:
    folder = _first_folder(base, "data", ".")
    for flow in folder.glob("*_flow.flo"):
        name = flow.name.removesuffix("_flow.flo")
        yield FlowPair("chairs", name, folder / f"{name}_img1.ppm", folder / f"{name}_img2.ppm", flow)


DATASETS: dict[str, Layout] = {
    "kitti2012": Layout(
        ("kitti2012", "data_stereo_flow"),
        "training/image_0 (or colored_0) with NNNNNN_10.png, NNNNNN_11.png and training/flow_occ",
        _kitti2012,
    ),
    "kitti2015": Layout(
        ("kitti2015", "data_scene_flow"),
        "training/image_2 with NNNNNN_10.png, NNNNNN_11.png and training/flow_occ",
        _kitti2015,
    ),
    "sintel": Layout(
        ("sintel", "MPI-Sintel-complete", "MPI-Sintel"),
        "training/RENDERING/SCENE/frame_NNNN.png and training/flow/SCENE/frame_NNNN.flo",
        _sintel,
    ),
    "middlebury": Layout(
        ("middlebury",),
        "other-data/SCENE/frame10.png, frame11.png and other-gt-flow/SCENE/flow10.flo",
        _middlebury,
    ),
    "chairs": Layout(
        ("chairs", "FlyingChairs_release", "FlyingChairs"),
        "data/NNNNN_img1.ppm, NNNNN_img2.ppm and NNNNN_flow.flo",
        _chairs,
    ),
    "kitti2012_stereo": Layout(
        ("kitti2012_stereo", "kitti2012", "data_stereo_flow"),
        "image_0 and image_1 (or colored_0, colored_1) with NNNNNN_10.png and disp_occ",
        _kitti2012_stereo,
    ),
    "middlebury_stereo": Layout(
        ("middlebury_stereo",), "SCENE/im2.png, SCENE/im6.png and SCENE/disp2.png", _middlebury_stereo
    ),
}
