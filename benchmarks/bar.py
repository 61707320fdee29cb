"""A bar on a terminal, elsewhere lines, and what long computations say; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from patchbatch.progress import in_time, listening

FIRST_S, NEXT_S = 10.0, 60.0
"""A computation says how far it is when it has taken so long, and again after so long."""


class Bar:
    """The bar, or the lines.

    Parameters
    ----------
    total, unit
        Of how many things, and what they are.
    lines
        Whether there are lines on a terminal too, as where the things draw bars of their own.
    quiet
        No bar on a terminal, as for all processes but the first.
    """

    def __init__(self, total: int, unit: str, *, lines: bool = False, quiet: bool = False):
        self.total, self.done = total, 0
        self._start, self._before = time.monotonic(), 0
        self.lines = lines or not sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=unit, disable=self.lines or quiet, dynamic_ncols=True)

    def start(self) -> None:
        """Let the time begin now: what is done so far was there from before."""
        self._start, self._before = time.monotonic(), self.done
        self._bar.unpause()

    def forget(self) -> None:
        """Take the thing that is being done for one that was there from before, and took no time."""
        self._before += 1

    def advance(self, postfix: str = "") -> None:
        """Count a thing as done; `postfix` stands behind the bar."""
        self.done += 1
        self._bar.set_postfix_str(postfix)
        self._bar.update()

    def say(self, name: str, words: str) -> None:
        """Write the line of the thing that was just done, where there is no bar."""
        if self.lines:
            print(f"{self.done}/{self.total} {name}{words}; {self.time_left()}", file=sys.stderr, flush=True)

    def time_left(self) -> str:
        """Return in words how much time is gone, and how much is left at this speed."""
        gone = time.monotonic() - self._start
        left = gone / max(1, self.done - self._before) * (self.total - self.done)
        return f"{in_time(gone)} gone, {in_time(left)} left"

    def write(self, line: str) -> None:
        """Write a line that does not run into the bar."""
        tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


@contextmanager
def hearing(name: str) -> Iterator[None]:
    """Let long computations in the body of a `with` statement say how far they are, with the time left.

    The first line comes after ten seconds, so that nobody waits for half an hour without knowing it.
    """
    begun: dict[str, tuple[float, int]] = {}
    due: dict[str, float] = {}

    def hear(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        since, before = begun.setdefault(what, (now, done))
        if done >= total:
            # Several computations of a kind follow each other, such as the levels of two images.
            del begun[what]
        elif now >= due.get(what, since + FIRST_S) and done > before:
            due[what] = now + NEXT_S
            left = (now - since) / (done - before) * (total - done)
            line = f"  {name}: {100 * done / total:.0f} % of {total} {what}, {in_time(left)} left for them"
            tqdm.write(line, file=sys.stderr)

    with listening(hear):
        yield


def counted(count: int, unit: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "pair"), counted(12, "run")
    ('1 pair', '12 runs')
    """
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
