"""Batch normalisation: fine-grained against a loop, and both kinds shared between processes."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from patchbatch.descriptors.network import normalization
from patchbatch.descriptors.network.normalization import ChannelBatchNorm, FineGrainedBatchNorm


def slow_fine_grained(x, weight, bias, eps):
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                unit = x[:, c, i, j]
                std = np.sqrt(((unit - unit.mean()) ** 2).mean() + eps)
                out[:, c, i, j] = (unit - unit.mean()) / std * weight[c, i, j] + bias[c, i, j]
    return out


def test_fine_grained_normalization_in_training():
    norm = FineGrainedBatchNorm(3, 4, 5)
    x = torch.randn(7, 3, 4, 5) * 3 + 1
    expected = slow_fine_grained(x.numpy(), norm.weight.detach().numpy(), norm.bias.detach().numpy(), 1e-3)
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    std = (x.var(0, unbiased=False) + 1e-3).sqrt()
    torch.testing.assert_close(norm.running_mean, 0.01 * x.mean(0))
    torch.testing.assert_close(norm.running_std, 0.99 + 0.01 * std)


def test_fine_grained_normalization_in_evaluation_divides_by_the_stored_deviation():
    norm = FineGrainedBatchNorm(1, 1, 2).eval()
    norm.running_mean.copy_(torch.tensor([[[1.0, 2.0]]]))
    norm.running_std.copy_(torch.tensor([[[2.0, 4.0]]]))
    norm.weight.data.copy_(torch.tensor([[[3.0, 1.0]]]))
    norm.bias.data.copy_(torch.tensor([[[0.5, 0.0]]]))
    out = norm(torch.tensor([[[[5.0, 6.0]]]]))
    torch.testing.assert_close(out, torch.tensor([[[[6.5, 1.0]]]]))


def test_gradients_of_fine_grained_normalization():
    norm = FineGrainedBatchNorm(2, 2, 2).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def forward(x):
        norm.running_mean.zero_()
        norm.running_std.fill_(1)
        return norm(x)

    assert torch.autograd.gradcheck(forward, (x,))


def layers():
    torch.manual_seed(3)
    fine, channel = FineGrainedBatchNorm(3, 4, 5), ChannelBatchNorm(3)
    with torch.no_grad():
        channel.weight.uniform_(0.5, 2)
        channel.bias.normal_()
    return fine, channel


def run(layer, x, weights):
    x = x.clone().requires_grad_()
    y = layer(x)
    (y * weights).sum().backward()
    running = [b for b in layer.buffers() if b.is_floating_point()]
    return [y.detach(), x.grad, layer.weight.grad, layer.bias.grad, *running]


@pytest.fixture
def alone(tmp_path):
    """A group of processes that has one member."""
    dist.init_process_group("gloo", f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


# The all_reduce with gradients that the layers use is deprecated in newer torch.
@pytest.mark.filterwarnings("ignore:torch.distributed.nn.functional.all_reduce:FutureWarning")
def test_shared_statistics_of_one_process_are_its_own(alone, monkeypatch):
    """Output, gradients and running statistics by the formulas for many processes, and by those for one."""
    generator = torch.Generator().manual_seed(1)
    x, weights = torch.randn(2, 4, 3, 4, 5, generator=generator)
    own = [run(layer, x, weights) for layer in layers()]
    monkeypatch.setattr(normalization, "shares_statistics", lambda: True)
    for layer, expected in zip(layers(), own, strict=True):
        for mine, theirs in zip(run(layer, x, weights), expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def one_of_two(rank, port, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(2, 8, 3, 4, 5, generator=generator)
    half = slice(4 * rank, 4 * rank + 4)
    torch.save([run(layer, x[half], weights[half]) for layer in layers()], folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_normalise_as_one_with_the_whole_batch(tmp_path, free_port):
    mp.spawn(one_of_two, (free_port, tmp_path), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(2, 8, 3, 4, 5, generator=generator)
    for index, layer in enumerate(layers()):
        y, x_grad, weight_grad, bias_grad, *running = run(layer, x, weights)
        first, second = parts[0][index], parts[1][index]
        close = {"rtol": 1e-4, "atol": 1e-5}
        torch.testing.assert_close(torch.cat([first[0], second[0]]), y, **close)
        torch.testing.assert_close(torch.cat([first[1], second[1]]), x_grad, **close)
        torch.testing.assert_close(first[2] + second[2], weight_grad, **close)
        torch.testing.assert_close(first[3] + second[3], bias_grad, **close)
        for mine, theirs, together in zip(first[4:], second[4:], running, strict=True):
            torch.testing.assert_close(mine, together, **close)
            torch.testing.assert_close(theirs, together, **close)
