"""Commands end with one line, or quietly."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from patchbatch.ending import ended
from patchbatch.errors import PatchBatchError

ROOT = Path(__file__).resolve().parents[1]


def throw(error):
    def work():
        raise error

    return work


def test_a_mistake_is_one_line_and_ctrl_c_a_word_or_nothing(capsys):
    assert ended(lambda: 3) == 3
    assert ended(throw(PatchBatchError("wrong"))) == 1
    assert capsys.readouterr().err == "error: wrong\n"
    assert ended(throw(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == ""
    assert ended(throw(KeyboardInterrupt()), "stopped") == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_reader_that_went_away_is_no_mistake(tmp_path):
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(40), 10)
    np.savez(tmp_path / "x.npz", features=rng.normal(size=(40, 4))[labels], labels=labels)
    command = [sys.executable, "-m", "patchbatch.transfer.cli", str(tmp_path / "x.npz"), "--count", "20"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    running.stdout.close()
    said = running.stderr.read()
    assert (running.wait(), said) == (141, b"")
    running.stderr.close()
