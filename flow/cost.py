"""What each stage costs: seconds, peak memory, and the arithmetic of matching.

That of describing stands in `patchbatch.descriptors.cost`, and with each `Descriptor`.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flow.matching.seeds import seed_axis

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from flow.matching.settings import MatchingSettings

log = logging.getLogger(__name__)

STATUS = Path("/proc/self/status")
CLEAR_PEAK = Path("/proc/self/clear_refs")

# What the networks reach of the speed of a matrix product (docs/results.md), and the product that is timed.
_SHARE_OF_PRODUCT = 0.5
_PRODUCT_SIDE, _PRODUCTS = 1024, 4


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

    def after(self, before: StageCost | None) -> StageCost:
        """Return the cost of this stage and of what it did before."""
        if before is None:
            return self
        arithmetic = None if self.gflop is None or before.gflop is None else self.gflop + before.gflop
        return StageCost(self.seconds + before.seconds, arithmetic, max(self.peak_mb, before.peak_mb))


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
        """Measure the body of a `with` statement; the body may set `gflop` of what it is given.

        A stage that runs again costs what it did before and what it does now.
        """
        cost = StageCost()
        if self.per_stage_memory:
            _forget_peak()
        start = time.perf_counter()
        yield cost
        cost.seconds = time.perf_counter() - start
        cost.peak_mb = _peak_mb()
        self.costs[name] = cost.after(self.costs.get(name))
        log.info("%s: %.2f s, at most %.0f MB", name, cost.seconds, cost.peak_mb)
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


def expected_seconds(gflop: float, device: torch.device, dtype: torch.dtype) -> float:
    """Return about how long describing by so many GFLOP takes here, from the speed of a matrix product."""
    import torch  # noqa: PLC0415 - the costs alone need no torch

    side = _PRODUCT_SIDE if device.type == "cpu" else 4 * _PRODUCT_SIDE
    square = torch.ones(side, side, dtype=dtype, device=device)
    fastest = math.inf
    for _ in range(_PRODUCTS):
        start = time.perf_counter()
        float((square @ square)[0, 0])  # waits for a device too
        fastest = min(fastest, time.perf_counter() - start)
    rate = 2 * side**3 / max(fastest, 1e-9) / 1e9
    return gflop / (_SHARE_OF_PRODUCT * rate)


def product_flop(
    descriptors1: Sequence[Tensor], descriptors2: Sequence[Tensor], settings: MatchingSettings
) -> float | None:
    """Return the floating-point operations of the matrix products that `match` does, both ways.

    That is two for every number of every pair of descriptors that the method has to compare: of all of the
    top level for coarse to fine, of the windows of the volume for semi-global, of the finest level or its
    windows for exact. None for methods that multiply no matrices. Arguments as for `match`.

    Candidates that are compared one by one below the top level are not in it, since how many there are
    depends on the images: coarse to fine, about a fifth as much again for a pair of KITTI's size.
    """
    counts = {"exact": _exact_pairs, "semi-global": _semiglobal_pairs, "coarse-to-fine": _top_level_pairs}
    if settings.method not in counts:
        return None
    pairs = counts[settings.method](descriptors1, descriptors2, settings.search)
    return 2.0 * descriptors1[0].shape[2] * pairs


def _exact_pairs(first: Sequence[Tensor], second: Sequence[Tensor], search: Any) -> int:
    window = (search.window, search.window)
    forward = _pairs(first[0], second[0], search.step, window)
    # One sweep answers both ways where every pixel is asked.
    return forward if search.step == 1 else forward + _pairs(second[0], first[0], search.step, window)


def _semiglobal_pairs(first: Sequence[Tensor], second: Sequence[Tensor], search: Any) -> int:
    # The costs alone need no torch.
    from flow.matching.pyramid.semiglobal import volume_level, window_reach  # noqa: PLC0415

    top, pairs = volume_level(len(first), search), 0
    for a, b in ((first[top], second[top]), (second[top], first[top])):
        x, y = window_reach(a, b, top, search.max_motion)
        pairs += _pairs(a, b, 1, (y, x))
    return pairs


def _top_level_pairs(first: Sequence[Tensor], second: Sequence[Tensor], search: Any) -> int:
    top, pairs = len(first) - 1, 0
    for a, b in ((first, second), (second, first)):
        seeds = [seed_axis(side, search.step) >> top for side in a[0].shape[:2]]
        asked = len(np.unique(seeds[0])) * len(np.unique(seeds[1]))
        pairs += asked * b[top].shape[0] * b[top].shape[1]
    return pairs


def _pairs(first: Tensor, second: Tensor, step: int, window: tuple[int | None, int | None]) -> int:
    """Count pairs of a grid of one image with the pixels of the other inside a window, (y, x) px."""
    pairs = 1
    for length1, length2, reach in zip(first.shape[:2], second.shape[:2], window, strict=True):
        places = seed_axis(length1, step)
        pairs *= _met(places, length2, length2 + length1 if reach is None else reach)
    return pairs


def _met(places: NDArray[np.int32], length: int, reach: int) -> int:
    ends = np.minimum(places + reach + 1, length) - np.maximum(places - reach, 0)
    return int(np.maximum(ends, 0).sum())
