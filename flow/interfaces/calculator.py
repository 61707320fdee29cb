"""The pipeline with the interface of OpenCV's dense flow: an object with `calc`."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.pipeline import descriptor_of, estimate_flow
from flow.presets import PRESETS
from flow.results.result import FlowResult
from flow.settings import FlowSettings, flow_settings
from patchbatch.data.given.images import ImageLike
from patchbatch.errors import PatchBatchError


class FlowCalculator:
    """`calc(prev, next, flow)`, as `cv2.DISOpticalFlow` has it; the model is loaded once.

    Colour arrays are RGB here, as everywhere in this package. Grey frames, which OpenCV's own methods ask
    for, need no thought; colour frames of `cv2.imread` are BGR: turn them round by `cv2.cvtColor`.

    Parameters
    ----------
    model
        As for `estimate_flow`; None takes the preset's.
    preset, settings, device, precision
        As for `estimate_flow`.

    Attributes
    ----------
    result
        The `FlowResult` of the last call: confidence, occlusion, matches; None before.

    Examples
    --------
    >>> from flow.synthetic import demo_scene
    >>> scene = demo_scene(64, 80)
    >>> FlowCalculator().calc(scene.image1, scene.image2, None).shape
    (64, 80, 2)
    """

    def __init__(
        self, model: str | PathLike[str] | Any = None, *, preset: str = "default",
        settings: FlowSettings | None = None, device: str = "auto", precision: str = "auto",
    ):  # fmt: skip
        model = PRESETS[preset].model if model is None else model
        self.descriptor = descriptor_of(model, device)
        self.settings = settings or flow_settings(preset)
        self.precision = precision
        self.result: FlowResult | None = None

    def calc(
        self,
        prev: ImageLike,
        next: ImageLike,
        flow: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the flow from one frame to the next.

        Parameters
        ----------
        prev, next
            As `estimate_flow` takes images.
        flow
            An array `(H, W, 2)` float32 to write the flow to; None makes one.

        Returns
        -------
        NDArray
            `(H, W, 2)` float32 px; `flow`, if one is given.

        Raises
        ------
        PatchBatchError
            As `estimate_flow`, and when `flow` has another shape or type.
        """
        self.result = estimate_flow(
            prev, next, self.descriptor, settings=self.settings, precision=self.precision
        )
        if flow is None:
            return self.result.flow
        if (
            not isinstance(flow, np.ndarray)
            or flow.dtype != np.float32
            or flow.shape != self.result.flow.shape
        ):
            given = f"{flow.dtype} {flow.shape}" if isinstance(flow, np.ndarray) else type(flow).__name__
            raise PatchBatchError(
                f"flow is {given}; give None, or a float32 array {self.result.flow.shape} to write to"
            )
        flow[:] = self.result.flow
        return flow
