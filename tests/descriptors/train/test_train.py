"""The trainer: it learns, it goes on after a stop as if there had been none, and it says what is wrong."""

import csv
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from patchbatch.descriptors import read_weights
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.command import main
from patchbatch.descriptors.train.loop import Trainer
from patchbatch.descriptors.train.samples.sources import PairSource
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings, TrainSettings
from patchbatch.descriptors.train.warm_start import start_from
from patchbatch.devices import resolve_training_precision
from patchbatch.errors import PatchBatchError
from patchbatch.training.schedule import rate_at

ROOT = Path(__file__).resolve().parents[3]
TINY = replace(PRESETS["fast"], channels=(4, 6, 8, 12, 16))
TINY_PATCHES = replace(PRESETS["accurate"], channels=(4, 6, 8, 12, 16))
LOOK = SourceSettings(crop=110, street=0, real=0, half=0, quarter=0)
SETTINGS = TrainSettings(
    steps=6, batch=2, warmup=1, precision="float32", report_every=2, validate_every=3, save_every=2
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for k in range(3):
        noise = np.random.default_rng(k).random((160, 200)).astype(np.float32)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / f"{k}.png"), picture.astype(np.uint8))
    return folder


def trainer(photos, folder, settings=SETTINGS, loss="softmax", network=TINY):
    torch.manual_seed(0)
    net = PatchNet(replace(network, unit_length=loss == "softmax"))
    objective = ObjectiveSettings(loss=loss, points=100)
    source = PairSource([photos], [], [], LOOK, 0, settings.steps * settings.batch)
    held_out = PairSource([photos], [], [], LOOK, 1, 2, held_out=True)
    return Trainer(net, source, held_out, settings, objective, folder)


class KilledError(Exception):
    """Stands for a kill at any place."""


