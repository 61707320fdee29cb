"""The trainer: it learns, goes on after a stop as if there had been none, and shares work among processes."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from event_files import assert_same_figures
from made_images import write_people, write_sheets

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import LabelledImages
from patchbatch.transfer.images.splits import Split, split_by_class
from patchbatch.transfer.multiverse.head import MultiverseSettings
from patchbatch.transfer.multiverse.image_net import load_image_net, make_image_net
from patchbatch.transfer.multiverse.table import TrunkConfig
from patchbatch.transfer.train_images.command import main
from patchbatch.transfer.train_images.loop import ImageTrainer
from patchbatch.transfer.train_images.objective import head_settings
from patchbatch.transfer.train_images.settings import (
    AUGMENTATIONS,
    Augmentation,
    ImageObjective,
    ImageSchedule,
    Sampling,
)

ROOT = Path(__file__).resolve().parents[3]
TINY = TrunkConfig("nin", (8,) * 8 + (12,), size=16, dropout=0.1, normalization="batch")
SCHEDULE = ImageSchedule(
    steps=6, batch=8, warmup=1, precision="float32", report_every=2, validate_every=3, save_every=2
)
OBJECTIVE = ImageObjective(copies=2, inner_product="within", pair_term="softmax")


def split_of(seed=0, classes=4):
    rng = np.random.default_rng(seed)
    looks = rng.integers(0, 256, (classes, 1, 1, 3))  # colours
    labels = np.repeat(np.arange(classes), 10)
    images = np.clip(looks[labels] + rng.normal(0, 20, (len(labels), 16, 16, 3)), 0, 255).astype(np.uint8)
    part = np.tile(np.repeat([0, 1], [7, 3]), classes)
    return split_by_class(LabelledImages(images, labels, tuple(map(str, range(classes))), part), 0, 0)


PEOPLE = Sampling(4, 2)


def trainer(folder=None, schedule=SCHEDULE, objective=OBJECTIVE, split=None, sampling=PEOPLE):
    net = make_image_net(TINY, 4, objective.copies, head_settings(objective), schedule.seed)
    changes = AUGMENTATIONS["objects"].changes
    return ImageTrainer(net, TINY, split or split_of(), schedule, objective, sampling, changes, folder)


class KilledError(Exception):
    """Stands for a kill at any place."""


def losses_of(run):
    """Let a trainer write down the loss of every step."""
    found, update = {}, run.update

    def told(batch):
        step = run.step
        found[step] = update(batch)
        return found[step]

    run.update = told
    return found


def test_a_killed_run_goes_on_with_the_same_losses(tmp_path):
    straight = trainer(tmp_path / "straight")
    wanted = losses_of(straight)
    straight.run(workers=0)
    killed = trainer(tmp_path / "killed")
    before = losses_of(killed)
    update = killed.update

    def until_the_fifth(batch):
        if killed.step == 5:
            raise KilledError
        return update(batch)

    killed.update = until_the_fifth
    with pytest.raises(KilledError):
        killed.run(workers=0)
    resumed = trainer(tmp_path / "killed")
    after = losses_of(resumed)
    resumed.run(workers=0)
    assert sorted(wanted) == list(range(6)) and sorted(after) == [4, 5]  # the last checkpoint is of step 4
    assert before | after == wanted  # to the last bit: order, changes and what is dropped too
    for name, value in straight.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], value), name
    rows = [rows_of(tmp_path / one / "log.csv") for one in ("straight", "killed")]
    assert rows[0][0] == ["step", "loss", "held_out_error_percent", "images_per_second"]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    assert (tmp_path / "straight" / "losses.png").stat().st_size > 1000


def rows_of(file):
    return list(csv.reader(file.read_text().splitlines()))


def test_another_run_or_a_damaged_checkpoint_is_one_line(tmp_path):
    trainer(tmp_path, replace(SCHEDULE, steps=2)).run(workers=0)
    with pytest.raises(PatchBatchError, match="other settings"):
        trainer(tmp_path, replace(SCHEDULE, steps=2, clip=2.0)).run(workers=0)
    other = split_of()
    other = replace(other, train=replace(other.train, names=("a", "b", "c", "d")))
    with pytest.raises(PatchBatchError, match="other settings"):
        trainer(tmp_path, replace(SCHEDULE, steps=2), split=other).run(workers=0)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(PatchBatchError, match=r"checkpoint\.pt is damaged"):
        trainer(tmp_path, replace(SCHEDULE, steps=2)).run(workers=0)


def test_every_m_sees_the_same_trunk_images_and_losses_of_pairs():
    """With the term of pairs alone the trunk learns the same whatever the head is."""
    learned = []
    for copies in (1, 3):
        # Classifiers of next to no weight: what is left of the loss is the pairs'.
        objective = ImageObjective(copies=copies, pair_term="contrastive", pair_weight=1e6)
        run = trainer(objective=objective, schedule=replace(SCHEDULE, clip=1e-2))
        run.run(workers=0)
        learned.append(torch.cat([p.detach().flatten() for p in run.net.trunk.parameters()]))
    torch.testing.assert_close(learned[0], learned[1], rtol=1e-3, atol=1e-4)


def test_it_learns_classes():
    schedule = replace(
        SCHEDULE, steps=60, batch=16, optimizer="adamw", learning_rate=0.02, validate_every=1000
    )
    run = trainer(schedule=schedule, objective=ImageObjective(copies=2), sampling=Sampling())
    before = run.validated()
    run.run(workers=0)
    assert run.validated() <= 20 < before


def test_the_error_of_people_is_that_of_pairs():
    labels = np.repeat(np.arange(6), 4)
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)[labels]
    people = LabelledImages(images, labels, tuple("abcdef"), np.zeros_like(labels))
    run = trainer(split=Split(people, people, None, people=True), sampling=Sampling())
    assert run.validated() == 0  # the images of one person are the same
    assert trainer(split=Split(people, None, None, people=True), sampling=Sampling()).validated() is None


def test_bfloat16_is_used_where_it_is_asked_for_and_stays_near():
    losses = []
    for precision in ("float32", "bfloat16"):
        run = trainer(schedule=replace(SCHEDULE, precision=precision), sampling=Sampling())
        seen = []
        run.net.trunk[0].register_forward_hook(
            lambda module, inputs, output, seen=seen: seen.append(output.dtype)
        )
        losses.append(run.update(next(run.batches(0))))
        assert seen == [getattr(torch, precision)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)


def test_precision_auto_is_only_what_the_hardware_has(monkeypatch):
    from patchbatch import devices  # noqa: PLC0415

    cpu = torch.device("cpu")
    for has, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device, has=has: has)
        assert devices.resolve_training_precision("auto", cpu) == wanted
    with pytest.raises(PatchBatchError, match="not 'float16'"):
        devices.resolve_training_precision("float16", cpu)


def test_the_command_trains_classes_and_people(tmp_path, capsys):
    write_sheets(tmp_path / "sheets", classes=5, train=6, held_out=2)
    write_people(tmp_path / "people", people=12, images=3, singles=4)
    common = ["--size", "16", "--steps", "2", "--precision", "float32"]
    words = ["--data", str(tmp_path / "sheets"), "--output", str(tmp_path / "a"), "--batch", "8"]
    kind = ["--copies", "3", "--target-classes", "2", "--inner-product", "within", "--log", "tensorboard"]
    assert main([*words, *common, *kind]) == 0
    assert_same_figures(tmp_path / "a" / "events", tmp_path / "a" / "log.csv")
    read = load_image_net(capsys.readouterr().out.strip())
    assert (read.head.classes, read.head.copies, read.notes["images"]) == (3, 3, "18")
    words = [
        "--data",
        str(tmp_path / "people"),
        "--output",
        str(tmp_path / "b"),
        "--network",
        "scratch-narrow",
    ]
    more = [
        "--people",
        "4",
        "--per-person",
        "2",
        "--batch",
        "8",
        "--held-out",
        "0.25",
        "--pair-term",
        "softmax",
    ]
    assert main([*words, *common, *more]) == 0
    read = load_image_net(capsys.readouterr().out.strip())
    assert read.head.classes == 9 and read.notes["data"] == "folders"
    # A run that is done is not done again.
    assert main([*words, *common, *more]) == 0
    assert capsys.readouterr().out.strip().endswith("scratch-narrow.safetensors")


CHILD = """
import sys
from patchbatch.transfer.train_images.command import main
try:
    status = main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print("torch" if "torch" in sys.modules or "numpy" in sys.modules else "quick", file=sys.stderr)
