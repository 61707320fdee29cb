"""How far a benchmark is: a bar on a terminal, elsewhere a line a thing, and lines at the end; all on stderr.

All commands tell it in the same way: what is done, its error, the error so far, the time left; at the end the
best and the worst. A pair that cannot be read or computed is told and left out, and the rest goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks.bar import Bar, counted, hearing
from patchbatch.errors import PatchBatchError


@dataclass(frozen=True)
class Figure:
    """A figure that things are compared by.

    Attributes
    ----------
    title
        As the tables have it.
    unit
        "%", "px", "s" or nothing.
    decimals
        That are told.
    higher
        Whether a higher one is better.
    """

    title: str
    unit: str = "%"
    decimals: int = 2
    higher: bool = False

    def words(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}".rstrip()


@dataclass
class Running:
    """A figure of one method so far, with the best and the worst thing.

    Attributes
    ----------
    figure
        Which.
    count
        How many things were taken in.
    total, weight
        Of all; the figure is their ratio.
    """

    figure: Figure
    count: int = 0
    total: float = 0.0
    weight: float = 0.0
    least: tuple[float, str] = (float("inf"), "")
    most: tuple[float, str] = (float("-inf"), "")

    def add(self, name: str, total: float, weight: float = 1.0, pooled: bool = False) -> float | None:
        """Take a thing in and return its own figure, `total / weight`; None for one without weight.

        Parameters
        ----------
        name
            Of the thing.
        total, weight
            Of it.
        pooled
            Whether things count by their weights; else all weigh the same.
        """
        if not weight:
            return None
        value = total / weight
        self.total += total if pooled else value
        self.weight += weight if pooled else 1
        self.count += 1
        self.least, self.most = min(self.least, (value, name)), max(self.most, (value, name))
        return value

    @property
    def value(self) -> float:
        """The figure over all things so far."""
        return self.total / self.weight

    def __str__(self) -> str:
        return f"{self.figure.title} {self.figure.words(self.value)}"

    def closing(self, label: str, unit: str) -> str:
        """Return the line at the end: the figure, the best and the worst thing."""
        best, worst = (self.most, self.least) if self.figure.higher else (self.least, self.most)
        return (
            f"{label}: {self} over {counted(self.count, unit)}; best {best[1]} "
            f"({self.figure.words(best[0])}), worst {worst[1]} ({self.figure.words(worst[0])})"
        )


class Progress:
    """Tells how a run over many things goes, and goes on when one of them fails.

    Parameters
    ----------
    total, unit
        Of how many things, and what they are: "pair", "run", "row".
    figure
        Of each of them; None where they have nothing in common.
    strict
        A thing that fails ends the run, as where later ones need it.
    lines
        As of `Bar`.

    Attributes
    ----------
    failed
        What failed: the name of the thing under its `unit`, and the "error" in one line. Ready for JSON.
    """

    def __init__(
        self, total: int, unit: str = "pair", figure: Figure | None = None, *, strict: bool = False,
        lines: bool = False,
    ):  # fmt: skip
        self.unit, self.figure, self.strict = unit, figure, strict
        self.failed: list[dict[str, Any]] = []
        self._running: dict[str, Running] = {}
        self._bar = Bar(total, unit, lines=lines)
        self._told: Mapping[str, float | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away and write the closing lines.

        Raises
        ------
        PatchBatchError
            If every thing failed.
        """
        self._bar.close()
        if error is not None:
            return
        if self.failed and len(self.failed) == self._bar.done:
            raise PatchBatchError(f"no {self.unit} could be scored; the first: {self.failed[0]['error']}")
        for label, running in self._running.items():
            print(running.closing(label, self.unit), file=sys.stderr)

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Do one thing in the body of a `with` statement; if it fails, that is told and the run goes on.

        Raises
        ------
        PatchBatchError
            That of the body with the name before it, where the run is strict.
        """
        self._told = {}
        try:
            with hearing(name):
                yield
        except PatchBatchError as error:
            if self.strict:
                raise PatchBatchError(f"{name}: {error}") from error
            self.failed.append({self.unit: name, "error": f"{name}: {error}"})
            self._bar.write(f"failed: {name}: {error}")
            self._bar.advance()
        else:
            self._advance(name)

    def tell(self, values: Mapping[str, float | None], *, known: bool = False) -> None:
        """Say what came of the thing that is being done.

        Parameters
        ----------
        values
            Its figure by method; None where it has none.
        known
            Whether it was there from before, and so says nothing about the time left.
        """
        self._told = values
        if known:
            self._bar.forget()

    def _advance(self, name: str) -> None:
        words = ""
        for label, value in self._told.items():
            if value is None or self.figure is None:
                continue
            running = self._running.setdefault(label, Running(self.figure))
            running.add(name, value)
            own = self.figure.words(value)
            words += f", {label} {self.figure.title} {own} (so far {self.figure.words(running.value)})"
        self._bar.advance(", ".join(f"{label} {one}" for label, one in self._running.items()))
        self._bar.say(name, words)


def status_of(failed: list[dict[str, Any]], unit: str = "pair") -> int:
    """Return the exit status of a run, and say how many things failed: 0 only if all were scored."""
    if failed:
        print(f"{counted(len(failed), unit)} failed, see above; all others are scored", file=sys.stderr)
    return 1 if failed else 0
