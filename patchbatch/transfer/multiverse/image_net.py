"""A trained network for labelled images: from pixels to a representation, and its weights file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchbatch.data.files import FilePath
from patchbatch.data.tensor_files import read_tensors, write_tensors
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.head import MultiverseHead, MultiverseSettings
from patchbatch.transfer.multiverse.networks import MultiverseNet, make_trunk
from patchbatch.transfer.multiverse.table import TrunkConfig

MEND = "make one with python -m patchbatch.transfer.train_images"
STAGE = "pool"
"""The last stage of both trunks, whose output is the representation."""
_MEAN, _STD = 0.45, 0.25
_LEAST_STD = 0.02  # of an image in [0, 1]: a flat one is not blown up to noise


def make_image_net(
    config: TrunkConfig, classes: int, copies: int, head: MultiverseSettings, seed: int
) -> MultiverseNet:
    """Return an untrained trunk with one multiverse head behind its representation.

    The trunk is drawn before the head, so that it is the same for any number of copies.
    """
    torch.manual_seed(seed)
    trunk = make_trunk(config)
    return MultiverseNet(trunk, {STAGE: MultiverseHead(config.features, classes, copies, head)})


def standardized(images: Tensor, config: TrunkConfig) -> Tensor:
    """Return images `(N, C, H, W)` in [0, 1] as the first convolution is to see them."""
    if config.standardization == "fixed":
        return (images - _MEAN) / _STD
    std, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True, correction=0)
    return (images - mean) / std.clamp_min(_LEAST_STD)


@dataclass(frozen=True)
class ImageNet:
    """A trained network, what it is made of, and what its file says beside.

    Attributes
    ----------
    net
        In evaluation mode.
    config
        Of its trunk.
    notes
        Texts of the file's header: what it learned from, and how.
    """

    net: MultiverseNet
    config: TrunkConfig
    notes: Mapping[str, str]

    @property
    def head(self) -> MultiverseHead:
        """The classifiers that it learned with."""
        head = self.net.heads[STAGE]
        assert isinstance(head, MultiverseHead)  # noqa: S101 - types
        return head

    @torch.inference_mode()
    def embed(
        self, images: NDArray[np.uint8], mirrored: bool = False, batch: int = 128
    ) -> NDArray[np.float32]:
        """Return the representation of images.

        Parameters
        ----------
        images
            `(N, H, W)` or `(N, H, W, 3)` uint8, as the network's `inputs` are: grey or RGB.
        mirrored
            Return the mean of the image's representation and its mirror image's, at twice the cost.
        batch
            Images at once.

        Returns
        -------
        ndarray
            `(N, features)` float32, of any length.

        Raises
        ------
        PatchBatchError
            For images of another kind than the network's.
        """
        grey = images.ndim == 3
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or grey != (self.config.inputs == 1):
            kind = "(N, H, W)" if self.config.inputs == 1 else "(N, H, W, 3)"
            raise PatchBatchError(
                f"images are {images.dtype} {images.shape}; this network takes {kind} uint8"
            )
        found = [np.zeros((0, self.config.features), np.float32)]
        for start in range(0, len(images), batch):
            some = as_input(images[start : start + batch])
            one = self._represented(some)
            both = (one + self._represented(some.flip(-1))) / 2 if mirrored else one
            found.append(both.float().cpu().numpy())
        return np.concatenate(found)

    def _represented(self, images: Tensor) -> Tensor:
        device = next(self.net.parameters()).device
        represented: Tensor = self.net(standardized(images.to(device), self.config))
        return represented


def as_input(images: NDArray[np.uint8]) -> Tensor:
    """Return uint8 images `(N, H, W[, 3])` as `(N, C, H, W)` float32 in [0, 1], channels last in memory."""
    batch = torch.from_numpy(np.ascontiguousarray(images))
    batch = batch[..., None] if batch.ndim == 3 else batch
    return batch.permute(0, 3, 1, 2).float().div_(255)


def save_image_net(
    net: MultiverseNet, config: TrunkConfig, path: FilePath, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network, its classifiers too, in half precision; the header says what it is.

    Parameters
    ----------
    net
        As `make_image_net` made it; parameters and running statistics are stored as float16.
    config
        Of its trunk.
    path
        Target file; written under a temporary name and moved.
    notes
        Further header entries, such as the data.
    """
    head = ImageNet(net, config, {}).head
    tensors = {
        name: value.half().cpu().numpy()
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    header = {
        "config": json.dumps(config.to_table()),
        "head": json.dumps({"classes": head.classes, "copies": head.copies}),
        "loss": json.dumps(head.settings.to_table()),
        **(notes or {}),
    }
    write_tensors(path, tensors, header)


def save_representation(judged: ImageNet, path: FilePath) -> None:
    """Write a network without what it learned to name: its file is smaller, and has no vector of any person.

    `load_image_net` reads it; its head is of two classes and all zeros.
    """
    head = MultiverseHead(judged.config.features, classes=2)
    for values in head.parameters():
        torch.nn.init.zeros_(values)
    trunk = judged.net.trunk
    assert isinstance(trunk, torch.nn.Sequential)  # noqa: S101 - types
    save_image_net(MultiverseNet(trunk, {STAGE: head}), judged.config, path, judged.notes)


def load_image_net(path: FilePath, device: str = "cpu") -> ImageNet:
    """Read a network that `save_image_net` wrote, in float32, in evaluation mode.

    Raises
    ------
    PatchBatchError
        When the file is missing, is not safetensors, is too large, or does not fit the settings it carries.
    """
    arrays, header = read_tensors(path, MEND)
    try:
        config = TrunkConfig.from_table(json.loads(header["config"]))
        head = json.loads(header["head"])
        settings = MultiverseSettings.from_table(json.loads(header["loss"]))
        net = make_image_net(config, int(head["classes"]), int(head["copies"]), settings, seed=0)
    except PatchBatchError as error:
        raise PatchBatchError(f"{path} describes no network of this version ({error}); {MEND}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PatchBatchError(f"{path} is no weights file of an image network; {MEND}") from error
    tensors = {name: torch.from_numpy(values).float() for name, values in arrays.items()}
    counters = {name: value for name, value in net.state_dict().items() if not value.is_floating_point()}
    try:
        net.load_state_dict(tensors | counters)
    except RuntimeError as error:
        raise PatchBatchError(f"the weights in {Path(path)} do not fit its header; {MEND}") from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise PatchBatchError(f"{path} holds values that are not finite; train it anew")
    resolved = resolve_device(device)
    kept = {name: text for name, text in header.items() if name not in ("config", "head", "loss")}
    return ImageNet(net.to(resolved).eval(), config, kept)
