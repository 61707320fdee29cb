"""Start a network from the weights of another."""

from __future__ import annotations

import torch
from torch import nn

from patchbatch.descriptors.network.normalization import ChannelBatchNorm, FineGrainedBatchNorm
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.errors import PatchBatchError


@torch.no_grad()
def start_from(net: PatchNet, other: PatchNet) -> None:
    """Copy convolutions and normalisation of another network of the same channels, in place.

    Statistics per channel go to every place of a fine-grained normalisation. Sides that the other network
    does not have start at zero, so that a dense network at first describes as the other does.

    Raises
    ------
    PatchBatchError
        When the channels differ, or the other network has fine-grained statistics of another shape.
    """
    if net.config.channels != other.config.channels:
        raise PatchBatchError(
            f"cannot start {net.config.channels} channels from {other.config.channels}; use the same preset"
        )
    for mine, theirs in zip(net.convolutions, other.convolutions, strict=True):
        mine.load_state_dict(theirs.state_dict())
    for norm, known in zip(net.normalizations, other.normalizations, strict=True):
        _start_normalization(norm, known)
    for number, side in net.sides.items():
        assert isinstance(side, nn.Conv2d)  # noqa: S101 - types
        if number in other.sides:
            side.load_state_dict(other.sides[number].state_dict())
        else:
            nn.init.zeros_(side.weight)
    _start_joining(net, other)


def _start_joining(net: PatchNet, other: PatchNet) -> None:
    """Copy how scales are joined, where both networks do it alike; otherwise it is learned anew."""
    if net.joining is not None and other.joining is not None and net.config.joint == other.config.joint:
        net.joining.load_state_dict(other.joining.state_dict())


def _start_normalization(norm: nn.Module, known: nn.Module) -> None:
    if isinstance(norm, FineGrainedBatchNorm) and isinstance(known, ChannelBatchNorm):
        assert known.running_mean is not None and known.running_var is not None  # noqa: S101 - types
        deviation = (known.running_var + known.eps).sqrt()
        for mine, theirs in (
            (norm.weight, known.weight), (norm.bias, known.bias),
            (norm.running_mean, known.running_mean), (norm.running_std, deviation),
        ):  # fmt: skip
            mine.copy_(theirs[:, None, None].expand_as(mine))
        return
    try:
        norm.load_state_dict(known.state_dict())
    except RuntimeError as error:
        raise PatchBatchError(
            "the normalisations do not fit each other; start from a network of the same patch size"
        ) from error
