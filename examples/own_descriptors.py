"""Descriptors that the package does not know, for `--model examples.own_descriptors:NAME`.

    patchbatch-flow a.png b.png --model examples.own_descriptors:dense_sift

from the folder that holds `examples`. A factory takes no arguments and returns a `Descriptor`, or a patch
network `(N, 1, P, P) -> (N, D)` with an attribute `patch_size`; nothing else is needed.
"""

import os

import cv2
import kornia.feature as KF
import numpy as np
import torch
from safetensors.torch import load_file

from patchbatch.descriptors import DenseDescriptor, Descriptor


def dense_sift() -> Descriptor:
    """Kornia's dense SIFT with root normalisation: 128 numbers from 4 x 4 cells of 4 px."""
    cells, cell_px = 4, 4
    sift = KF.DenseSIFTDescriptor(num_spatial_bins=cells, spatial_bin_size=cell_px, padding=0)
    before = cells * cell_px // 2
    around = (before, cells * cell_px - before)  # of the described pixel, on both axes

    def describe(image: np.ndarray) -> torch.Tensor:
        # Mirrored, so that there is a window for every pixel; what the window overhangs more is cut off.
        padded = np.pad(image, (around, around), mode="symmetric")
        maps = sift(torch.from_numpy(padded)[None, None])[0]  # (128, H', W')
        top, left = ((have - want) // 2 for have, want in zip(maps.shape[1:], image.shape, strict=True))
        return maps[:, top : top + image.shape[0], left : left + image.shape[1]].permute(1, 2, 0)

    return DenseDescriptor("dense-sift", describe, dimension=128, reach=max(around))


def root_sift() -> Descriptor:
    """OpenCV's SIFT, upright, at every pixel, as roots of its shares (Arandjelovic & Zisserman 2012)."""
    border, diameter = 24, 4 / 1.5  # px around an image; cells of 4 px
    sift = cv2.SIFT.create()

    def describe(image: np.ndarray) -> np.ndarray:
        padded = np.pad(np.rint(image * 255).astype(np.uint8), border, mode="symmetric")
        height, width = image.shape
        rows = []
        for y in range(height):  # keypoints are Python objects: a row of them at a time
            keypoints = [
                cv2.KeyPoint(float(x + border), float(y + border), diameter, 0.0) for x in range(width)
            ]
            rows.append(sift.compute(padded, keypoints)[1])
        shares = np.stack(rows)  # (H, W, 128)
        return np.sqrt(shares / np.maximum(shares.sum(axis=2, keepdims=True), 1e-9))

    return DenseDescriptor("root-sift", describe, dimension=128, reach=border)


def tfeat() -> torch.nn.Module:
    """TFeat (Balntas et al. 2016), a patch network of 32 px, with weights from `$TFEAT_WEIGHTS`."""
    network = KF.TFeat(pretrained=False)
    network.load_state_dict(load_file(os.environ["TFEAT_WEIGHTS"]))
    return network


def hardnet() -> torch.nn.Module:
    """HardNet (Mishchuk et al. 2017), a patch network of 32 px, untrained: random weights already match."""
    torch.manual_seed(0)
    return KF.HardNet(pretrained=False)
