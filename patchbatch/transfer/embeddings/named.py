"""How the embeddings of `table.EMBEDDINGS` are made."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from patchbatch.models import WEIGHTS
from patchbatch.transfer.embeddings.detection import dlib_file
from patchbatch.transfer.embeddings.dlib_net import SIDE, DlibFaceNet
from patchbatch.transfer.embeddings.embedding import Bytes, Embedding
from patchbatch.transfer.multiverse.image_net import ImageNet, load_image_net

DLIB_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"


def faces_small(device: torch.device) -> Embedding:
    """Return our own small network."""
    net = load_image_net(WEIGHTS / "faces-small.safetensors", str(device))
    return of_image_net("faces-small", net)


def of_image_net(name: str, net: ImageNet) -> Embedding:
    """Return a network of our trainer as an embedding; a face is the mean of it and its mirror image."""

    def represent(crops: Bytes) -> NDArray[np.float32]:
        return net.embed(crops, mirrored=True)

    return Embedding(name, represent, "lfw", net.config.size, net.config.inputs == 1)


def dlib(device: torch.device) -> Embedding:
    """Return dlib's network, its weights from the package `face_recognition_models`.

    Raises
    ------
    PatchBatchError
        The package is not installed.
    """
    net = DlibFaceNet(dlib_file(DLIB_WEIGHTS)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def represent(crops: Bytes) -> NDArray[np.float32]:
        chips = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float()
        vectors: NDArray[np.float32] = net(chips).cpu().numpy()
        return vectors

    return Embedding("dlib", represent, "lfw", SIDE)