sys.exit(status)
"""


def child(*words):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    *lines, last = done.stderr.splitlines()
    assert last == "quick"
    return done.returncode, done.stdout, lines


def test_what_can_be_refused_is_refused_before_torch(tmp_path):
    assert "image networks:" in child("--help")[1]
    write_sheets(tmp_path / "set")
    good = ["--data", tmp_path / "set", "--output", tmp_path / "run"]
    for words, says in (
        (["--data", tmp_path / "none", "--output", tmp_path / "run"], "no folder"),
        ([*good, "--network", "nim"], "did you mean 'nin'"),
        ([*good, "--pair-term", "softmx"], "did you mean 'softmax'"),
        ([*good, "--people", "10"], "give a batch of 40"),
        ([*good, "--copies", "0"], "copies is 0"),
        ([*good, "--workers", "-1"], "workers is -1"),
        ([*good, "--kind", "lfw"], "has no people.txt"),
        ([*good, "--kind", "folders", "--target-classes", "3"], "target-classes is for sets"),
        ([*good, "--augment", "face"], "did you mean 'faces'"),
    ):
        status, out, lines = child(*words)
        assert (status, out, len(lines)) == (1, "", 1), words
        assert lines[0].startswith("error: ") and says in lines[0]
    assert not (tmp_path / "run").exists()


def test_ctrl_c_ends_with_a_word(tmp_path, monkeypatch, capsys):
    write_sheets(tmp_path / "set")
    monkeypatch.setattr(ImageTrainer, "update", lambda self, batch: (_ for _ in ()).throw(KeyboardInterrupt))
    words = [
        "--data",
        str(tmp_path / "set"),
        "--output",
        str(tmp_path / "run"),
        "--size",
        "16",
        "--batch",
        "4",
    ]
    assert main(words) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_learn_as_one_with_the_whole_batch(tmp_path, free_port):
    """`torchrun` with two gloo processes, each with a half of every batch.

    Without shared gradients, statistics or within-class scatter they end elsewhere.
    """
    write_sheets(tmp_path / "set", classes=4, train=8, held_out=2)
    arguments = ["--data", str(tmp_path / "set"), "--steps", "4", "--batch", "8", "--precision", "float32"]
    arguments += ["--dropout", "0", "--copies", "2", "--inner-product", "within", "--size", "16"]
    arguments += ["--learning-rate", "0.5", "--warmup", "0", "--lambda2", "0.1"]
    # Whole people in each share: S_w is of the class means within a process.
    arguments += ["--people", "4", "--per-person", "2"]
    assert main([*arguments, "--output", str(tmp_path / "one")]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    launcher += [f"--master-port={free_port}", "-m", "patchbatch.transfer.train_images.command"]
    done = subprocess.run(
        [*launcher, *arguments, "--output", str(tmp_path / "two")],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / run / "checkpoint.pt")["net"] for run in ("one", "two"))
    config = load_image_net(tmp_path / "one" / "nin-narrow.safetensors").config
    head = MultiverseSettings(inner_product="within", orthogonality=0.1)
    start = make_image_net(config, 4, 2, head, 0).state_dict()
    for name, value in one.items():
        if value.is_floating_point():
            moved, apart = (value - start[name]).norm(), (two[name] - value).norm()
            assert apart <= 0.05 * moved, (name, float(apart), float(moved))


def test_settings_check_themselves():
    for make, words in (
        (Augmentation, {"shift": 0.6}), (ImageSchedule, {"batch": 1}), (ImageObjective, {"margin": 2.0}),
        (Sampling, {"per_person": 1}),
    ):  # fmt: skip
        with pytest.raises(PatchBatchError):
            make(**words)
