"""The trainer: it learns, it goes on after a stop as if there had been none, and it says what is wrong."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from patchbatch.descriptors import read_weights
from patchbatch.descriptors.network import PRESETS, PatchNet
from patchbatch.descriptors.objectives import ObjectiveSettings
from patchbatch.descriptors.sampling import PairSource, SourceSettings
from patchbatch.descriptors.train import main
from patchbatch.descriptors.trainer import Trainer, TrainSettings, rate_at
from patchbatch.errors import PatchBatchError

TINY = replace(PRESETS["fast"], channels=(4, 6, 8, 12, 16))
LOOK = SourceSettings(crop=110, street=0, real=0, half=0, quarter=0)
SETTINGS = TrainSettings(steps=6, batch=2, warmup=1, bfloat16=False, validate_every=3, save_every=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for k in range(3):
        noise = np.random.default_rng(k).random((160, 200)).astype(np.float32)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / f"{k}.png"), picture.astype(np.uint8))
    return folder


def trainer(photos, folder, settings=SETTINGS, loss="softmax"):
    torch.manual_seed(0)
    net = PatchNet(replace(TINY, unit_length=loss == "softmax"))
    objective = ObjectiveSettings(loss=loss, bfloat16=False, points=100)
    source = PairSource([photos], [], [], LOOK, 0, settings.steps * settings.batch)
    held_out = PairSource([photos], [], [], LOOK, 1, 2, held_out=True)
    return Trainer(net, source, held_out, settings, objective, folder)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(photos, tmp_path):
    straight = trainer(photos, tmp_path / "straight")
    straight.run(workers=0)
    stopped = trainer(photos, tmp_path / "stopped")
    stopped.folder.mkdir()
    stopped.resume()
    stopped.net.train()
    for batch in stopped._batches(0):
        stopped.update(batch)
        if stopped.step == 4:
            stopped.save()
            break
    resumed = trainer(photos, tmp_path / "stopped")
    resumed.run(workers=0)
    for name, value in straight.net.state_dict().items():
        torch.testing.assert_close(resumed.net.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
    with (tmp_path / "straight" / "log.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["step", "3", "6"]


@pytest.mark.parametrize("loss", ["softmax", "cent+sd"])
def test_it_learns_its_own_batch(photos, tmp_path, loss):
    run = trainer(photos, tmp_path / "run", replace(SETTINGS, steps=40, learning_rate=5e-3), loss)
    batch = next(iter(run._batches(0)))
    losses = []
    for _ in range(12):
        losses.append(run.update(batch))
    assert np.mean(losses[-3:]) < losses[0]


def test_settings_of_a_run_cannot_change_under_it(photos, tmp_path):
    first = trainer(photos, tmp_path / "run", replace(SETTINGS, steps=2))
    first.run(workers=0)
    with pytest.raises(PatchBatchError, match="other settings"):
        trainer(photos, tmp_path / "run", replace(SETTINGS, steps=3)).run(workers=0)


def test_rate_rises_and_falls():
    settings = TrainSettings(steps=100, warmup=10, learning_rate=1.0)
    rates = [rate_at(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert np.argmax(rates) in (9, 10)
    assert rates[-1] == pytest.approx(0.01, abs=0.005)


def test_command_line_makes_weights_that_load(photos, tmp_path, capsys):
    arguments = ["--photos", str(photos), "--steps", "1", "--batch", "1", "--crop", "100", "--float32"]
    assert main([*arguments, "--loss", "softmax", "--output", str(tmp_path / "run")]) == 0
    net = read_weights(tmp_path / "run" / "fast.safetensors")
    assert net.config == PRESETS["fast"]
    assert capsys.readouterr().out.strip().endswith("fast.safetensors")


def test_command_line_tells_what_is_missing(tmp_path, capsys):
    assert main(["--photos", str(tmp_path / "none"), "--output", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
