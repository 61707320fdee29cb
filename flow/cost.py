"""What each stage costs: seconds, arithmetic, peak memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_PEAK = Path("/proc/self/clear_refs")


@dataclass
class StageCost:
    """Cost of one stage.

    Attributes
    ----------
    seconds
        Wall time.
    gflop
        Floating-point operations of its convolutions and matrix products, in thousands of millions; None
        where the stage has none.
    peak_mb
        Largest resident memory of the whole process in MB: up to the end of the stage, or, with
        `Meter.per_stage_memory`, while it ran.
    """

    seconds: float = 0.0
    gflop: float | None = None
    peak_mb: float = 0.0


@dataclass
class Meter:
    """Collects the costs of the stages by name, in the order they ran.

    Attributes
    ----------
    on_done
        Called with the name and cost of each stage when it is done.
    per_stage_memory
        Let the kernel's record of the peak start anew with each stage (Linux). The record is the whole
        process's, and others who read it see it start anew too.
    costs
        By name.
    """

    on_done: Callable[[str, StageCost], None] | None = None
    per_stage_memory: bool = False
    costs: dict[str, StageCost] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[StageCost]:
        """Measure the body of a `with` statement; the body may set `gflop` of what it is given."""
        cost = StageCost()
        if self.per_stage_memory:
            _forget_peak()
        start = time.perf_counter()
        yield cost
        cost.seconds = time.perf_counter() - start
        cost.peak_mb = _peak_mb()
        self.costs[name] = cost
        if self.on_done:
            self.on_done(name, cost)

    def seconds(self) -> dict[str, float]:
        """Return the wall time by stage, and the sum as "total"."""
        times = {name: cost.seconds for name, cost in self.costs.items()}
        return times | {"total": sum(times.values())}


def _forget_peak() -> None:
    """Let the kernel's record of the peak start anew, where that can be asked for."""
    try:
        CLEAR_PEAK.write_text("5")
    except OSError:
        return


def _peak_mb() -> float:
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    try:
        import resource  # noqa: PLC0415 - Windows has no such module
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
