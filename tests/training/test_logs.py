"""What the figures of a run are written to, and what happens to them when it goes on."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from event_files import assert_same_figures, events_of, rows_of

from patchbatch.errors import PatchBatchError
from patchbatch.training.logs import check_log
from patchbatch.training.runlog import Record, Row, RunLog

LOOK = RunLog("score_percent", "score", "pairs")
ROOT = Path(__file__).resolve().parents[2]


def test_tensorboard_gets_what_the_csv_gets(tmp_path):
    record = Record(LOOK, tmp_path / "log.csv", "tensorboard")
    record.begin(0)
    for row in (Row(5, 1.25, None, 3.5), Row(10, 0.75, 61.5, 3.25)):
        record.add(row)
    record.close()
    assert events_of(tmp_path / "events") == {
        "loss": {5: 1.25, 10: 0.75},
        "score_percent": {10: 61.5},
        "pairs_per_second": {5: 3.5, 10: 3.25},
    }
    assert_same_figures(tmp_path / "events", tmp_path / "log.csv")


def test_a_run_that_goes_on_shows_every_step_once(tmp_path):
    """It was killed after step 15 and goes on from the checkpoint of step 10."""
    for begins, rows in ((0, (5, 10, 15)), (10, (15, 20))):
        record = Record(LOOK, tmp_path / "log.csv", "tensorboard")
        record.begin(begins)
        for step in rows:
            record.add(Row(step, step + begins / 100, None, 1.0))
        record.close()
    assert events_of(tmp_path / "events")["loss"] == pytest.approx({5: 5, 10: 10, 15: 15.1, 20: 20.1})
    assert rows_of(tmp_path / "log.csv")["loss"] == pytest.approx({5: 5, 10: 10, 15: 15.1, 20: 20.1})


def test_without_a_score_there_is_no_column(tmp_path):
    record = Record(RunLog("", "", "crops"), tmp_path / "log.csv")
    record.begin(0)
    record.add(Row(1, 2.0, None, 4.0))
    record.close()
    assert (tmp_path / "log.csv").read_text() == "step,loss,crops_per_second\n1,2.00000,4.00\n"
    assert not (tmp_path / "events").exists()


def test_tensorboard_that_is_missing_is_told_before_the_run(monkeypatch):
    assert check_log("csv") == "csv" and check_log("tensorboard") == "tensorboard"
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert check_log("csv") == "csv"
    with pytest.raises(PatchBatchError, match=r"needs TensorBoard: pip install 'patchbatch\[tensorboard\]'"):
        check_log("tensorboard")
    with pytest.raises(PatchBatchError, match="unknown log 'tensorbord'; did you mean 'tensorboard'"):
        check_log("tensorbord")


@pytest.mark.slow
def test_processes_of_torchrun_write_one_log(tmp_path, free_port):
    (tmp_path / "photos").mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 255, (120, 120), np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{seed}.png"), noise)
    run = tmp_path / "run"
    words = f"--photos {tmp_path / 'photos'} --output {run} --steps 2 --batch 2 --crop 70 --preset fast "
    words += "--channels 2 2 2 2 3 --precision float32 --workers 0 --device cpu --log tensorboard"
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port)]
    command = [sys.executable, *launch, "-m", "--", "patchbatch.descriptors.train", *words.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert_same_figures(run / "events", run / "log.csv")
    assert len(list((run / "events").iterdir())) == 1
