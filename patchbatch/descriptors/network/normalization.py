"""Batch normalisation, per channel and fine-grained, with statistics shared between processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def shares_statistics() -> bool:
    """Tell whether several processes train one network together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _shared_mean(x: Tensor) -> Tensor:
    """Mean over the processes of a value that each holds for equally many samples."""
    total: Tensor = all_reduce(x)  # type: ignore[no-untyped-call]
    return total / dist.get_world_size()


class FineGrainedBatchNorm(nn.Module):
    """Batch normalisation with one mean, deviation, gain and offset per channel, row and column.

    Source: Gadot & Wolf 2016; details (eps, running deviation instead of variance, gain in
    [0.95, 1.05]) from the authors' published layer. Under `torch.distributed` the statistics are those of
    the batches of all processes together.

    Parameters
    ----------
    channels, height, width
        Shape of one feature map.
    eps
        Added to the batch variance before the square root.
    momentum
        Share of the new batch in the running mean and deviation.

    Shape
    -----
    `(N, channels, height, width)` -> the same.
    """

    running_mean: Tensor
    running_std: Tensor

    def __init__(self, channels: int, height: int, width: int, eps: float = 1e-3, momentum: float = 0.01):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.empty(channels, height, width).uniform_(0.95, 1.05))
        self.bias = nn.Parameter(torch.zeros(channels, height, width))
        self.register_buffer("running_mean", torch.zeros(channels, height, width))
        self.register_buffer("running_std", torch.ones(channels, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a batch; in training mode with its own statistics, which also move the running ones."""
        if not self.training:
            gain = self.weight / self.running_std
            offset = self.bias - self.running_mean * gain
            # In the order of memory of channels-last maps: across it this takes several times as long.
            gain, offset = (p.permute(1, 2, 0).contiguous().to(x.dtype) for p in (gain, offset))
            return torch.addcmul(offset, x.permute(0, 2, 3, 1), gain).permute(0, 3, 1, 2)
        y, mean, std = self._normalized_together(x) if shares_statistics() else self._normalized(x)
        self.move_running(mean, std)
        return y

    @torch.no_grad()
    def move_running(self, mean: Tensor, std: Tensor) -> None:
        """Move the running statistics towards a batch's, `(channels, height, width)` each."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_std.lerp_(std, self.momentum)

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # With every unit a channel of its own this is torch's batch normalisation of (N, units): one kernel
        # with float32 sums. The units are taken in the order of memory, so that nothing is copied.
        rows = x.permute(0, 2, 3, 1).flatten(1)
        gain, offset = (p.permute(1, 2, 0).flatten() for p in (self.weight, self.bias))
        y, mean, inverse = torch.native_batch_norm(rows, gain, offset, None, None, True, 0.0, self.eps)
        channels, height, width = self.weight.shape
        shaped = y.view(-1, height, width, channels).permute(0, 3, 1, 2)
        in_place = [s.detach().view(height, width, channels).permute(2, 0, 1) for s in (mean, inverse)]
        return shaped, in_place[0], 1 / in_place[1]

    def _normalized_together(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        wide = x.float()
        mean = _shared_mean(wide.mean(dim=0))
        std = (_shared_mean((wide - mean).square().mean(dim=0)) + self.eps).sqrt()
        y = (wide - mean) / std * self.weight + self.bias
        return y.to(x.dtype), mean.detach(), std.detach()


class ChannelBatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose training statistics are those of all processes together.

    torch's own `SyncBatchNorm` needs GPUs; this one works with any backend.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)` per channel."""
        if not (self.training and shares_statistics()):
            return super().forward(input)
        wide = input.float()
        mean = _shared_mean(wide.mean(dim=(0, 2, 3)))
        centred = wide - mean[:, None, None]
        variance = _shared_mean(centred.square().mean(dim=(0, 2, 3)))
        self._move_running(mean.detach(), variance.detach(), input.numel() // input.shape[1])
        scaled = centred * ((variance + self.eps).rsqrt() * self.weight)[:, None, None]
        return (scaled + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _move_running(self, mean: Tensor, variance: Tensor, count: int) -> None:
        count *= dist.get_world_size()
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101 - types
        assert self.num_batches_tracked is not None and self.momentum is not None  # noqa: S101 - types
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum)
        self.num_batches_tracked += 1
