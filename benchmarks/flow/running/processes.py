"""Several processes of one machine that share the pairs (--jobs).

Nothing here imports torch before it is needed: libraries read the numbers of threads when they are imported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from patchbatch.errors import PatchBatchError
from patchbatch.runs.processes import environment, thread_variables

T = TypeVar("T")
R = TypeVar("R")


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
    with environment(thread_variables(jobs, os.environ.get("OMP_NUM_THREADS"))):
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
