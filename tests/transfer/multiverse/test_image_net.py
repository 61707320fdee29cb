"""Networks for labelled images: presets, their files, and what they make of images."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.head import MultiverseSettings
from patchbatch.transfer.multiverse.image_net import (
    STAGE,
    ImageNet,
    load_image_net,
    make_image_net,
    save_image_net,
    save_representation,
    standardized,
)
from patchbatch.transfer.multiverse.networks import make_trunk
from patchbatch.transfer.multiverse.table import NETWORKS, TrunkConfig

TINY = TrunkConfig("nin", (4, 4, 4, 4, 4, 4, 4, 4, 6), size=16, dropout=0.0, normalization="batch")
GREY = TrunkConfig("scratch", (2, 2, 2, 2, 2, 2, 2, 2, 2, 5), inputs=1, size=16, standardization="image")


def net_of(config, copies=2, product="within"):
    net = make_image_net(config, 3, copies, MultiverseSettings(inner_product=product), seed=1)
    net.train()
    for _ in range(3):  # so that running statistics are not those of a new one
        net(torch.randn(4, config.inputs, config.size, config.size))
    return net.eval()


def images_of(config, count=5):
    shape = (count, config.size, config.size, 3)[: 3 if config.inputs == 1 else 4]
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_presets_are_the_talks_and_a_quarter_of_them():
    for name in ("nin", "scratch"):
        whole, narrow = NETWORKS[name].config, NETWORKS[f"{name}-narrow"].config
        assert whole.normalization == "none"
        assert narrow.channels[:-1] == tuple(one // 4 for one in whole.channels[:-1])
        trunk = make_trunk(narrow).eval()
        image = torch.zeros(2, narrow.inputs, narrow.size, narrow.size)
        assert trunk(image).shape == (2, narrow.features) and trunk.features == narrow.features
    assert NETWORKS["nin-narrow"].config.features == 100  # room for orthogonal copies


def test_a_wrong_number_of_channels_is_refused():
    with pytest.raises(PatchBatchError, match="nin has 9 convolutions"):
        TrunkConfig("nin", (4, 4))


def test_the_trunk_is_the_same_for_any_number_of_copies():
    one, five = (make_image_net(TINY, 3, copies, MultiverseSettings(), seed=2) for copies in (1, 5))
    assert torch.equal(
        torch.cat([p.flatten() for p in one.trunk.parameters()]),
        torch.cat([p.flatten() for p in five.trunk.parameters()]),
    )


@pytest.mark.parametrize("config", [TINY, GREY], ids=["nin", "scratch"])
def test_a_file_is_read_back(config, tmp_path):
    net = net_of(config)
    save_image_net(net, config, tmp_path / "n.safetensors", {"data": "made"})
    read = load_image_net(tmp_path / "n.safetensors")
    assert (read.config, read.notes, read.head.copies) == (config, {"data": "made"}, 2)
    assert not read.net.training and read.head.settings.inner_product == "within"
    assert {value.dtype for value in load_file(tmp_path / "n.safetensors").values()} == {np.dtype("f2")}
    images = images_of(config)
    np.testing.assert_allclose(
        read.embed(images), ImageNet(net, config, {}).embed(images), rtol=0.02, atol=0.01
    )


@pytest.mark.parametrize("config", [TINY, GREY], ids=["nin", "scratch"])
def test_embedding_goes_in_batches_and_mirrors(config):
    judged, images = ImageNet(net_of(config), config, {}), images_of(config)
    whole = judged.embed(images)
    assert whole.shape == (5, config.features)
    np.testing.assert_allclose(judged.embed(images, batch=2), whole, atol=1e-5)
    both = judged.embed(images, mirrored=True)
    np.testing.assert_allclose(both, judged.embed(images[:, :, ::-1], mirrored=True), atol=1e-5)
    np.testing.assert_allclose(both, (whole + judged.embed(images[:, :, ::-1])) / 2, atol=1e-5)
    assert judged.embed(images[:0]).shape == (0, config.features)


def test_images_of_another_kind_are_refused():
    judged = ImageNet(net_of(GREY), GREY, {})
    for wrong in (np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 16, 16), np.float32)):
        with pytest.raises(PatchBatchError, match=r"takes \(N, H, W\) uint8"):
            judged.embed(wrong)


def test_light_is_taken_away_where_it_is_asked_for():
    image = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(
        standardized(image, GREY), standardized(0.5 * image + 0.2, GREY), rtol=1e-4, atol=1e-4
    )
    assert float(standardized(image, GREY).std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert torch.isfinite(standardized(torch.ones(1, 1, 8, 8), GREY)).all()
    torch.testing.assert_close(standardized(image, TINY), (image - 0.45) / 0.25)


def test_damaged_files_are_one_line(tmp_path):
    file = tmp_path / "n.safetensors"
    save_image_net(net_of(TINY), TINY, file)
    arrays = load_file(file)
    header = {"config": json.dumps(TINY.to_table()), "head": '{"classes": 3, "copies": 2}',
              "loss": json.dumps(MultiverseSettings(inner_product="within").to_table())}  # fmt: skip
    bad = dict(arrays) | {f"heads.{STAGE}.bias": np.full((2, 3), np.nan, np.float16)}
    for tensors, words, says in (
        (arrays, {}, "no weights file of an image network"),
        (arrays, header | {"head": '{"classes": 4, "copies": 2}'}, "do not fit its header"),
        (arrays, header | {"config": '{"layers": "vgg"}'}, "describes no network of this version"),
        (arrays, header | {"head": '{"classes": 1, "copies": 2}'}, "describes no network of this version"),
        (bad, header, "not finite"),
    ):
        save_file(tensors, file, metadata=words)
        with pytest.raises(PatchBatchError, match=says) as caught:
            load_image_net(file)
        assert "\n" not in str(caught.value)


def test_without_its_classifiers_a_network_represents_images_as_before(tmp_path):
    judged = ImageNet(net_of(GREY), GREY, {"data": "made"})
    whole, alone = tmp_path / "whole.safetensors", tmp_path / "alone.safetensors"
    save_image_net(judged.net, GREY, whole, judged.notes)
    save_representation(load_image_net(whole), alone)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    again = load_image_net(alone)
    np.testing.assert_array_equal(again.embed(images), load_image_net(whole).embed(images))
    assert not again.head.weight.any()
    assert again.notes == {"data": "made"}
