"""Several processes that share the pairs: of one machine (--jobs), or those that torchrun started.

Nothing here imports torch before it is needed: libraries read the numbers of threads when they are imported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from patchbatch.errors import PatchBatchError

T = TypeVar("T")
R = TypeVar("R")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# A thread that waits for work by spinning takes the processor from the other processes.
NO_SPINNING = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
# The first process waits for the last one, which may be hours behind.
PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Group:
    """The processes that torchrun started, of which this is one; a process by itself is a group of one.

    Attributes
    ----------
    rank, size
        Number of this process, and how many there are.
    local_rank, local_size
        The same among those of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    def share(self, things: Sequence[T]) -> list[T]:
        """Return every n-th thing; all processes together have each once."""
        return list(things[self.rank :: self.size])

    def gathered(self, mine: list[T]) -> list[T]:
        """Return what all processes have, process by process; all but the first get nothing."""
        if self.size == 1:
            return mine
        import torch.distributed as dist  # noqa: PLC0415 (see above)

        dist.init_process_group("gloo", timeout=PATIENCE)
        try:
            parts: list[Any] | None = [None] * self.size if self.rank == 0 else None
            dist.gather_object(mine, parts, dst=0)
        finally:
            dist.destroy_process_group()
        return [one for part in parts or [] for one in part]


def group_of_torchrun() -> Group:
    """Return the group that torchrun's variables describe."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if not all(name in os.environ for name in names):
        return Group()
    return Group(*(int(os.environ[name]) for name in names))


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_variables(processes: int, asked: str | None = None) -> dict[str, str]:
    """Return the environment of one of several processes of a machine, which share its processors.

    Parameters
    ----------
    processes
        How many there are.
    asked
        OMP_NUM_THREADS as it is set; a lower number of threads is kept.

    Examples
    --------
    >>> thread_variables(1)
    {}
    """
    if processes == 1:
        return {}
    share = max(1, usable_processors() // processes)
    if asked is not None and asked.isdecimal():
        share = max(1, min(share, int(asked)))
    return dict.fromkeys(THREADS, str(share)) | NO_SPINNING


@contextmanager
def sharing_threads() -> Iterator[None]:
    """Share the processors with the processes of torchrun here; to be entered before torch is imported.

    torchrun gives every process one thread, whatever the machine has.
    """
    group = group_of_torchrun()
    with _environment(thread_variables(group.local_size)):
        yield


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def in_processes(
    work: Callable[[T], R], things: Iterable[T], jobs: int, prepare: Callable[..., None], *told: Any
) -> Iterator[R]:
    """Do work on things in several new processes and yield what comes of it, in the order it is done.

    Only a few things are handed out ahead, so memory does not grow with their number.

    Parameters
    ----------
    work
        A function of a module, done in the processes.
    things
        What each call of it gets.
    jobs
        How many processes.
    prepare
        Is called once in every process, with the number of the process and `told`.

    Raises
    ------
    PatchBatchError
        What `work` raised, or that a process was killed.
    """
    context = multiprocessing.get_context("spawn")  # what was forked would share locks of running threads
    counter = context.Value("i", 0)
    left = iter(things)
    with _environment(thread_variables(jobs, os.environ.get("OMP_NUM_THREADS"))):
        pool = ProcessPoolExecutor(jobs, context, _begin, (counter, prepare, told))
        try:
            running: set[Future[R]] = {pool.submit(work, one) for one in islice(left, 2 * jobs)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, one) for one in islice(left, len(done))}
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise PatchBatchError(
                "a process of --jobs was killed, perhaps for want of memory; give fewer jobs"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(counter: Any, prepare: Callable[..., None], told: tuple[Any, ...]) -> None:
    """Begin a process: it ends with its parent, says nothing when interrupted, and has a number."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import cv2  # noqa: PLC0415 - it does not look at the variables

    cv2.setNumThreads(int(os.environ.get("OMP_NUM_THREADS", "0")) or -1)
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    prepare(number, *told)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
