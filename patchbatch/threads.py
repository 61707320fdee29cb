"""How many threads compute, for everything that has some: torch, OpenCV and the compiled loops."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from patchbatch.errors import PatchBatchError

_ASKED = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
_CGROUP = Path("/sys/fs/cgroup")
_chosen: list[int] = []


def thread_count() -> int:
    """Return how many threads the compiled loops use.

    What `set_threads` said last; else NUMBA_NUM_THREADS or OMP_NUM_THREADS of the environment; else the
    processors that this process may use, by its affinity and by the quota of its container.
    """
    return _chosen[-1] if _chosen else _at_first()


def set_threads(count: int) -> None:
    """Let torch, OpenCV and the compiled loops use so many threads.

    Raises
    ------
    PatchBatchError
        For less than 1.
    """
    if count < 1:
        raise PatchBatchError(f"threads is {count}; give 1 or more")
    _chosen[:] = [count]
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", *_ASKED):
        os.environ[variable] = str(count)  # for what is imported later, and for other processes
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)


@contextmanager
def loops_in(count: int) -> Iterator[None]:
    """Let the compiled loops of a `with` statement use so many threads, and nothing else be changed."""
    before, _chosen[:] = _chosen[:], [count]
    try:
        yield
    finally:
        _chosen[:] = before


@cache
def _at_first() -> int:
    for variable in _ASKED:
        asked = os.environ.get(variable, "")
        if asked.isdigit() and int(asked) > 0:
            return int(asked)
    return available()


def available(cgroup: Path = _CGROUP) -> int:
    """Return the processors that this process may use: those of its affinity, within a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroup)
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Return the processors' worth of time that a container gets, None without a limit."""
    try:
        if (cgroup / "cpu.max").exists():
            allowed, period = (cgroup / "cpu.max").read_text().split()
        else:
            allowed = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        quota = int(allowed) / int(period)
    except (OSError, ValueError):  # no such files, or "max"
        return None
    return quota if quota > 0 else None


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads that help with compiled loops; they sleep while there is nothing to do."""
    return ThreadPoolExecutor(max(32, available()), "patchbatch")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # a forked child has none of the threads
