"""The talk's trunks by their parameter counts and shapes, a net with several heads, and the trainer."""

import pytest
import torch
from torch import nn

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.diagnostics import diagnose
from patchbatch.transfer.multiverse.head import MultiverseHead, MultiverseSettings
from patchbatch.transfer.multiverse.networks import MultiverseNet, NetworkInNetwork, ScratchNet
from patchbatch.transfer.multiverse.train import NetTrainSettings, train_net


def count(module, biases=True):
    return sum(p.numel() for name, p in module.named_parameters() if biases or not name.endswith("bias"))


def convolutions(net):
    return [
        (layer.kernel_size[0], layer.in_channels, layer.out_channels)
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def test_network_in_network_is_the_repaired_table():
    net = NetworkInNetwork()
    assert convolutions(net) == [
        (5, 3, 192), (1, 192, 160), (1, 160, 96),
        (5, 96, 192), (1, 192, 192), (1, 192, 192),
        (3, 192, 192), (1, 192, 192), (1, 192, 100),
    ]  # fmt: skip
    assert count(net) == 984_356
    assert count(MultiverseNet(net, {"pool": MultiverseHead(100, 100)})) == 994_456
    assert count(MultiverseNet(net, {"pool": MultiverseHead(100, 90)})) == 993_446


def test_scratch_net_is_the_table():
    net = ScratchNet()
    assert convolutions(net) == [
        (3, 1, 32), (3, 32, 64), (3, 64, 64), (3, 64, 128), (3, 128, 96), (3, 96, 192),
        (3, 192, 128), (3, 128, 256), (3, 256, 160), (3, 160, 320),
    ]  # fmt: skip
    assert count(net) == 1_752_768
    assert count(MultiverseNet(net, {"pool": MultiverseHead(320, 100)})) == 1_784_868
    whole = MultiverseNet(net, {"pool": MultiverseHead(320, 10_575)})
    assert count(whole) == 5_147_343
    assert count(whole, biases=False) == 5_135_328


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_heads_have_d_plus_1_numbers_for_each_class_and_copy(copies):
    assert count(MultiverseHead(100, 90, copies)) == copies * 9_090


def test_sizes_between_the_blocks_are_the_tables():
    net, x, sizes = NetworkInNetwork(), torch.zeros(1, 3, 32, 32), []
    for stage in net:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(96, 15, 15), (192, 7, 7), (100, 7, 7), (100,)]
    net, x, sizes = ScratchNet(), torch.zeros(1, 1, 100, 100), []
    for stage in net:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(64, 50, 50), (128, 25, 25), (192, 12, 12), (256, 6, 6), (320, 6, 6), (320,)]


@pytest.mark.parametrize(("make", "shape"), [(NetworkInNetwork, (3, 11, 11)), (ScratchNet, (1, 16, 16))])
def test_the_smallest_images(make, shape):
    assert make().eval()(torch.zeros(2, *shape)).shape == (2, make.features)


def test_the_signal_keeps_its_size_at_the_start():
    torch.manual_seed(0)
    with torch.no_grad():
        for net, shape in ((NetworkInNetwork(), (8, 3, 32, 32)), (ScratchNet(), (8, 1, 50, 50))):
            assert 0.05 < float(net.eval()(torch.randn(*shape)).std()) < 20


def test_scratch_features_may_be_negative():
    torch.manual_seed(0)
    assert float(ScratchNet().eval()(torch.randn(2, 1, 16, 16)).detach().min()) < 0


def small_net(copies=(2, 3), **settings):
    torch.manual_seed(0)
    head = MultiverseSettings(**settings)
    trunk = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    heads = {"1": MultiverseHead(6, 4, copies[0], head), "3": MultiverseHead(6, 4, copies[1], head)}
    return MultiverseNet(trunk, heads)


def test_heads_at_several_depths_see_their_stages_and_add_up():
    net = small_net()
    x, labels = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0])
    maps = net.trunk[1](net.trunk[0](x))
    expected = net.heads["1"](maps.mean((2, 3)), labels) + net.heads["3"](net.trunk(x), labels)
    torch.testing.assert_close(net(x, labels), expected)
    assert torch.equal(net(x), net.trunk(x))
    net(x, labels).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.heads.parameters())


def test_representation_is_the_trunks_output_wherever_the_heads_are():
    net = MultiverseNet(NetworkInNetwork().eval(), {"block2": MultiverseHead(192, 4)})
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(x), net.trunk(x))
    assert list(net.stage_outputs(x)) == ["block2", "pool"]


def test_state_round_trip_with_several_heads():
    net, other = small_net(inner_product="within"), small_net(inner_product="within")
    x, labels = torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1])
    net(x, labels)
    with torch.no_grad():
        net.heads["3"].weight.mul_(2)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(x, labels), other.eval()(x, labels))


@pytest.mark.parametrize("heads", [{}, {"pool": MultiverseHead(6, 4)}])
def test_heads_nowhere(heads):
    with pytest.raises(PatchBatchError, match="stages are 0, 1"):
        MultiverseNet(nn.Sequential(nn.Flatten(), nn.Linear(4, 6)), heads)


def clouds():
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(8).repeat(32)
    centres = 2 * torch.randn(8, 12, generator=random)
    return centres[labels] + 0.5 * torch.randn(256, 12, generator=random), labels


def cloud_net(copies=3, **settings):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 12))
    return MultiverseNet(trunk, {"2": MultiverseHead(12, 8, copies, MultiverseSettings(**settings))})


def test_training_learns_and_leaves_orthogonal_copies_that_agree():
    net, (x, labels) = cloud_net(orthogonality=0.05), clouds()
    losses = train_net(net, x, labels, NetTrainSettings(epochs=40, batch=64))
    found = diagnose(net.heads["2"], net(x))
    assert losses[-1] < 0.2 * losses[0]
    assert not net.training
    assert found.cosine < 0.02
    assert found.agreement > 0.98
    assert found.total_variation < 0.05


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_again_gives_the_same(precision):
    settings = NetTrainSettings(epochs=2, batch=100, precision=precision, seed=3)
    first, second = (train_net(cloud_net(), *clouds(), settings) for _ in range(2))
    assert first == second


def test_weight_decay_is_the_trunks_alone():
    settings = NetTrainSettings(epochs=1, batch=256, learning_rate=1e-3, weight_decay=10.0)
    net, plain = cloud_net(), cloud_net()
    train_net(net, *clouds(), settings)
    train_net(plain, *clouds(), NetTrainSettings(epochs=1, batch=256, learning_rate=1e-3, weight_decay=0.0))
    assert torch.equal(net.heads["2"].weight, plain.heads["2"].weight)
    assert float(net.trunk[0].weight.detach().norm()) < float(plain.trunk[0].weight.detach().norm())


def test_a_batch_larger_than_the_samples():
    with pytest.raises(PatchBatchError, match="1 to 256"):
        train_net(cloud_net(), *clouds(), NetTrainSettings(batch=257))


@pytest.mark.parametrize("settings", [{"learning_rate": 1e30}, {"learning_rate": 1e6, "momentum": 0.99}])
def test_a_loss_that_is_not_finite(settings):
    with pytest.raises(PatchBatchError, match="lower learning rate"):
        train_net(cloud_net(), *clouds(), NetTrainSettings(epochs=60, **settings))


def test_input_that_is_not_finite():
    x, labels = clouds()
    x[3, 2] = float("nan")
    with pytest.raises(PatchBatchError, match="not finite"):
        train_net(cloud_net(), x, labels, NetTrainSettings())
