"""Matches as the HDF5 files of hloc: key points of each image, and which of a pair belong together.

hloc keeps pixel centres at whole numbers, as we do, and moves them itself when it writes a COLMAP database.
Layout after hloc's `utils/io.py` and `utils/parsers.py` (`names_to_pair`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flow.views.view_graph import ViewGraph
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError


def write_hloc(
    features: FilePath, matches: FilePath, graph: ViewGraph, *, pairs: FilePath | None = None
) -> None:
    """Write what `hloc.triangulation` and `hloc.reconstruction` read; old files are replaced.

    Parameters
    ----------
    features
        The .h5 file of key points: a group an image, `keypoints` (K, 2) in px, `scores` (K,), `image_size`.
    matches
        The .h5 file of matches: a group a pair, `matches0` (K,) int32 with -1 for none, and
        `matching_scores0` (K,).
    graph
        With at least one pair.
    pairs
        A text file to list the pairs in, two names a line, as hloc asks for; None: none.

    Raises
    ------
    PatchBatchError
        For an empty graph, names that hloc cannot tell apart, without h5py, or a file that cannot be written.
    """
    h5py = _h5py()
    views, joined = graph.views(), graph.pairs()
    if not views:
        raise PatchBatchError("the view graph has no pair; add one first")
    names = [_flat(view.name) for view in views]
    if len(set(names)) < len(names):
        raise PatchBatchError("two image names differ only in / and -, which hloc takes for one; rename one")
    with atomic_path(features) as temporary, h5py.File(temporary, "w") as file:
        for view in views:
            group = file.create_group(view.name)
            group["keypoints"], group["scores"] = view.keypoints, view.scores
            group["image_size"] = np.array(view.shape[::-1])
    with atomic_path(matches) as temporary, h5py.File(temporary, "w") as file:
        for pair in joined:
            group = file.create_group(f"{names[pair.first]}/{names[pair.second]}")
            partner = np.full(len(views[pair.first].keypoints), -1, np.int32)
            score = np.zeros(len(partner), np.float32)
            partner[pair.index[:, 0]], score[pair.index[:, 0]] = pair.index[:, 1], pair.scores
            group["matches0"], group["matching_scores0"] = partner, score
    if pairs is not None:
        lines = (f"{views[pair.first].name} {views[pair.second].name}\n" for pair in joined)
        with atomic_path(pairs) as temporary:
            temporary.write_text("".join(lines))


def _flat(name: str) -> str:
    return name.replace("/", "-")


def _h5py() -> Any:
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PatchBatchError(
            "hloc's files need h5py, which is not installed; pip install 'patchbatch[hloc]'"
        ) from error
    return h5py
