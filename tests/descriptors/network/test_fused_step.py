"""The fused layers of a training step against the plain ones, values and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from patchbatch.descriptors.network.fused_step import is_fusible, normalize_pool_activate
from patchbatch.descriptors.network.normalization import FineGrainedBatchNorm


def _both(size, partial, dtype, count=9, channels=5):
    torch.manual_seed(size)
    norm = FineGrainedBatchNorm(channels, size, size)
    with torch.no_grad():
        norm.weight.copy_(torch.randn_like(norm.weight))  # some gains are negative
        norm.bias.normal_()
    other = copy.deepcopy(norm)
    x = (3 + 2 * torch.randn(count, channels, size, size)).to(dtype).to(memory_format=torch.channels_last)
    x1, x2 = x.clone().requires_grad_(), x.float().requires_grad_()
    fused = normalize_pool_activate(x1, norm, partial, 0.1)
    plain = F.leaky_relu(F.max_pool2d(other(x2), 2, ceil_mode=partial), 0.1)
    upstream = torch.randn_like(plain)
    fused.backward(upstream.to(dtype))
    plain.backward(upstream.to(dtype).float())
    return (norm, x1, fused), (other, x2, plain)


@pytest.mark.parametrize("size", [2, 3, 6, 7])
@pytest.mark.parametrize("partial", [True, False])
def test_values_gradients_and_running_statistics_are_those_of_the_plain_layers(size, partial):
    (norm, x1, fused), (other, x2, plain) = _both(size, partial, torch.float32)
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(fused, plain, **close)
    torch.testing.assert_close(x1.grad, x2.grad, **close)
    torch.testing.assert_close(norm.weight.grad, other.weight.grad, **close)
    torch.testing.assert_close(norm.bias.grad, other.bias.grad, **close)
    torch.testing.assert_close(norm.running_mean, other.running_mean, **close)
    torch.testing.assert_close(norm.running_std, other.running_std, **close)


def test_bfloat16_differs_by_its_rounding():
    (norm, x1, fused), (other, x2, plain) = _both(6, True, torch.bfloat16, count=64)
    assert fused.dtype == x1.grad.dtype == torch.bfloat16
    torch.testing.assert_close(fused.float(), plain, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(norm.weight.grad, other.weight.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(x1.grad.float(), x2.grad, rtol=1e-2, atol=1e-3)


def test_equal_values_pass_the_gradient_to_the_first():
    norm = FineGrainedBatchNorm(1, 2, 2)
    with torch.no_grad():
        norm.weight.fill_(1.0)
    x = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2).contiguous().requires_grad_()
    normalize_pool_activate(x, norm, True, 0.1)[0].sum().backward()
    assert norm.bias.grad.flatten().tolist() == [1.0, 0.0, 0.0, 0.0]


def test_only_training_on_the_cpu_is_fused():
    norm = FineGrainedBatchNorm(1, 2, 2)
    assert is_fusible(torch.zeros(1, 1, 2, 2), norm)
    assert not is_fusible(torch.zeros(1, 1, 2, 2), norm.eval())
    assert not is_fusible(torch.zeros(1, 1, 2, 2), torch.nn.BatchNorm2d(1))
    assert not is_fusible(torch.zeros(1, 1, 2, 2, dtype=torch.float64), norm.train())
