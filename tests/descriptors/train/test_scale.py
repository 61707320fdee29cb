"""The scale at which descriptors of any length begin: at the margin of their loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from patchbatch.descriptors.network.config import PRESETS, PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import BatchLoss
from patchbatch.descriptors.train.loop import Trainer
from patchbatch.descriptors.train.objective import distance
from patchbatch.descriptors.train.scale import start_at_margin
from patchbatch.descriptors.train.settings import ObjectiveSettings, TrainSettings

DENSE = PatchNetConfig(
    patch_size=62, partial_windows=False, normalization="per-channel", channels=(3, 4, 4, 4, 6), sides=(2,)
)
PATCHWISE = replace(PRESETS["accurate"], channels=(3, 4, 4, 4, 6))


def model(config, loss, **options):
    torch.manual_seed(0)
    objective = ObjectiveSettings(loss=loss, options=tuple(options.items()))
    return BatchLoss(PatchNet(config).train(), objective, bfloat16=False, seed=0)


def batch(count=2, size=100):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, size, size, generator=generator)
    flow = torch.zeros(count, size, size, 2)
    return image, image + 0.1 * torch.rand_like(image), flow, torch.ones(count, size, size, dtype=torch.bool)


def usual_distance(judge, pairs):
    return torch.cat([distance(a.descriptors[m.source], b.descriptors[m.wrong]) for a, b, m in pairs]).mean()


@pytest.mark.parametrize("config", [DENSE, PATCHWISE], ids=["dense", "patch by patch"])
@pytest.mark.parametrize(
    ("loss", "options", "reach"),
    [
        ("cent+sd", {"margin": 100.0}, 100),
        ("drlim", {"margin": 7.0}, 7),
        ("siamese", {"threshold": 50.0}, 50),
    ],
)
def test_non_matches_begin_at_the_margin(config, loss, options, reach):
    judge, samples = model(config, loss, **options), batch()
    before = judge.described(samples, [0, 1])
    factor = start_at_margin(judge, samples, [0, 1])
    after = judge.described(samples, [0, 1])
    assert usual_distance(judge, after).item() == pytest.approx(reach, rel=0.01)
    # All descriptors are stretched alike, sides included, so nothing changes but the unit.
    for (old, _, _), (new, _, _) in zip(before, after, strict=True):
        torch.testing.assert_close(new.descriptors, factor * old.descriptors, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("config", "loss"),
    [
        (replace(DENSE, unit_length=True), "cent"),
        (replace(DENSE, unit_length=True), "softmax"),
        (replace(DENSE, activation="elu"), "cent"),
    ],
)
def test_others_are_left_alone(config, loss):
    judge = model(config, loss)
    before = {name: value.clone() for name, value in judge.net.named_parameters()}
    assert start_at_margin(judge, batch(), [0, 1]) == 1
    for name, value in judge.net.named_parameters():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_descriptors_without_any_difference_are_left_alone():
    judge = model(DENSE, "cent")
    with torch.no_grad():
        for parameter in judge.net.parameters():
            parameter.zero_()
    assert start_at_margin(judge, batch(), [0, 1]) == 1


def test_the_trainer_begins_there_and_only_once(tmp_path):
    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, number):
            return tuple(part[number % 2] for part in batch())

    def trained(steps):
        torch.manual_seed(0)
        settings = TrainSettings(
            steps=steps, batch=2, precision="float32", save_every=1, learning_rate=1e-9, clip=1e-9
        )
        trainer = Trainer(PatchNet(DENSE), Samples(), None, settings, ObjectiveSettings(loss="cent+sd"), None)
        trainer.run(workers=0)
        return trainer.batch_loss

    one, two = trained(1), trained(2)
    gain = [judge.net.normalizations[-1].weight.detach().numpy() for judge in (one, two)]
    np.testing.assert_allclose(gain[0], gain[1], rtol=1e-3)
    one.net.train()  # statistics of the batch, as it was judged by
    assert usual_distance(one, one.described(batch(), [0, 1])).item() == pytest.approx(100, rel=0.05)
