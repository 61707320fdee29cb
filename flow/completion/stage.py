"""Choose the motion of what cannot be matched; say of every pixel how sure it is and whether it is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flow.completion.choices import choices_of
from flow.completion.evidence import gather_evidence
from flow.completion.network import SHIPPED, load_choice_network
from flow.completion.nodes import find_nodes
from flow.completion.readout import read_out
from flow.completion.scene import Scene
from flow.completion.settings import CompletionSettings


@dataclass(frozen=True)
class Completion:
    """A dense flow with what is known about it.

    Attributes
    ----------
    flow
        `(H, W, 2)` float32, px.
    confidence
        `(H, W)` float32 in [0, 1], the probability that the flow is within 3 px of the truth.
    occluded
        `(H, W)` float32 in [0, 1], the probability that the point is not seen in image 2: hidden, or outside.
    """

    flow: NDArray[np.float32]
    confidence: NDArray[np.float32]
    occluded: NDArray[np.float32]

    def hold(self, still: NDArray[np.bool_]) -> None:
        """Let pixels `(H, W)` that are known to stand still do so, in place."""
        self.flow[still], self.confidence[still], self.occluded[still] = 0, 1, 0


@torch.inference_mode()
def complete(
    scene: Scene, settings: CompletionSettings | None = None, device: str | torch.device = "cpu"
) -> Completion:  # fmt: skip
    """Let every pixel that the matches do not settle choose among the motions around it.

    Nodes on a grid of 4 px choose among the local models of cells up to 96 px away, of matches that were not
    believed, and of planes of the whole frame (`find_nodes`). A network scores them by what speaks for each
    (`gather_evidence`), in rounds in which nodes see what their neighbours chose. It never makes up a motion.
    Pixels then follow the nodes around them (`read_out`).

    Parameters
    ----------
    scene
        From `scene_of`.
    settings
        `CompletionSettings`; None takes the defaults.
    device
        Where the network computes; the rest runs on the CPU.

    Raises
    ------
    PatchBatchError
        If the weights cannot be read.
    """
    settings = settings or CompletionSettings()
    nodes = find_nodes(scene, settings.settled, settings.planes)
    choices = choices_of(nodes, gather_evidence(scene, nodes), device)
    verdict = load_choice_network(settings.weights or str(SHIPPED)).to(device)(choices, settings.rounds)
    grid = nodes.open.shape
    models = verdict.models.cpu().numpy().reshape(*grid, -1)
    right, hidden = (
        torch.sigmoid(each).cpu().numpy().reshape(grid) for each in (verdict.right, verdict.hidden)
    )
    settled = scene.cells.confidence >= settings.settled
    flow, confidence, occluded = read_out(
        nodes, models, right, hidden, scene.image1, scene.cells.flow, settled, settings.colour_reach
    )
    return Completion(flow, confidence, occluded)
