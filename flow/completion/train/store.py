"""The folder of samples: which there shall be, and making those that are missing, in several processes."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.completion.train.making import VARIANTS, pair_sample, scene_sample
from flow.completion.train.plan import SOURCES, Plan
from flow.completion.train.samples import write_sample
from patchbatch.data.datasets.trees import FlowPair
from patchbatch.data.files import atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.threads import set_threads, thread_count

log = logging.getLogger(__name__)

_REPORT_S = 60.0


@dataclass(frozen=True)
class Task:
    """A sample to make: of a scene by number, or of a real pair in a variant."""

    path: Path
    scene: int | None = None
    pair: FlowPair | None = None
    variant: str = ""


@dataclass(frozen=True)
class _Maker:
    """Makes the samples of tasks; goes to other processes."""

    photos: tuple[Path, ...]
    frames: tuple[Path, ...]
    seed: int
    device: str

    def __call__(self, task: Task) -> None:
        """Make a sample, unless another process has; a pair of which nothing matches gives none."""
        if task.path.exists():
            return
        if task.pair is not None:
            sample = pair_sample(task.pair, task.variant, self.device)
        else:
            sample = scene_sample(self.photos, self.frames, self.seed, task.scene or 0, self.device)
        if sample is not None:
            write_sample(task.path, sample)


def fill(plan: Plan) -> tuple[list[Path], list[Path]]:
    """Make the samples that are missing; return the files of made and of real pairs.

    Several commands may fill one folder at once: each goes through the samples in an order of its own.

    Raises
    ------
    PatchBatchError
        For images that cannot be read, files that cannot be written, and a process that was ended.
    """
    with atomic_path(plan.cache / SOURCES) as temporary:
        temporary.write_text(plan.sources, encoding="utf-8")
    scenes, pairs = scene_tasks(plan), pair_tasks(plan)
    missing = [task for task in (*scenes, *pairs) if not task.path.exists()]
    if missing:
        log.info("making %d samples of %d in %s", len(missing), len(scenes) + len(pairs), plan.cache)
        order = np.random.default_rng().permutation(len(missing))
        _make([missing[k] for k in order], plan)
    real = [task.path for task in pairs if task.path.exists()]
    if len(real) < len(pairs):
        log.warning("in %d variants of real pairs nothing could be matched", len(pairs) - len(real))
    return [task.path for task in scenes], real


def scene_tasks(plan: Plan) -> list[Task]:
    """Return the made scenes of a plan."""
    numbers = range(plan.training.scenes)
    return [Task(plan.cache / f"scene-{number:06d}.npz", number) for number in numbers]


def pair_tasks(plan: Plan) -> list[Task]:
    """Return the real pairs of a plan, each in all variants."""
    return [
        Task(
            plan.cache / f"{pair.dataset}-{pair.name.replace('/', '_')}-{variant}.npz", None, pair, variant
        )
        for pair in plan.pairs for variant in VARIANTS
    ]  # fmt: skip


def _make(tasks: list[Task], plan: Plan) -> None:
    maker = _Maker(plan.photos, plan.frames, plan.training.seed, plan.device)
    told = time.monotonic()
    for done, _ in enumerate(_results(maker, tasks, plan.jobs), 1):
        if time.monotonic() - told > _REPORT_S or done == len(tasks):
            told = time.monotonic()
            log.info("%d of %d samples are made", done, len(tasks))


def _results(maker: _Maker, tasks: list[Task], jobs: int) -> Iterator[None]:
    """Yield whenever a task is done."""
    if jobs == 1:
        yield from map(maker, tasks)
        return
    threads = max(1, thread_count() // jobs)
    # Not forked: a forked child inherits the locks of torch's threads and can wait for ever.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(jobs, context, set_threads, (threads,)) as pool:
            yield from pool.map(maker, tasks)
    except BrokenProcessPool as error:
        raise PatchBatchError(
            "a process that makes samples was ended; is memory short? use fewer --jobs"
        ) from error
