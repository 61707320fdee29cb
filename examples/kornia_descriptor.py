"""The network as a descriptor of keypoints in kornia: `python examples/kornia_descriptor.py IMG1 IMG2`."""

import sys

import kornia.feature as KF
import torch
from kornia.geometry.subpix import nms2d

from patchbatch import load_model
from patchbatch.data import load_image, to_grey

net = load_model("compact")
detector = KF.CornerGFTT()
describer = KF.LAFDescriptor(net, patch_size=net.patch_size, grayscale_descriptor=True)


def keypoints(path: str, count: int = 500) -> tuple[torch.Tensor, torch.Tensor]:
    """Detect the strongest corners `(N, 2)` of an image and describe them `(N, D)`."""
    grey = torch.from_numpy(to_grey(load_image(path)))[None, None]
    with torch.no_grad():
        response = nms2d(detector(grey), (5, 5))[0, 0]
        index = response.flatten().topk(count).indices
        xy = torch.stack([index % grey.shape[3], index // grey.shape[3]], dim=1).float()
        # The network knows patches of 62 px at their own scale: half a side is the frame's scale.
        scale = torch.full((1, count, 1, 1), net.patch_size / 2)
        frames = KF.laf_from_center_scale_ori(xy[None], scale)
        return xy, describer(grey, frames)[0]


(xy1, described1), (xy2, described2) = keypoints(sys.argv[1]), keypoints(sys.argv[2])
distance, pairs = KF.match_smnn(described1, described2, 0.9)
motion = xy2[pairs[:, 1]] - xy1[pairs[:, 0]]
print(f"{len(pairs)} matches; median motion {motion.median(dim=0).values.tolist()} px")
