"""The transfer benchmark on made classes: the classes, its figures, and the prediction at full size."""

import json

import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.transfer.made import ClassSettings, make_net, make_samples
from patchbatch.transfer.multiverse.head import MultiverseSettings


def test_made_classes_are_the_seeds_and_held_out_samples_are_new():
    settings = ClassSettings(classes=3, train_samples=4, test_samples=2)
    one, again, other = (make_samples(settings, seed) for seed in (0, 0, 1))
    assert torch.equal(one.train_inputs, again.train_inputs)
    assert not torch.equal(one.train_inputs, other.train_inputs)
    assert one.train_inputs.shape == (12, 40)
    assert one.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert not torch.isin(one.test_inputs, one.train_inputs).any()


def test_the_trunk_is_the_same_for_any_number_of_copies():
    one, five = (make_net(ClassSettings(), copies, MultiverseSettings(), seed=2) for copies in (1, 5))
    for a, b in zip(one.trunk.parameters(), five.trunk.parameters(), strict=True):
        assert torch.equal(a, b)


def test_there_are_more_features_than_needed_and_more_classes_than_features():
    settings = ClassSettings()
    assert settings.latent < settings.features < settings.classes - 1


def test_a_short_run_prints_and_writes_all_kinds(tmp_path, capsys):
    file = tmp_path / "transfer.json"
    words = ["transfer", "--made", "--copies", "1", "2", "--seeds", "2", "--epochs", "1", "--json", str(file)]
    assert main(words) == 0
    report = json.loads(file.read_text())
    kinds = ["m = 1", "m = 2", "m = 2, S_w-orthogonal", "m = 2, λ2 = 0"]
    assert [row["head"] for row in report["means"]] == kinds
    assert [row["seed"] for row in report["rows"]] == [0, 1] * 4
    assert capsys.readouterr().out.count("\n") == 6
    mean, pair = report["means"][1], report["rows"][2:4]
    assert mean["entropy rank"] == pytest.approx((pair[0]["entropy rank"] + pair[1]["entropy rank"]) / 2)
    assert mean["spread"] == pytest.approx(abs(pair[0]["entropy rank"] - pair[1]["entropy rank"]) / 2)


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--copies", "1", "0"], ["--epochs", "0"]])
def test_a_count_below_1_is_one_line(words, capsys):
    assert main(["transfer", "--made", *words]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_no_folder_for_the_file_is_one_line(tmp_path, capsys):
    assert main(["transfer", "--made", "--json", str(tmp_path / "none" / "transfer.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_copies_lower_the_effective_rank_and_agree(tmp_path):
    file = tmp_path / "transfer.json"
    assert main(["transfer", "--made", "--seeds", "1", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    one, three, five, _, free = rows
    for kind in ("stable", "participation", "entropy", "roy-vetterli"):
        assert one[f"{kind} rank"] > three[f"{kind} rank"] > five[f"{kind} rank"]
    assert free["entropy rank"] > five["entropy rank"]
    for row in (one, three, five):
        assert row["train accuracy"] >= one["train accuracy"] - 0.01
        assert row["cosine"] < 0.02
        assert row["total variation"] < 0.05
    assert free["cosine"] > 0.5
