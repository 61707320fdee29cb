"""The pipeline as a model of ptlflow, for its validation and its metrics: needs `pip install ptlflow`.

from examples.ptlflow_model import PatchBatch
model = PatchBatch()  # or model="fast", preset="kitti"
predictions = model({"images": images})  # (B, 2, 3, H, W) in [0, 1], BGR as ptlflow's readers give it
"""

import torch
from ptlflow.models.base_model.base_model import BaseModel

from patchbatch import FlowModel


class PatchBatch(BaseModel):
    """`{"images": (B, 2, 3, H, W)}` -> "flows" `(B, 1, 2, H, W)`, "occs" and "confs" `(B, 1, 1, H, W)`."""

    def __init__(self, **choices):
        super().__init__(output_stride=1)  # any size is taken as it is
        self.flow_model = FlowModel(**choices)

    def forward(self, inputs):
        """Estimate the flow of each pair of a batch."""
        first, second = (2 * inputs["images"].flip(2) - 1).unbind(dim=1)  # RGB in [-1, 1]
        results = self.flow_model.estimate(first, second)
        flow = torch.stack([torch.from_numpy(result.flow).permute(2, 0, 1) for result in results])
        hidden, sure = (
            torch.stack([torch.from_numpy(getattr(result, name))[None] for result in results])
            for name in ("occluded", "confidence")
        )
        device = inputs["images"].device
        return {"flows": flow[:, None].to(device), "occs": hidden[:, None].to(device),
                "confs": sure[:, None].to(device)}  # fmt: skip
