"""What the completion could reach: at every node the candidate that the truth is nearest to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow.completion.evidence import gather_evidence
from flow.completion.nodes import STEP, Nodes, find_nodes
from flow.completion.readout import read_out
from flow.completion.scene import Scene
from flow.completion.settings import CompletionSettings
from flow.completion.stage import Completion
from patchbatch.data.datasets.pairs import Truth


def best_of_candidates(scene: Scene, settings: CompletionSettings, truth: Truth) -> Completion:
    """Complete a scene by what is true; nodes without truth in their square stay as they are interpolated.

    Parameters
    ----------
    scene, settings
        As `flow.completion.stage.complete` takes them.
    truth
        Of image 1.
    """
    nodes = find_nodes(scene, settings.settled, settings.planes)
    flow, known = _truth_at(nodes, truth)
    there = nodes.ids >= 0
    flows = gather_evidence(scene, nodes).flows
    error = np.linalg.norm(flows - flow[nodes.open][:, None], axis=-1)
    best = np.where(there, error, np.inf).argmin(axis=1)
    motion = nodes.ids[np.arange(len(best)), best][known[nodes.open]]
    models = nodes.models.copy()
    models[nodes.open & known] = np.concatenate(
        [nodes.motions.centres[motion], nodes.motions.models[motion]], axis=1
    )
    sure = np.ones(nodes.open.shape, np.float32)
    settled = scene.cells.confidence >= settings.settled
    return Completion(
        *read_out(
            nodes, models, sure, 1 - sure, scene.image1, scene.cells.flow, settled,
            settings.colour_reach,
        )
    )  # fmt: skip


def _truth_at(nodes: Nodes, truth: Truth) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the truth of nodes, `(R, C, 2)` px, the nearest in their square, and where there is one."""
    height, width = truth.valid.shape
    around = sorted(range(-STEP // 2, STEP // 2), key=abs)
    offsets = sorted(((dy, dx) for dy in around for dx in around), key=lambda o: o[0] ** 2 + o[1] ** 2)
    flow = np.zeros((*nodes.open.shape, 2), np.float32)
    known = np.zeros(nodes.open.shape, np.bool_)
    for dy, dx in offsets:
        at = np.ix_(np.clip(nodes.ys + dy, 0, height - 1), np.clip(nodes.xs + dx, 0, width - 1))
        new = truth.valid[at] & ~known
        flow[new], known = truth.flow[at][new], known | new
    return flow, known