@pytest.mark.slow
@pytest.mark.parametrize("network", [TINY, TINY_PATCHES], ids=["dense", "patches"])
def test_a_killed_run_goes_on_as_if_it_had_not_been(photos, tmp_path, network):
    straight = trainer(photos, tmp_path / "straight", network=network)
    straight.run(workers=0)
    killed = trainer(photos, tmp_path / "killed", network=network)
    update = killed.update

    def update_until_the_fifth_step(batch):
        if killed.step == 5:
            raise KilledError
        return update(batch)

    killed.update = update_until_the_fifth_step
    with pytest.raises(KilledError):
        killed.run(workers=0)
    resumed = trainer(photos, tmp_path / "killed", network=network)
    resumed.run(workers=0)
    for name, value in straight.net.state_dict().items():
        torch.testing.assert_close(resumed.net.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
    rows = [log_rows(tmp_path / run) for run in ("straight", "killed")]
    assert [row[0] for row in rows[0]] == ["step", "2", "3", "4", "6"]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    assert (tmp_path / "straight" / "losses.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_keeps_the_step_it_is_at(photos, tmp_path, number):
    """Between two checkpoints; the run that goes on learns what it would have learned."""
    rarely = replace(SETTINGS, save_every=1000)
    straight = trainer(photos, tmp_path / "straight", rarely)
    straight.run(workers=0)
    stopped = trainer(photos, tmp_path / "stopped", rarely)
    update = stopped.update

    def update_and_stop(batch):
        if stopped.step == 3:
            os.kill(os.getpid(), number)
        return update(batch)

    stopped.update = update_and_stop
    with pytest.raises(KeyboardInterrupt):
        stopped.run(workers=0)
    resumed = trainer(photos, tmp_path / "stopped", rarely)
    resumed.resume(tmp_path / "stopped")
    assert resumed.step == 4
    resumed.run(workers=0)
    for name, value in straight.net.state_dict().items():
        torch.testing.assert_close(resumed.net.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def log_rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.reader(file))


@pytest.mark.slow
@pytest.mark.parametrize("network", [TINY, TINY_PATCHES], ids=["dense", "patches"])
@pytest.mark.parametrize("loss", ["softmax", "cent+sd"])
@pytest.mark.parametrize("optimizer", ["adamw", "adadelta"])
def test_it_learns_its_own_batch(photos, tmp_path, loss, network, optimizer):
    rate = 5e-3 if optimizer == "adamw" else 1.0
    settings = replace(SETTINGS, steps=40, learning_rate=rate, optimizer=optimizer)
    run = trainer(photos, tmp_path / "run", settings, loss, network)
    batch = next(iter(run.batches(0)))
    losses = []
    for _ in range(12):
        losses.append(run.update(batch))
        run.step = 10  # one batch again and again, at one rate
    assert np.mean(losses[-3:]) < losses[0]


def test_long_gradients_are_shortened(photos, tmp_path):
    run = trainer(photos, tmp_path / "run", replace(SETTINGS, clip=1e-3))
    run.update(next(iter(run.batches(0))))
    length = torch.stack([p.grad.norm() for p in run.net.parameters() if p.grad is not None]).norm()
    assert float(length) == pytest.approx(1e-3, rel=0.01)


def test_settings_of_a_run_cannot_change_under_it(photos, tmp_path):
    first = trainer(photos, tmp_path / "run", replace(SETTINGS, steps=2))
    first.run(workers=0)
    with pytest.raises(PatchBatchError, match="other settings"):
        trainer(photos, tmp_path / "run", replace(SETTINGS, steps=2, clip=2.0)).run(workers=0)


def test_rate_rises_and_falls():
    settings = TrainSettings(steps=100, warmup=10, learning_rate=1.0)
    rates = [rate_at(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert np.argmax(rates) in (9, 10)
    assert rates[-1] == pytest.approx(0.01, abs=0.005)


@pytest.mark.slow
def test_command_line_makes_weights_that_load(photos, tmp_path, capsys):
    arguments = [
        "--photos",
        str(photos),
        "--steps",
        "1",
        "--batch",
        "1",
        "--crop",
        "100",
        "--precision",
        "float32",
    ]
    arguments += ["--preset", "fast"]
    assert main([*arguments, "--loss", "softmax", "--output", str(tmp_path / "run")]) == 0
    net = read_weights(tmp_path / "run" / "fast.safetensors")
    assert net.config == PRESETS["fast"]
    assert capsys.readouterr().out.strip().endswith("fast.safetensors")


def test_command_line_tells_what_is_missing(tmp_path, capsys):
    assert main(["--photos", str(tmp_path / "none"), "--output", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_command_line_trains_patch_by_patch_from_dense_weights(photos, tmp_path):
    channels = ["--channels", "4", "6", "8", "12", "16"]
    common = [
        "--photos",
        str(photos),
        "--steps",
        "1",
        "--batch",
        "1",
        "--crop",
        "110",
        "--precision",
        "float32",
        *channels,
    ]
    dense, patches = tmp_path / "dense", tmp_path / "patches"
    assert main([*common, "--preset", "fast", "--loss", "softmax", "--output", str(dense)]) == 0
    start = ["--start", str(dense / "fast.safetensors"), "--preset", "accurate", "--points", "20"]
    options = ["--loss", "hinge+sd", "--margin", "10", "--sd-of", "squared", "--hard", "0.5", "--elu"]
    assert main([*common, *start, *options, "--output", str(patches)]) == 0
    net = read_weights(patches / "accurate.safetensors")
    assert net.config.activation == "elu"
    assert net(torch.rand(2, 1, 51, 51)).shape == (2, 16)


@pytest.mark.slow
def test_command_line_learns_from_a_teacher(photos, tmp_path, capsys):
    channels = ["--channels", "4", "6", "8", "12", "16"]
    common = [
        "--photos",
        str(photos),
        "--steps",
        "1",
        "--batch",
        "1",
        "--crop",
        "110",
        "--precision",
        "float32",
    ]
    arguments = [*common, "--preset", "compact", "--loss", "softmax", *channels, "--teacher", "fast"]
    assert main([*arguments, "--output", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "compact.safetensors").is_file()
    wrong = [*common, "--preset", "accurate", "--loss", "softmax", "--teacher", "fast"]
    assert main([*wrong, "--output", str(tmp_path / "wrong")]) == 1
    assert "dense networks of one patch size" in capsys.readouterr().err


def test_starting_from_other_weights_keeps_what_they_say():
    torch.manual_seed(1)
    plain = PatchNet(replace(TINY, sides=()))
    with torch.no_grad():
        for norm in plain.normalizations:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    started = PatchNet(TINY)
    start_from(started, plain)
    patches = torch.rand(3, 1, 62, 62)
    torch.testing.assert_close(started.eval()(patches), plain.eval()(patches))
    # Fine-grained statistics spread from the channels': on the corner that both see in full they agree.
    fine = PatchNet(replace(TINY, normalization="fine-grained", sides=()))
    start_from(fine, plain)
    torch.testing.assert_close(fine.eval()(patches), plain(patches), rtol=1e-3, atol=1e-4)
    with pytest.raises(PatchBatchError, match="channels"):
        start_from(PatchNet(PRESETS["fast"]), plain)


@pytest.mark.slow
def test_two_processes_learn_as_one_with_the_whole_batch(photos, tmp_path, free_port):
    """`torchrun` with two gloo processes, each with one pair of a batch of two.

    Without shared gradients, or without shared statistics, they end as far from the one process as that
    moved; as they should be they are within 2 % of it.
    """
    arguments = [
        "--photos",
        str(photos),
        "--steps",
        "3",
        "--batch",
        "2",
        "--crop",
        "110",
        "--precision",
        "float32",
    ]
    arguments += ["--preset", "fast", "--channels", "4", "6", "8", "12", "16", "--loss", "softmax"]
    # Peak of a rate that rises over 100 steps: the third takes 0.06 of it.
    arguments += ["--workers", "0", "--learning-rate", "2"]
    assert main([*arguments, "--output", str(tmp_path / "one")]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    launcher += [f"--master-port={free_port}", "-m", "patchbatch.descriptors.train.command"]
    done = subprocess.run(
        [*launcher, *arguments, "--output", str(tmp_path / "two")],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / run / "checkpoint.pt")["net"] for run in ("one", "two"))
    torch.manual_seed(0)  # as the trainer's own seed
    start = PatchNet(replace(TINY, unit_length=True)).state_dict()
    # The normalisation takes a convolution's bias away again: its gradient is rounding alone, which the
    # optimiser makes steps of, and which the running means follow.
    noise = [name for name in one if name.endswith("running_mean") or re.match(r"convolutions.*bias", name)]
    for name in one.keys() - {*noise, *(name for name in one if name.endswith("num_batches_tracked"))}:
        moved, apart = (one[name] - start[name]).norm(), (two[name] - one[name]).norm()
        assert apart < 0.1 * moved, name


def test_it_trains_without_a_folder_and_without_validation(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    source = PairSource([photos], [], [], LOOK, 0, 4)
    samples = [source[index] for index in range(4)]
    run = Trainer(
        PatchNet(TINY), samples, None, replace(SETTINGS, steps=2), ObjectiveSettings(loss="softmax")
    )
    run.run(workers=0)
    assert run.step == 2 and not run.net.training
    assert not list(tmp_path.iterdir())


def test_a_picture_is_not_drawn_before_there_are_rows(photos, tmp_path):
    settings = replace(SETTINGS, steps=3, report_every=3, validate_every=3, save_every=1)
    trainer(photos, tmp_path / "run", settings).run(workers=0)
    assert (tmp_path / "run" / "losses.png").is_file()


def test_a_margin_that_never_acts_is_refused_and_one_not_given_is_chosen(photos, tmp_path):
    run = trainer(photos, tmp_path / "run", loss="cent+sd", network=replace(TINY, joint=(8,)))
    assert dict(run.objective.options)["margin"] == 1.0
    assert dict(trainer(photos, tmp_path / "run", loss="cent+sd").objective.options)["margin"] == 100.0
    objective = ObjectiveSettings(options=(("margin", 100.0),))
    with pytest.raises(PatchBatchError, match="never acts"):
        Trainer(run.net, run.source, None, SETTINGS, objective)


def test_precision_is_what_the_machine_multiplies(monkeypatch):
    """bfloat16 without units for it is several times slower than float32, so "auto" never takes it there."""
    cpu = torch.device("cpu")
    for has in ({}, {"avx512_bf16": True}, {"amx_bf16": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has)
        chosen = torch.bfloat16 if has else torch.float32
        assert resolve_training_precision("auto", cpu) == chosen
        for precision in ("auto", "float32", "bfloat16"):
            settings = TrainSettings(precision=precision)
            trainer = Trainer(PatchNet(TINY), [], None, settings, ObjectiveSettings(loss="softmax"))
            half = {"auto": bool(has), "float32": False, "bfloat16": True}[precision]
            assert trainer.batch_loss.half_products == half
    assert resolve_training_precision("auto", torch.device("mps")) == torch.float32
