"""Teach the network that chooses: steps on windows of samples, averages of the weights, checkpoints."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flow.completion.network import ChoiceNetwork, load_choice_network, save_choice_network
from flow.completion.train.losses import RIGHT_PX, choice_loss, chosen_error
from flow.completion.train.plan import Plan
from flow.completion.train.samples import Sample, random_window, read_sample
from flow.completion.train.settings import ChoiceTraining
from flow.completion.train.store import fill
from patchbatch.data.files import atomic_path
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.training.folder import locked
from patchbatch.training.runlog import Record, Row, RunLog
from patchbatch.training.stopping import asked_to_stop

log = logging.getLogger(__name__)

_WARM_UP, _AVERAGE, _CLIP, _DECAY = 100, 0.998, 1.0, 1e-4
_SAVE_S = 60.0
_REPORT = 100  # steps
_RECORD = RunLog("wrong_percent", "wrong choices", "steps")
_MOST_IDLE = 1000  # samples in a row without a window to learn from


def rate_at(step: int, progress: float, peak: float) -> float:
    """Return the learning rate: a linear rise over the first 100 steps times half a cosine down to 0."""
    return peak * min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class Teacher:
    """A network that is taught, and all that going on later needs.

    Parameters
    ----------
    training
        How it is taught.
    device
        Where.
    start
        Weights to start from; None: random ones, by the seed.

    Attributes
    ----------
    network, averaged
        What is taught, and the exponential moving average of its weights, which is what is kept.
    step, visits, seconds
        Updates, samples read, and time spent so far.

    Raises
    ------
    PatchBatchError
        If `start` holds no weights of this network.
    """

    def __init__(
        self, training: ChoiceTraining, device: str | torch.device = "cpu", start: Path | None = None
    ) -> None:
        torch.manual_seed(training.seed)
        self.training, self.device = training, torch.device(device)
        self.network = ChoiceNetwork()
        if start is not None:
            self.network.load_state_dict(load_choice_network(str(start)).state_dict())
        self.network.to(self.device).train()
        self.averaged = copy.deepcopy(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), training.learning_rate, weight_decay=_DECAY
        )
        self.step, self.visits, self.seconds = 0, 0, 0.0

    @property
    def progress(self) -> float:
        """Share of the steps or of the minutes that is over, whichever is more."""
        minutes = self.training.minutes
        return max(self.step / self.training.steps, 0 if minutes is None else self.seconds / (60 * minutes))

    def visit(self, made: Sequence[Path], real: Sequence[Path]) -> list[tuple[float, float]]:
        """Read one sample and learn from some windows of it.

        Which sample and windows depends on the seed and on how many were read, so that a run goes on as if it
        had never stopped.

        Returns
        -------
        Of each step the loss, and the share of wrong choices where the truth is known.

        Raises
        ------
        PatchBatchError
            For a damaged sample.
        """
        began, training = time.monotonic(), self.training
        generator = np.random.default_rng((training.seed, self.visits))
        files = real if real and generator.random() < training.real else made
        sample = read_sample(files[int(generator.integers(len(files)))])
        figures = []
        for _ in range(training.windows):
            window = random_window(sample, training.rows, training.columns, generator)
            if window.open.sum() >= training.least_open and window.known >= training.least_known:
                figures.append(self.update(window))
            if self.progress >= 1:
                break
        self.visits += 1
        self.seconds += time.monotonic() - began
        return figures

    def update(self, window: Sample) -> tuple[float, float]:
        """Take one step; return its loss and the share of wrong choices where the truth is known."""
        choices, truth = window.choices(self.device), window.answers(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.progress, self.training.learning_rate)
        with _repeatable(self.device):
            verdict = self.network(choices, self.training.rounds)
            loss = choice_loss(verdict, choices, truth)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self._average()
        known = truth.valid[choices.index]
        wrong = (chosen_error(verdict, choices, truth) > RIGHT_PX)[known].float().mean()
        return float(loss.detach()), float(wrong)

    @torch.no_grad()
    def _average(self) -> None:
        # The first steps weigh alike, or the first weights would stay in the average for long.
        kept = min(_AVERAGE, 1 - 1 / (self.step + 1))
        for mean, weights in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weights, 1 - kept)

    def save(self, path: Path, record: str) -> None:
        """Write everything that `resume` needs, whole or not at all; `record` says under what it was made."""
        state = {
            "record": record, "network": self.network.state_dict(), "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "visits": self.visits,
            "seconds": self.seconds,
        }  # fmt: skip
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path, record: str) -> None:
        """Go on from a checkpoint, if there is one.

        Raises
        ------
        PatchBatchError
            If it was made under another record, or is damaged.
        """
        if not path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            same = state["record"] == record
            if same:
                self.network.load_state_dict(state["network"])
                self.averaged.load_state_dict(state["averaged"])
                self.optimizer.load_state_dict(state["optimizer"])
                self.step, self.visits, self.seconds = state["step"], state["visits"], state["seconds"]
        except Exception as error:  # unpickling raises a dozen kinds
            raise PatchBatchError(f"{path} is damaged or no checkpoint; delete it to begin anew") from error
        if not same:
            raise PatchBatchError(
                f"{path} is of a run with other settings or data; choose another output, or delete it"
            )
        log.info("going on from step %d of %s", self.step, path)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Let several threads of a CPU add up gradients in a fixed order."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def teach(
    teacher: Teacher, made: Sequence[Path], real: Sequence[Path], checkpoint: Path, record: str,
    figures: Record | None = None, stop: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Teach to the end, with a checkpoint every minute and at the end.

    Parameters
    ----------
    teacher
        Goes on from where it is.
    made, real
        Samples.
    checkpoint, record
        As of `Teacher.save`.
    figures
        Where loss and wrong choices go, every 100 steps; None: nowhere.
    stop
        Asked after every sample whether that was the last one.

    Raises
    ------
    KeyboardInterrupt
        If it was, when it is kept.
    PatchBatchError
        For a damaged sample, samples without anything to learn from, or a file that cannot be written.
    """
    start, first = time.monotonic(), teacher.step
    saved, idle = start, 0
    recent: list[tuple[float, float]] = []
    while teacher.progress < 1 and not stop():
        before = teacher.step
        steps = teacher.visit(made, real)
        recent = [*recent, *steps][-3 * _REPORT :]
        idle = 0 if steps else idle + 1
        if idle > _MOST_IDLE:
            raise PatchBatchError(
                f"{idle} samples in a row had no window with {teacher.training.least_open} open nodes; "
                "give larger images"
            )
        if before // _REPORT < teacher.step // _REPORT:
            loss, wrong = np.mean(recent, axis=0)
            told = (teacher.step, 100 * teacher.progress, loss, 100 * wrong)
            log.info("step %d, %.0f %% done, loss %.4f, %.1f %% wrong", *told)
            if figures is not None:
                rate = (teacher.step - first) / (time.monotonic() - start)
                figures.add(Row(teacher.step, float(loss), 100 * float(wrong), rate))
        if time.monotonic() - saved > _SAVE_S:
            teacher.save(checkpoint, record)
            saved = time.monotonic()
    teacher.save(checkpoint, record)
    if teacher.progress < 1:
        log.info("stopped after step %d, which is kept", teacher.step)
        raise KeyboardInterrupt


def run(plan: Plan) -> Path:
    """Make the samples that are missing, teach, and write the weights; return what was written.

    Raises
    ------
    PatchBatchError
        For a device that is not there, weights that do not fit, a checkpoint of another run, and as `fill`
        and `teach`.
    """
    device = resolve_device(plan.device)
    if plan.make_only:
        fill(plan)
        return plan.cache
    teacher = Teacher(plan.training, device, plan.start)
    teacher.resume(plan.checkpoint, plan.record)
    made, real = fill(plan)
    training = plan.training
    log.info(
        "learning from %d made and %d real samples on %s: at most %d steps and %s minutes", len(made),
        len(real), device, training.steps, "any" if training.minutes is None else f"{training.minutes:g}",
    )  # fmt: skip
    figures = Record(
        _RECORD, plan.output.with_suffix(".log.csv"), plan.log, plan.output.with_suffix(".events")
    )
    figures.begin(teacher.step)
    with closing(figures), locked(plan.output.with_suffix(".lock")), asked_to_stop() as stop:
        teach(teacher, made, real, plan.checkpoint, plan.record, figures, stop)
    save_choice_network(teacher.averaged, plan.output)
    return plan.output
