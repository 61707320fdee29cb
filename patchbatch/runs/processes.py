"""Several processes that share a run, as torchrun starts them, and the threads that each of them takes.

Nothing here imports torch before it is needed: libraries read the numbers of threads when they are imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

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
    with environment(thread_variables(group.local_size)):
        yield


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
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
