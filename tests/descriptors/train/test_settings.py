"""Settings of a training run: ranges, and margins that act on the descriptors there are."""

from dataclasses import replace

import pytest
import torch

from patchbatch.descriptors.losses import LOSSES, make_loss
from patchbatch.descriptors.losses.table import options_for
from patchbatch.descriptors.network.config import NETWORKS, PRESETS, PatchNetConfig
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings, TrainSettings
from patchbatch.errors import PatchBatchError

PAIR_LOSSES = [name for name, loss in LOSSES.items() if loss.takes == "distances"]


@pytest.mark.parametrize("cls", [TrainSettings, ObjectiveSettings, SourceSettings, PatchNetConfig])
def test_settings_survive_a_file(cls):
    assert cls.from_table(cls().to_table()) == cls()


def test_options_of_a_loss_survive_a_file():
    settings = ObjectiveSettings(options=(("margin", 2.5), ("of", "squared"), ("biased", False)))
    assert ObjectiveSettings.from_table(settings.to_table()) == settings


@pytest.mark.parametrize(
    ("cls", "wrong", "words"),
    [
        (TrainSettings, {"steps": 0}, "steps is 0; give a whole number, 1 or more"),
        (TrainSettings, {"learning_rate": -1.0}, "learning_rate"),
        (TrainSettings, {"optimizer": "sgd"}, "one of adamw, adadelta"),
        (TrainSettings, {"seed": -1}, "seed"),
        (ObjectiveSettings, {"loss": "softmx"}, "did you mean 'softmax'"),
        (ObjectiveSettings, {"near": 0.5}, "near is 0.5; give a number, 1 or more"),
        (ObjectiveSettings, {"stride": 3}, "stride is 3; give one of 1, 2, 4, 8, 16"),
        (ObjectiveSettings, {"surround": 1.5}, "surround"),
        (ObjectiveSettings, {"options": (("margin", -1.0),)}, "margin is -1.0"),
        (ObjectiveSettings, {"options": (("temperature", 1.0),)}, "no option 'temperature'"),
        (ObjectiveSettings, {"loss": "softmax", "options": (("margin", 1.0),)}, "takes no margin"),
        (SourceSettings, {"crop": 0}, "crop"),
        (SourceSettings, {"street": 0.6, "real": 0.5}, "street and real are shares"),
        (SourceSettings, {"std": 0.0}, "std"),
        (PatchNetConfig, {"channels": (4, 0, 4, 4, 4)}, "channels"),
        (PatchNetConfig, {"unit_length": 1}, "true or false"),
        (PatchNetConfig, {"context": (0.7, float("nan"))}, "context"),
    ],
)
def test_values_out_of_range_are_told(cls, wrong, words):
    with pytest.raises(PatchBatchError, match=words):
        cls(**wrong)


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_defaults_at_unit_length_stop_pushing_unrelated_descriptors_and_push_near_ones(loss):
    """Unrelated unit vectors of 64 numbers are about √2 apart, near things less than 1/2 before training."""
    options = options_for(loss, {}, unit_length=True)
    options = {name: value for name, value in options.items() if name != "balance"}
    made = make_loss(loss, **options | ({"balance": 1.0} if loss.endswith("+sd") else {}))
    slopes = {}
    for apart in (0.45, 1.42):
        negative = torch.tensor([apart], requires_grad=True)
        made(torch.tensor([0.1]), negative).backward()
        slopes[apart] = float(negative.grad)
    assert slopes[0.45] < -0.1
    assert abs(slopes[1.42]) < 0.7 * abs(slopes[0.45])
    assert loss == "siamese" or slopes[1.42] == 0


@pytest.mark.parametrize("of", ["distance", "squared", "loss"])
@pytest.mark.parametrize("loss", ["drlim+sd", "cent+sd", "siamese"])
def test_at_unit_length_the_losses_are_those_of_the_talk_in_other_units(loss, of):
    """With D = 100 d (siamese: 50 d) they differ by a factor, so that their minima are the same."""
    options = {"of": of} if loss != "siamese" else {}
    talk = make_loss(loss, **options_for(loss, options, unit_length=False))
    unit = make_loss(loss, **options_for(loss, options, unit_length=True))
    factor, ratios = 50.0 if loss == "siamese" else 100.0, []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        positive, negative = torch.rand(2, 20, generator=generator, dtype=torch.float64)
        ratios.append(
            float(talk(factor * positive, factor * (negative + 0.5)) / unit(positive, negative + 0.5))
        )
    assert ratios == pytest.approx([ratios[0]] * 4, rel=1e-9)


def test_a_given_balance_and_scale_are_kept():
    assert options_for("cent+sd", {}, unit_length=True)["balance"] == pytest.approx(0.8 / 0.802)
    assert options_for("cent+sd", {"balance": 0.8}, unit_length=True)["balance"] == 0.8
    assert options_for("hinge+sd", {}, unit_length=True)["balance"] == 0.8
    siamese = options_for("siamese", {"threshold": 1.25}, unit_length=True)
    assert siamese == {"threshold": 1.25, "scale": 4.0}
    assert options_for("siamese", {"scale": 3.0}, unit_length=True) == {"threshold": 1.0, "scale": 3.0}


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_without_unit_length_the_options_are_those_of_the_class(loss):
    assert options_for(loss, {}, unit_length=False) == LOSSES[loss].load()().to_table()


@pytest.mark.parametrize(
    ("loss", "given", "words"),
    [
        (
            "cent+sd",
            {"margin": 100.0},
            "margin is 100, .*at most 2 apart, so it never acts; give less than 2",
        ),
        ("drlim", {"margin": 2.0}, "margin is 2"),
        ("hinge+sd", {"margin": 2}, "margin is 2"),
        ("bailer", {"margin": 1.8}, r"margin \+ threshold is 2.1"),
        ("bailer", {"margin": 4.0, "squared": True}, r"root of margin \+ threshold is 2.07"),
        ("siamese", {"threshold": 50.0}, "threshold is 50"),
    ],
)
def test_what_never_acts_at_unit_length_is_refused(loss, given, words):
    with pytest.raises(PatchBatchError, match=words) as caught:
        options_for(loss, given, unit_length=True)
    assert "\n" not in str(caught.value)
    assert options_for(loss, given, unit_length=False) | given == options_for(loss, given, unit_length=False)


def test_squared_thresholds_reach_to_the_square_of_two():
    assert options_for("bailer", {"margin": 3.0, "squared": True}, unit_length=True)["margin"] == 3.0


def test_joined_scales_have_unit_length_whatever_the_setting():
    assert replace(PRESETS["compact"], unit_length=False).ends_in_unit_length
    assert not PRESETS["accurate"].ends_in_unit_length
    assert PRESETS["fast"].ends_in_unit_length


def test_the_setting_of_the_talk_is_possible():
    settings = ObjectiveSettings().for_network(PRESETS["accurate"].ends_in_unit_length)
    assert settings.loss == "cent+sd" and dict(settings.options)["margin"] == 100.0


def test_networks_and_presets_are_one():
    assert {name: network.config for name, network in NETWORKS.items()} == PRESETS
    with pytest.raises(PatchBatchError, match="did you mean 'fast'"):
        NETWORKS["fats"]
