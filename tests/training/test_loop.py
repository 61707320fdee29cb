"""What every trainer has from the loop: more steps, one program a folder, the best weights, clear lines."""

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from patchbatch.errors import PatchBatchError
from patchbatch.training.folder import check_same_run, locked
from patchbatch.training.loop import BEST, LOCK, TrainingLoop
from patchbatch.training.runlog import Row, RunLog


@dataclass(frozen=True)
class Steps:
    steps: int
    batch: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    warmup: int = 1
    clip: float = 10.0
    report_every: int = 2
    validate_every: int = 4
    save_every: int = 3


class Toy(TrainingLoop):
    """Learns one number; its scores are given beforehand."""

    def __init__(self, steps, folder, scores=(), lower=False):
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.net.weight)
        self.scores, self.seen = iter(scores), []
        optimizer = torch.optim.SGD(self.net.parameters(), 0.1)
        log = RunLog("score_percent", "score", "numbers", lower)
        super().__init__(self.net, self.net, optimizer, Steps(steps), folder, log)

    def batches(self, workers):
        yield from range(self.step, self._schedule.steps)

    def batch_loss_of(self, batch):
        self.seen.append(batch)
        return (self.net(torch.ones(1, 1)) - 3).square().sum()

    def validated(self):
        return next(self.scores, None)

    def write_weights(self, path):
        path.write_text(f"{self.step}")

    def described(self):
        return {"train": {"steps": self._schedule.steps, "rate": 0.1}}


def test_a_finished_run_goes_on_with_more_steps(tmp_path):
    Toy(6, tmp_path).run()
    more = Toy(10, tmp_path)
    more.run()
    assert more.seen == [6, 7, 8, 9]
    steps = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert steps == ["2", "4", "6", "8", "10"]
    again = Toy(10, tmp_path)
    again.run()  # all is done: nothing changes
    assert again.seen == []


def test_more_steps_are_for_finished_runs_and_fewer_for_none(tmp_path):
    Toy(6, tmp_path).run()
    with pytest.raises(PatchBatchError, match="steps was 6 and is 4"):
        Toy(4, tmp_path).run()
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save(checkpoint | {"step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(PatchBatchError, match="at step 3; more steps are for a run that has come to its end"):
        Toy(10, tmp_path).run()


def test_any_other_setting_is_refused_by_name(tmp_path):
    record = tmp_path / "settings.json"
    record.write_text('{"train": {"steps": 6, "rate": 0.2}}')
    with pytest.raises(PatchBatchError, match=r"other settings \(train.rate was 0.2 and is 0.1\)"):
        check_same_run(record, {"train": {"steps": 6, "rate": 0.1}}, 6)
    for damaged in ("{", "[]"):
        record.write_text(damaged)
        with pytest.raises(PatchBatchError, match="settings cannot be read"):
            check_same_run(record, {}, 6)


def test_two_programs_do_not_train_in_one_folder(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from patchbatch.training.folder import locked\n"
        f"with locked(Path({str(tmp_path / LOCK)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(PatchBatchError, match=f"another program trains in {tmp_path}"):
            Toy(4, tmp_path).run()
        assert not (tmp_path / "settings.json").exists()
        other.kill()  # a killed program holds nothing any more
        other.wait()
    Toy(4, tmp_path).run()
    with locked(tmp_path / LOCK):
        pass


@pytest.mark.parametrize(("lower", "best"), [(False, "4"), (True, "8")])
def test_the_best_weights_are_kept(tmp_path, lower, best):
    # Judged at 2 (the first line), 4, 8, 10 (the last step).
    loop = Toy(10, tmp_path, scores=[50.0, 70.0, 10.0, 60.0], lower=lower)
    loop.run()
    assert (tmp_path / BEST).read_text() == best
    assert loop.best == (10.0 if lower else 70.0)
    scored = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert [row[0] for row in scored if row[2]] == ["2", "4", "8", "10"]


def test_a_run_that_goes_on_remembers_its_best(tmp_path):
    Toy(4, tmp_path, scores=[50.0, 70.0]).run()
    Toy(8, tmp_path, scores=[60.0, 65.0]).run()
    assert (tmp_path / BEST).read_text() == "4"


def test_lines_tell_how_far_the_loss_has_come(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    Toy(4, tmp_path).run()
    first, second = (line for line in caplog.messages if line.startswith("step"))
    assert "(+0 %)" in first and "(-" in second
    large = RunLog("", "", "pairs").told(Row(40, 5198.16, None, 12.0), 5198.30)
    assert "loss 5198.2 (-0.0027 %)" in large


def test_without_matplotlib_a_run_says_why_there_is_no_picture(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("patchbatch.training.loop.can_draw", lambda: False)
    monkeypatch.setattr("patchbatch.training.runlog.can_draw", lambda: False)
    Toy(4, tmp_path).run()
    assert not (tmp_path / "losses.png").exists()
    assert any("no losses.png: it needs matplotlib" in line for line in caplog.messages)


class Killed(Toy):
    """Its loader is ended by a signal to the whole group, as job schedulers send it."""

    def __init__(self, *given, signalled):
        super().__init__(*given)
        self.signalled = signalled

    def batches(self, workers):
        yield from (0, 1)
        if self.signalled:
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")


def test_a_signal_that_ends_the_loader_too_keeps_what_was_learned(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Killed(6, tmp_path, signalled=True).run()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2
    with pytest.raises(RuntimeError, match="killed by signal"):
        Killed(6, tmp_path, signalled=False).run()


def test_loaders_leave_signals_to_their_parent():
    code = (
        "import os, signal; from patchbatch.training.stopping import leave_to_parent\n"
        "leave_to_parent(0)\n"
        "for number in (signal.SIGINT, signal.SIGTERM): os.kill(os.getpid(), number)\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "alive\n"
