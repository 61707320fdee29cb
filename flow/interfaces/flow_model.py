"""The pipeline as a torch module with the interface of torchvision's flow models."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flow.pipeline import descriptor_of, estimate_flow
from flow.presets import PRESETS
from flow.results.result import FlowResult
from flow.settings import FlowSettings, flow_settings
from patchbatch.errors import PatchBatchError

# So far a resampling overshoots [-1, 1]; more is another scale.
_OVERSHOOT = 1.0


class FlowModel(nn.Module):
    """`model(image1, image2)` -> a list with one flow, as torchvision's `raft_large` has it.

    The network is a submodule, so that `.to(device)` moves it. The stages after matching run on the CPU, pair
    by pair, and there are no gradients: this is for programs that evaluate, not for those that train.

    Parameters
    ----------
    model
        A name, weights file, `package.module:factory`, network or `Descriptor`, as `estimate_flow` takes it;
        None takes the preset's.
    preset, settings, precision
        As for `estimate_flow`.

    Shape
    -----
    Two batches of images `(B, 3, H, W)` or `(B, 1, H, W)`, floats in [-1, 1] as torchvision's transforms make
    them, of any size -> `[(B, 2, H, W)]` float32 px on the device of the images, u to the right, v downward.

    Raises
    ------
    PatchBatchError
        For unknown names, and when called with other shapes, types or scales; images in [0, 1] lie in [-1, 1]
        too and pass for pale ones.

    Examples
    --------
    >>> from flow.synthetic import demo_scene
    >>> scene = demo_scene(64, 80)
    >>> frames = scene.image1, scene.image2
    >>> image1, image2 = (2 * torch.from_numpy(frame).permute(2, 0, 1)[None] - 1 for frame in frames)
    >>> [flow.shape for flow in FlowModel()(image1, image2)]
    [torch.Size([1, 2, 64, 80])]
    """

    def __init__(
        self, model: str | PathLike[str] | Any = None, *, preset: str = "default",
        settings: FlowSettings | None = None, precision: str = "auto",
    ):  # fmt: skip
        super().__init__()
        model = PRESETS[preset].model if model is None else model
        self.descriptor = descriptor_of(model, "cpu")
        self.settings = settings or flow_settings(preset)
        self.precision = precision
        self.eval()

    def forward(self, image1: Tensor, image2: Tensor, num_flow_updates: int | None = None) -> list[Tensor]:
        """Return the flow of each pair.

        `num_flow_updates`, which torchvision's scripts pass, says nothing here, as nothing iterates.
        """
        flows = [torch.from_numpy(result.flow).permute(2, 0, 1) for result in self.estimate(image1, image2)]
        return [torch.stack(flows).to(image1.device)]

    def estimate(self, image1: Tensor, image2: Tensor) -> list[FlowResult]:
        """Return all that is known of each pair: confidence, occlusion, matches.

        Parameters
        ----------
        image1, image2
            As the module is called with.
        """
        first, second = _checked(image1, "image 1"), _checked(image2, "image 2")
        if first.shape != second.shape:
            raise PatchBatchError(
                f"image 1 is {tuple(first.shape)} but image 2 is {tuple(second.shape)}; crop or resize one"
            )
        pairs = zip(first, second, strict=True)
        return [
            estimate_flow(one, other, self.descriptor, settings=self.settings, precision=self.precision)
            for one, other in pairs
        ]


def _checked(images: Any, name: str) -> Tensor:
    """Return a batch in [0, 1], on the CPU."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise PatchBatchError(f"{name} is {shape}; give a tensor (B, 3, H, W)")
    if not images.is_floating_point():
        raise PatchBatchError(
            f"{name} is {images.dtype}; give floats in [-1, 1], as torchvision's transforms do"
        )
    if images.device.type == "meta":
        raise PatchBatchError(f"{name} is on the device meta and holds no numbers; give another")
    values = images.detach().cpu().float()
    low, high = (float(bound) for bound in torch.aminmax(values)) if values.numel() else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PatchBatchError(f"{name} holds NaN or infinity; replace them")
    if low < -1 - _OVERSHOOT or high > 1 + _OVERSHOOT:
        raise PatchBatchError(
            f"{name} spans [{low:g}, {high:g}]; give floats in [-1, 1], as torchvision's transforms do"
        )
    return ((values + 1) / 2).clamp(0, 1)
