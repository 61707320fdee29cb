"""The command of the trainer: what it chooses, what it refuses, and that words come before torch."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from event_files import assert_same_figures

from patchbatch.descriptors.losses import LOSSES
from patchbatch.descriptors.network.config import NETWORKS, PRESETS
from patchbatch.descriptors.train.command import build_parser, main
from patchbatch.descriptors.train.plan import fit_to_loss, make_plan
from patchbatch.errors import PatchBatchError

ROOT = Path(__file__).resolve().parents[3]
# Runs the command and says on the last line of stderr whether torch was imported.
CHILD = """
import sys
from patchbatch.descriptors.train.command import main
try:
    status = main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print("torch" if "torch" in sys.modules else "quick", file=sys.stderr)
sys.exit(status)
"""


def write_photo(folder, seed):
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (120, 120), np.uint8)
    cv2.imwrite(str(folder / f"{seed}.png"), noise)


@pytest.fixture
def photos(tmp_path):
    for seed in range(2):
        write_photo(tmp_path / "photos", seed)
    return tmp_path / "photos"


def plan_of(photos, tmp_path, *words):
    parsed = build_parser().parse_args(["--photos", str(photos), "--output", str(tmp_path / "run"), *words])
    return make_plan(parsed)


def child(*words):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    *lines, last = done.stderr.splitlines()
    assert last == "quick"
    return done.returncode, done.stdout, lines


def test_help_has_the_tables():
    status, out, _ = child("--help")
    assert status == 0
    words = " ".join(out.split())
    for entry in (*LOSSES.values(), *NETWORKS.values()):
        assert f"{entry.name} {entry.help}" in words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--loss", "softmx"], "did you mean 'softmax'"),
        (["--preset", "fats"], "did you mean 'fast'"),
        (["--start", "fats"], "unknown model 'fats'"),
        (["--loss", "softmax", "--teacher", "none.safetensors"], "no weights file none.safetensors"),
        (["--teacher", "fast"], "loss softmax"),
        (["--steps", "0"], "steps is 0"),
        (["--crop", "50"], "crop is 50 px.*give 62 or more"),
        (["--crop", "100", "--surround", "20"], "give 102 or more"),
        (["--workers", "-1"], "workers"),
        (["--channels", "0", "1", "1", "1", "1"], "channels"),
        (["--sides", "5"], "sides"),
        (["--margin", "100"], "margin is 100, .* at most 2 apart"),
        (["--loss", "softmax", "--margin", "1"], "takes no margin"),
        (["--loss", "cent", "--balance", "0.5"], "'cent' has no option 'balance'"),
    ],
)
def test_bad_names_and_numbers_are_one_line_before_torch(photos, tmp_path, words, message, capsys):
    with pytest.raises(PatchBatchError, match=message):
        plan_of(photos, tmp_path, *words)
    assert not (tmp_path / "run").exists()


def test_refusals_come_before_torch(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    good = ["--photos", photos, "--output", tmp_path / "run"]
    cases = [
        ["--photos", tmp_path / "none", "--output", tmp_path / "run"],
        ["--photos", tmp_path / "empty", "--output", tmp_path / "run"],
        ["--data", tmp_path / "empty", "--output", tmp_path / "run"],
        ["--output", tmp_path / "run"],
        [*good, "--loss", "triplet"],
        [*good, "--margin", "100"],
        ["--photos", photos, "--output", tmp_path / "file" / "run"],
    ]
    for words in cases:
        status, out, lines = child(*words)
        assert (status, out, len(lines)) == (1, "", 1), words
        assert lines[0].startswith("error: ")
    assert child("--photos", photos)[0] == 2


def test_one_photograph_is_too_few_and_frames_need_photographs(tmp_path):
    write_photo(tmp_path / "one", 0)
    with pytest.raises(PatchBatchError, match="too few photographs"):
        plan_of(tmp_path / "one", tmp_path)
    parsed = build_parser().parse_args(
        ["--data", str(tmp_path), "--streets", str(tmp_path), "--output", str(tmp_path / "run")]
    )
    with pytest.raises(PatchBatchError, match="need photographs"):
        make_plan(parsed)


def test_a_loss_changes_unit_length_aloud(caplog):
    caplog.set_level(logging.INFO)
    assert not fit_to_loss(PRESETS["fast"], "cent+sd").unit_length
    assert "the loss cent+sd takes descriptors of any length, so unit_length is switched off" in caplog.text
    assert fit_to_loss(PRESETS["accurate"], "softmax").unit_length
    assert "the loss softmax takes descriptors of unit length, so unit_length is switched on" in caplog.text
    caplog.clear()
    assert fit_to_loss(PRESETS["compact"], "cent+sd") == PRESETS["compact"]
    assert fit_to_loss(PRESETS["fast"], "bailer") == PRESETS["fast"]
    assert not caplog.text


def test_margins_of_the_presets(photos, tmp_path):
    def margin(*words):
        return dict(plan_of(photos, tmp_path, *words).objective.options)["margin"]

    assert margin() == 1.0  # compact joins its scales
    assert margin("--margin", "1.4") == 1.4
    assert margin("--preset", "accurate") == margin("--preset", "fast") == 100.0
    assert margin("--preset", "fast", "--unit-length") == 1.0
    assert margin("--preset", "accurate", "--margin", "100") == 100.0


def test_a_run_says_and_records_what_was_chosen(photos, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    words = ["--photos", photos, "--output", tmp_path / "run", "--steps", "1", "--batch", "1", "--crop", "70"]
    words += [
        "--preset",
        "fast",
        "--channels",
        "2",
        "2",
        "2",
        "2",
        "3",
        "--precision",
        "float32",
        "--workers",
        "0",
    ]
    assert main([*map(str, words), "--unit-length", "--log", "tensorboard"]) == 0
    assert_same_figures(tmp_path / "run" / "events", tmp_path / "run" / "log.csv")
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert ["margin", 1.0] in record["objective"]["options"]
    assert record["network"]["unit_length"] is True
    for said in (
        "learning from 1 photographs",
        "3 numbers of unit length",
        "loss cent+sd: margin 1.0, balance",
    ):
        assert said in caplog.text
    assert "1 steps of 1 pairs, adamw" in caplog.text
