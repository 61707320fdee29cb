"""How the KITTI data sets lie on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair, existing, first_folder, testing_folder


def kitti2012_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs of KITTI 2012 in its folder, grey or in colour."""
    return _flow_pairs(base, "kitti2012", ("image_0", "colored_0"))


def kitti2015_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs of KITTI 2015 in its folder."""
    return _flow_pairs(base, "kitti2015", ("image_2",))


def _flow_pairs(base: Path, dataset: str, image_folders: tuple[str, ...]) -> Iterator[FlowPair]:
    training = first_folder(base, "training", ".")
    images = first_folder(training, *image_folders)
    for flow in training.glob("flow_occ/*_10.png"):
        number = flow.name.removesuffix("_10.png")
        yield FlowPair(
            dataset,
            number,
            images / f"{number}_10.png",
            images / f"{number}_11.png",
            flow,
            noc=existing(training / "flow_noc" / flow.name),
            obj_map=existing(training / "obj_map" / flow.name),
        )


def kitti2012_testing(base: Path) -> Iterator[FlowPair]:
    """List the pairs of KITTI 2012 without truth in its folder."""
    return _testing_pairs(base, "kitti2012", ("image_0", "colored_0"))


def kitti2015_testing(base: Path) -> Iterator[FlowPair]:
    """List the pairs of KITTI 2015 without truth in its folder."""
    return _testing_pairs(base, "kitti2015", ("image_2",))


def _testing_pairs(base: Path, dataset: str, image_folders: tuple[str, ...]) -> Iterator[FlowPair]:
    testing = testing_folder(base, "testing")
    if testing is None:
        return
    images = first_folder(testing, *image_folders)
    for frame in images.glob("*_10.png"):
        number = frame.name.removesuffix("_10.png")
        yield FlowPair(dataset, number, frame, images / f"{number}_11.png", None)


def kitti2012_stereo_pairs(base: Path) -> Iterator[FlowPair]:
    """List the stereo pairs of KITTI 2012 in its folder: left and right frame, and the disparity."""
    training = first_folder(base, "training", ".")
    left = first_folder(training, "image_0", "colored_0")
    right = training / left.name.replace("0", "1")
    for disparity in training.glob("disp_occ/*_10.png"):
        name = disparity.name
        yield FlowPair(
            "kitti2012_stereo",
            name.removesuffix("_10.png"),
            left / name,
            right / name,
            disparity,
            noc=existing(training / "disp_noc" / name),
        )
