"""How far a sequence is: a bar on a terminal, elsewhere a line a pair; all on stderr."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from patchbatch.progress import in_time


class Progress:
    """Tells how a sequence goes.

    Parameters
    ----------
    total
        Pairs of this process; None where nobody knows.
    shown
        Whether anything is said beside failures.
    """

    def __init__(self, total: int | None, *, shown: bool = True):
        self._total, self._lines = total, shown and not sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=" pair", disable=not shown or self._lines, dynamic_ncols=True)
        self._done = self._kept = self._silent = 0
        self._start = time.monotonic()
        self._told = ""

    def keep(self) -> None:
        """Count a pair that was there from before."""
        self._done += 1
        self._kept += 1
        self._silent += 1
        self._bar.update()

    def make(self, name: str) -> None:
        """Count a pair that was made now."""
        self._tell_kept()
        self._done += 1
        self._bar.update()
        if self._lines:
            of = "" if self._total is None else f"/{self._total}"
            print(f"{self._done}{of} {name}: {self._times()}", file=sys.stderr, flush=True)

    def fail(self, name: str, why: str) -> None:
        """Count a pair that could not be made, and say why."""
        self._tell_kept()
        self._done += 1
        self._bar.update()
        if why != self._told:  # a frame that cannot be read is part of two pairs
            tqdm.write(f"failed: {name}: {why}", file=sys.stderr)
        self._told = why

    def _tell_kept(self) -> None:
        if self._silent and self._lines:
            pairs = "pair is" if self._silent == 1 else "pairs are"
            print(f"{self._silent} {pairs} there from before", file=sys.stderr, flush=True)
        self._silent = 0

    def _times(self) -> str:
        gone = time.monotonic() - self._start
        if self._total is None or self._total < self._done:
            return f"{in_time(gone)} gone"
        left = gone / max(1, self._done - self._kept) * (self._total - self._done)
        return f"{in_time(gone)} gone, {in_time(left)} left"

    def close(self) -> None:
        """Tell what is left to tell, and take the bar away."""
        self._tell_kept()
        self._bar.close()
