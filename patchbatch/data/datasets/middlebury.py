"""How the Middlebury data sets lie on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair


def middlebury_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs with truth in the folder of the flow data set."""
    for flow in base.glob("other-gt-flow/*/flow10.flo"):
        frames = base / "other-data" / flow.parent.name
        yield FlowPair("middlebury", frames.name, frames / "frame10.png", frames / "frame11.png", flow)


def middlebury_stereo_pairs(base: Path) -> Iterator[FlowPair]:
    """List the stereo pairs of 2003, in quarter size, in their folder."""
    for disparity in base.glob("*/disp2.png"):
        scene = disparity.parent
        yield FlowPair("middlebury_stereo", scene.name, scene / "im2.png", scene / "im6.png", disparity)
