"""torchvision's RAFT beside this project's flow, for `--method NAME=module:function`.

    export RAFT_WEIGHTS=raft_large_C_T_SKHT_V2-ff5fadd5.pth
    python -m benchmarks flow kitti2015 DATA --method patchbatch raft=examples.torchvision_raft:raft

from the folder that holds `examples`. torchvision is not a dependency of this project; the weights are a file
of torchvision's (`raft_large_*.pth` or `raft_small_*.pth`) that you have. Any other network is taken in the
same way: a function of two frames, uint8 RGB `(H, W, 3)`, that returns the flow `(H, W, 2)` in pixels.
"""

import os
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from patchbatch.errors import PatchBatchError

try:
    from torchvision.models.optical_flow import raft_large, raft_small
except ImportError:
    raise PatchBatchError("this example needs torchvision; pip install torchvision") from None

WEIGHTS = os.environ.get("RAFT_WEIGHTS", "")
if not os.path.isfile(WEIGHTS):
    raise PatchBatchError(f"RAFT_WEIGHTS is {WEIGHTS!r}; set it to a file of torchvision's weights for RAFT")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
UPDATES = 12  # as in torchvision; its published figures of KITTI and Sintel are of 24 and 32
LEAST_SIDE = 128  # of a frame that its correlation pyramid has room for


@cache
def network() -> torch.nn.Module:
    """Return RAFT with the user's weights, made once."""
    state = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
    # Only the large one has a predictor of upsampling masks.
    make = raft_large if any(name.startswith("mask_predictor") for name in state) else raft_small
    raft_net = make(weights=None)
    raft_net.load_state_dict(state)
    return raft_net.eval().to(DEVICE)


@torch.inference_mode()
def raft(frame1: np.ndarray, frame2: np.ndarray) -> np.ndarray:
    """Return the flow `(H, W, 2)` px from frame 1 to frame 2, uint8 `(H, W, 3)`."""
    height, width = frame1.shape[:2]
    sides = [max(LEAST_SIDE, -(-side // 8) * 8) for side in (height, width)]  # whole multiples of 8
    below, right = sides[0] - height, sides[1] - width
    batch = torch.from_numpy(np.stack([frame1, frame2])).to(DEVICE).permute(0, 3, 1, 2)
    padded = F.pad(batch / 127.5 - 1, (0, right, 0, below), mode="replicate")
    flow = network()(padded[:1], padded[1:], num_flow_updates=UPDATES)[-1][0]
    return flow[:, :height, :width].permute(1, 2, 0).cpu().numpy()
