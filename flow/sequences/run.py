"""A sequence from its first pair to its videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, TypeVar

from flow.sequences.films import color_film, smooth_film
from flow.sequences.progress import Progress
from flow.sequences.results import Results
from flow.sequences.settings import DEFAULT_FPS, SequenceSettings
from flow.sequences.sources import FramePair, Source
from flow.sequences.work import Worker, told_of, write_results
from flow.settings import FlowSettings
from patchbatch.descriptors.remembered import Memory, remembering
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_descriptor
from patchbatch.runs.processes import Group

# Of several processes each takes so many pairs in a row; where it begins a row, a frame is described that
# another process describes too.
ROW = 16


@dataclass(frozen=True)
class Job:
    """All that a sequence is made with.

    Attributes
    ----------
    source, folder, wanted
        From where, to where, and what.
    depends
        What the results depend on, ready for JSON, see `flow.sequences.results`.
    model, device, precision, preset, settings, interpolate, refine
        As `estimate_flow` takes them.
    color
        Of the video of the flow; None for none.
    smooth
        Of the video with the frames between; None for none.
    radius, fps
        Scale of the colours in px and frames a second; None for what the sequence says.
    shown
        Whether progress is told.
    """

    source: Source
    folder: Path
    wanted: SequenceSettings
    depends: dict[str, Any]
    model: str
    settings: FlowSettings
    device: str = "auto"
    precision: str = "auto"
    preset: str = "default"
    interpolate: bool = True
    refine: bool = True
    color: Path | None = None
    smooth: Path | None = None
    radius: float | None = None
    fps: float | None = None
    shown: bool = True


@dataclass(frozen=True)
class Told:
    """What became of a pair: its place in the sequence, its name, and why it failed, None if it did not."""

    number: int
    name: str
    why: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a sequence.

    Attributes
    ----------
    pairs
        Of all processes, in their order.
    doubtful
        How many of them come with a warning.
    videos
        That were written, with a word about each.
    """

    pairs: list[Told]
    doubtful: int
    videos: list[tuple[Path, str]]

    @property
    def failed(self) -> list[Told]:
        """The pairs that could not be made."""
        return [pair for pair in self.pairs if pair.why is not None]


def run(job: Job, group: Group) -> Outcome | None:
    """Make what is missing of a sequence, and then its videos.

    Parameters
    ----------
    job
        What is made.
    group
        The processes that share the pairs, of which this is one.

    Returns
    -------
    Outcome
        None in all processes but the first.

    Raises
    ------
    PatchBatchError
        If no pair could be made, and as `Results`.
    """
    results = Results(job.folder, job.wanted, job.depends, group.rank)
    try:
        told = group.gathered(_made(job, results, group))
        return _finished(job, results, told) if group.rank == 0 else None
    finally:
        results.close()


def _made(job: Job, results: Results, group: Group) -> list[Told]:
    """Make those pairs of this process that are missing, and tell of all of them."""
    total = job.source.count
    mine = total if total is None else sum(_is_mine(number, group) for number in range(total))
    progress = Progress(mine, shown=job.shown and group.rank == 0)
    told: list[Told] = []
    worker = None
    try:
        with remembering() as memory:
            for (number, pair), ahead in with_next(_missing(job.source, results, group, progress, told)):
                # Loaded once, and not at all where nothing is missing.
                worker = worker or _worker(job, memory)
                try:
                    found = worker.results(pair, None if ahead is None else ahead[1])
                except PatchBatchError as error:
                    told.append(Told(number, pair.name, str(error)))
                    progress.fail(pair.name, str(error))
                    continue
                write_results(pair, found, results.paths(pair))
                results.add(pair, told_of(found))
                told.append(Told(number, pair.name))
                progress.make(pair.name)
    finally:
        progress.close()
    return told


def _worker(job: Job, memory: Memory) -> Worker:
    return Worker(
        load_descriptor(job.model, job.device), job.settings, job.wanted, memory,
        precision=job.precision, preset=job.preset, interpolate=job.interpolate, refine=job.refine,
    )  # fmt: skip


def _missing(
    source: Source, results: Results, group: Group, progress: Progress, told: list[Told]
) -> Iterator[tuple[int, FramePair]]:
    """Yield the pairs that this process has to make; those that are there it tells of."""
    pairs = source.pairs()
    for number in count():
        try:
            pair = next(pairs, None)
        except PatchBatchError as error:  # a video that is damaged from here on
            if _is_mine(number, group):
                told.append(Told(number, "the rest", str(error)))
                progress.fail("the rest", str(error))
            return
        if pair is None:
            return
        if not _is_mine(number, group):
            continue
        if results.is_done(pair):
            told.append(Told(number, pair.name))
            progress.keep()
        else:
            yield number, pair


def _is_mine(number: int, group: Group) -> bool:
    return number // ROW % group.size == group.rank


T = TypeVar("T")


def with_next(things: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Yield each thing with the one that comes after it, None after the last.

    Examples
    --------
    >>> list(with_next("ab"))
    [('a', 'b'), ('b', None)]
    """
    for thing, following in pairwise(chain(things, [None])):
        assert thing is not None  # noqa: S101 - only the last is
        yield thing, following


def _finished(job: Job, results: Results, told: Iterable[Told]) -> Outcome:
    """Tidy up after all processes, and make the videos."""
    pairs = sorted(told, key=lambda one: one.number)
    if not any(one.why is None for one in pairs):
        raise PatchBatchError(
            pairs[0].why or "" if pairs else "there are less than two frames; a flow needs two at least"
        )
    results.tidy()
    videos: list[tuple[Path, str]] = []
    fps = job.fps or job.source.fps or DEFAULT_FPS
    if job.color is not None:
        flows = [None if one.why else results.path(one.name) for one in pairs]
        scale = color_film(job.color, flows, fps, job.radius)
        videos.append((job.color, f"full colour: {scale:g} px"))
    if job.smooth is not None:
        smooth_film(job.smooth, job.source, results, fps)
        videos.append((job.smooth, f"{fps * (job.wanted.between + 1):g} frames a second"))
    return Outcome(pairs, results.doubtful(one.name for one in pairs), videos)
