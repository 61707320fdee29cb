"""How FlyingChairs lies on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair, first_folder


def chairs_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs in the folder of FlyingChairs."""
    folder = first_folder(base, "data", ".")
    for flow in folder.glob("*_flow.flo"):
        name = flow.name.removesuffix("_flow.flo")
        yield FlowPair("chairs", name, folder / f"{name}_img1.ppm", folder / f"{name}_img2.ppm", flow)
