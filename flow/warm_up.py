"""Compile all loops of the usual ways before they are needed."""

from __future__ import annotations

import numpy as np

from flow.pipeline import estimate_flow
from flow.synthetic import demo_scene
from patchbatch.models import load_descriptor

_PRESETS = ("default", "kitti", "middlebury")  # those of the films take the same ways as "default"


def warm_up(device: str = "auto") -> None:
    """Estimate the flow of small scenes with each of this project's own presets, in colour and in grey.

    What is compiled is kept, see `patchbatch.compiled`, so programs that start later find it.

    Parameters
    ----------
    device
        See `patchbatch.devices`.
    """
    scene = demo_scene(96, 128)
    model = load_descriptor("compact", device)
    for preset in _PRESETS:
        for image1, image2 in (
            (scene.image1, scene.image2),
            (scene.image1.mean(axis=2, dtype=np.float32), scene.image2.mean(axis=2, dtype=np.float32)),
        ):
            estimate_flow(image1, image2, model, preset=preset)
