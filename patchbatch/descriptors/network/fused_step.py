"""Fine-grained normalisation, 2x2 max pooling and leaky ReLU of a training step in few passes over memory.

A network that works patch by patch spends most of a step on the CPU moving its widest maps through memory:
step by step these layers write and read them about ten times, forward and backward. Here the statistics are
one reading pass, the forward result is a second, and the gradient takes two, in which the place of each
maximum is found again rather than stored.

Reference: the plain layers (`FineGrainedBatchNorm`, `max_pool2d`, `leaky_relu`), which other devices run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from patchbatch.compiled import njit, prange
from patchbatch.descriptors.half_precision import number, shared_array, store
from patchbatch.descriptors.network.normalization import FineGrainedBatchNorm, shares_statistics
from patchbatch.descriptors.network.pooling import Maps, PlaceNorm, normalize_and_pool

# Columns whose sums are in the first-level cache while all patches are read.
COLUMNS_AT_ONCE = 1024


def is_fusible(x: Tensor, norm: torch.nn.Module) -> bool:
    """Tell whether `normalize_pool_activate` takes these maps: on the CPU, in training, in one process."""
    return (
        isinstance(norm, FineGrainedBatchNorm)
        and norm.training
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and not shares_statistics()
    )


def normalize_pool_activate(x: Tensor, norm: FineGrainedBatchNorm, partial: bool, slope: float) -> Tensor:
    """Normalise a training batch with its own statistics, pool and activate; moves the running statistics.

    Parameters
    ----------
    x
        `(N, C, S, S)` maps, float32 or bfloat16, best channels-last in memory.
    norm
        The normalisation of these maps.
    partial
        Whether pooling windows may hang over the right and bottom edge.
    slope
        Of the leaky ReLU for negative input.

    Returns
    -------
    Tensor
        `(N, C, P, P)`, P = S / 2 rounded up where windows hang over, else down; channels-last, like x.
    """
    pooled, mean, std = _Fused.apply(x, norm.weight, norm.bias, norm.eps, partial, slope)  # type: ignore[no-untyped-call]
    norm.move_running(mean, std)
    result: Tensor = pooled
    return result


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, partial: bool, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, channels, size, _ = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(count, -1)
        mean, std = np.empty(rows.shape[1], np.float32), np.empty(rows.shape[1], np.float32)
        _statistics(shared_array(rows), eps, mean, std)
        # Places in the order of memory: row, column, channel.
        mean_at, std_at = (torch.from_numpy(v).view(size, size, channels) for v in (mean, std))
        gain = weight.permute(1, 2, 0) / std_at
        offset = bias.permute(1, 2, 0) - mean_at * gain
        side = -(-size // 2) if partial else size // 2
        layer = PlaceNorm(gain.contiguous(), offset.contiguous(), slope, side)
        pooled = normalize_and_pool(Maps.whole(x), layer, x.dtype)
        ctx.save_for_backward(rows, layer.gain, layer.offset, mean_at, std_at)
        ctx.slope, ctx.side = slope, side
        mean_of, std_of = mean_at.permute(2, 0, 1), std_at.permute(2, 0, 1)
        ctx.mark_non_differentiable(mean_of, std_of)
        return pooled, mean_of, std_of

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, gain, offset, mean, std = ctx.saved_tensors
        size, _, channels = gain.shape
        count, side = len(rows), ctx.side
        upstream = gradients[0].permute(0, 2, 3, 1).to(rows.dtype).reshape(count, side, -1)
        sums = np.zeros((2, size, size * channels), np.float32)  # of the gradient; of it times the value
        gains, offsets, means = (v.reshape(size, -1).numpy() for v in (gain, offset, mean))
        shaped, given = shared_array(rows.view(count, size, -1)), shared_array(upstream)
        _gradient_sums(shaped, given, gains, offsets, means, np.float32(ctx.slope), channels, sums)
        of_bias, of_weight = (torch.from_numpy(total).view(size, size, channels) for total in sums)
        of_weight /= std
        along = -gain / std * of_weight / count
        constant = -gain * of_bias / count - along * mean
        # Without overhang an odd last row and column are in no window, and nothing arrives there.
        downstream = torch.empty_like(rows) if 2 * side >= size else torch.zeros_like(rows)
        _gradients(
            shaped, given, gains, offsets, np.float32(ctx.slope), channels,
            constant.reshape(size, -1).numpy(), along.reshape(size, -1).numpy(),
            shared_array(downstream.view(count, size, -1)),
        )  # fmt: skip
        of_weight, of_bias = of_weight.permute(2, 0, 1), of_bias.permute(2, 0, 1)
        maps = downstream.view(count, size, size, channels).permute(0, 3, 1, 2)
        return maps, of_weight, of_bias, None, None, None


@njit(parallel=True, fastmath={"contract"})
def _statistics(rows: Any, eps: float, mean: Any, std: Any) -> None:
    """Mean and deviation of each column; sums are taken about the first row, so that few digits are lost."""
    count, columns = rows.shape
    for block in prange(-(-columns // COLUMNS_AT_ONCE)):
        first, last = block * COLUMNS_AT_ONCE, min(columns, (block + 1) * COLUMNS_AT_ONCE)
        about = np.empty(last - first, np.float32)
        total, squares = np.zeros(last - first, np.float32), np.zeros(last - first, np.float32)
        for i in range(last - first):
            about[i] = number(rows[0, first + i])
        for n in range(1, count):
            row = rows[n, first:last]
            for i in range(last - first):
                value = number(row[i]) - about[i]
                total[i] += value
                squares[i] += value * value
        for i in range(last - first):
            middle = total[i] / count
            variance = max(squares[i] / count - middle * middle, np.float32(0))
            mean[first + i] = about[i] + middle
            std[first + i] = np.sqrt(variance + np.float32(eps))


@njit(parallel=True, fastmath={"contract"})
def _gradient_sums(
    rows: Any, upstream: Any, gain: Any, offset: Any, mean: Any, slope: Any, channels: int, sums: Any
) -> None:
    """Sum over the patches, for every place, the gradient that arrives, and it times the centred value."""
    count, side = upstream.shape[0], upstream.shape[1]
    for y in prange(side):
        upper, lower = 2 * y, min(2 * y + 1, rows.shape[1] - 1)
        arriving = np.zeros((2, rows.shape[2]), np.float32)
        normalized = np.empty((2, rows.shape[2]), np.float32)
        for n in range(count):
            _normalize(rows[n, upper], gain[upper], offset[upper], normalized[0])
            _normalize(rows[n, lower], gain[lower], offset[lower], normalized[1])
            _arrive(normalized, upstream[n, y], slope, channels, arriving)
            _add_up(arriving[0], rows[n, upper], mean[upper], sums[0, upper], sums[1, upper])
            if lower > upper:
                _add_up(arriving[1], rows[n, lower], mean[lower], sums[0, lower], sums[1, lower])


@njit(parallel=True, fastmath={"contract"})
def _gradients(
    rows: Any, upstream: Any, gain: Any, offset: Any, slope: Any, channels: int, constant: Any, along: Any,
    downstream: Any,
) -> None:  # fmt: skip
    """Write the gradient of every value: what arrives times the gain, `constant` and `along` the value."""
    count, side = upstream.shape[0], upstream.shape[1]
    for y in prange(side):
        upper, lower = 2 * y, min(2 * y + 1, rows.shape[1] - 1)
        arriving = np.zeros((2, rows.shape[2]), np.float32)
        normalized = np.empty((2, rows.shape[2]), np.float32)
        for n in range(count):
            _normalize(rows[n, upper], gain[upper], offset[upper], normalized[0])
            _normalize(rows[n, lower], gain[lower], offset[lower], normalized[1])
            _arrive(normalized, upstream[n, y], slope, channels, arriving)
            for part in range(1 + lower - upper):
                row = upper + part
                _combine(
                    arriving[part], rows[n, row], gain[row], constant[row], along[row], downstream[n, row]
                )


# The loops below are apart, and free of branches, so that the compiler can use vector registers.


@njit(fastmath={"contract"})
def _normalize(values: Any, gain: Any, offset: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        out[i] = number(values[i]) * gain[i] + offset[i]


@njit(fastmath={"contract"})
def _arrive(normalized: Any, given: Any, slope: Any, channels: int, arriving: Any) -> None:
    """Send each pooled value's gradient to the place that had the maximum, the first of equals."""
    for x in range(given.shape[0] // channels):
        left = 2 * x * channels
        right = min(left + channels, normalized.shape[1] - channels)
        a, b = normalized[0, left : left + channels], normalized[0, right : right + channels]
        c, d = normalized[1, left : left + channels], normalized[1, right : right + channels]
        upper, lower = arriving[0], arriving[1]
        gradient = given[x * channels : (x + 1) * channels]
        # The right ones first: where a window hangs over they are the left ones, which then overwrite them.
        _arrive_right(a, b, c, d, gradient, slope, upper[right:], lower[right:])
        _arrive_left(a, b, c, d, gradient, slope, upper[left:], lower[left:])


@njit(fastmath={"contract"})
def _arrive_left(a: Any, b: Any, c: Any, d: Any, gradient: Any, slope: Any, upper: Any, lower: Any) -> None:
    zero = np.float32(0)
    for k in range(a.shape[0]):
        best = max(a[k], b[k], c[k], d[k])
        g = number(gradient[k])
        g = g if best > 0 else slope * g
        first = (a[k] >= b[k]) & (a[k] >= c[k]) & (a[k] >= d[k])
        third = (c[k] > a[k]) & (c[k] > b[k]) & (c[k] >= d[k])
        upper[k] = g if first else zero
        lower[k] = g if third else zero


@njit(fastmath={"contract"})
def _arrive_right(a: Any, b: Any, c: Any, d: Any, gradient: Any, slope: Any, upper: Any, lower: Any) -> None:
    zero = np.float32(0)
    for k in range(a.shape[0]):
        best = max(a[k], b[k], c[k], d[k])
        g = number(gradient[k])
        g = g if best > 0 else slope * g
        second = (b[k] > a[k]) & (b[k] >= c[k]) & (b[k] >= d[k])
        fourth = (d[k] > a[k]) & (d[k] > b[k]) & (d[k] > c[k])
        upper[k] = g if second else zero
        lower[k] = g if fourth else zero


@njit(fastmath={"contract"})
def _add_up(arriving: Any, values: Any, mean: Any, total: Any, with_value: Any) -> None:
    for i in range(arriving.shape[0]):
        total[i] += arriving[i]
        with_value[i] += arriving[i] * (number(values[i]) - mean[i])


@njit(fastmath={"contract"})
def _combine(arriving: Any, values: Any, gain: Any, constant: Any, along: Any, out: Any) -> None:
    for i in range(arriving.shape[0]):
        store(out, i, arriving[i] * gain[i] + constant[i] + number(values[i]) * along[i])
