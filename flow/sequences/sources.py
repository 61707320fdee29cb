"""Which frames a sequence has: those of a folder, of names that fit, or of a list of pairs.

Looking for them needs no torch; frames are read when they are asked for, and held by who asks.
"""

from __future__ import annotations

import glob
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from flow.sequences.arguments import PICTURE_SUFFIXES, has_wildcard
from patchbatch.data.files import read_bytes
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError

STDIN = "-"


@dataclass
class Frame:
    """One frame.

    Attributes
    ----------
    called
        In messages.
    identity
        What tells it from other frames, ready for JSON; another one if its file was changed.
    given
        The pixels of a frame that has no file of its own, `(H, W, 3)` uint8 RGB.
    """

    called: str
    identity: list[Any]
    given: NDArray[Any] | None = None

    @cached_property
    def pixels(self) -> NDArray[Any]:
        """As `read_image` returns them; held from then on.

        Raises
        ------
        PatchBatchError
            As `read_image`.
        """
        return read_image(self.called) if self.given is None else self.given


@dataclass(frozen=True)
class FramePair:
    """Two frames, and the name of what is made of them."""

    name: str
    first: Frame
    second: Frame


class Source(Protocol):
    """Where frames come from, in their order and as often as they are asked for."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from other sources, ready for JSON."""
        ...

    @property
    def count(self) -> int | None:
        """The number of pairs; None where it is not known before the end."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames a second; None where nothing says."""
        ...

    @property
    def chained(self) -> bool:
        """Whether each pair begins with the frame that the one before ends with."""
        ...

    def pairs(self) -> Iterator[FramePair]:
        """Yield the pairs. Of consecutive ones, a frame that both have is one object."""
        ...


@dataclass(frozen=True)
class FilePairs:
    """Pairs of image files.

    Attributes
    ----------
    identity, chained
        As of every `Source`.
    files
        Two a pair.
    """

    identity: dict[str, Any]
    files: Sequence[tuple[Path, Path]]
    chained: bool = True
    fps: float | None = field(default=None, init=False)

    @property
    def count(self) -> int:
        """The number of pairs."""
        return len(self.files)

    def pairs(self) -> Iterator[FramePair]:
        """Yield the pairs, named after their first frames, or numbered where those names repeat."""
        stems = [first.stem for first, _ in self.files]
        numbered = len(set(stems)) < len(stems)
        known: dict[Path, Frame] = {}
        for number, both in enumerate(self.files):
            known = {path: known.get(path) or _frame(path) for path in both}
            name = f"{number:06d}" if numbered else stems[number]
            yield FramePair(name, known[both[0]], known[both[1]])


def _frame(path: Path) -> Frame:
    try:
        found = path.stat()
        identity = [str(path.resolve()), found.st_size, found.st_mtime_ns]
    except OSError:  # gone since; reading it says so
        identity = [str(path)]
    return Frame(str(path), identity)


def find_files(words: Sequence[str], step: int) -> FilePairs:
    """Return the frames of a folder, of names with `*` in them, or of names.

    Names are put in their natural order, so that frame 10 comes after frame 9; several names stay in the
    order they are given in.

    Parameters
    ----------
    words
        One folder, one name with wildcards, or frames.
    step
        Every so manieth frame is taken.

    Raises
    ------
    PatchBatchError
        When there are less than two frames, when a frame is missing, or when they have several sizes.
    """
    if len(words) > 1:
        found, where = [Path(word) for word in words], "the names"
        _check_there((path, "") for path in found)
        identity = {"first": str(found[0].resolve())}
    else:
        found, where, identity = _looked_for(words[0])
    taken = found[::step]
    if len(taken) < 2:
        every = f", {len(taken)} with --step {step}" if step > 1 else ""
        raise PatchBatchError(
            f"{where} has {_counted(len(found), 'frame')}{every}; a flow needs two at least"
        )
    _check_sizes(taken)
    return FilePairs(identity, list(pairwise(taken)))


def _looked_for(word: str) -> tuple[list[Path], str, dict[str, Any]]:
    if has_wildcard(word):
        found = [Path(name) for name in glob.glob(word, recursive=True) if Path(name).is_file()]
        place = Path(word).absolute()
        return sorted(found, key=_natural), word, {"glob": str(place)}
    folder = Path(word)
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    except OSError as error:
        raise PatchBatchError(f"{folder} cannot be read ({error.strerror}); check the folder") from error
    shown = [path for path in found if not path.name.startswith(".")]
    return sorted(shown, key=_natural), f"the folder {word}", {"folder": str(folder.resolve())}


def _counted(count: int, thing: str) -> str:
    if not count:
        return f"no {thing}s"
    return f"only one {thing}" if count == 1 else f"{count} {thing}s"


def _natural(path: Path) -> tuple[Any, ...]:
    """Return a key by which numbers in names are ordered as numbers."""
    parts = re.split(r"(\d+)", str(path))
    return (*((int(part), part) if part.isdigit() else (-1, part) for part in parts),)


def read_pairs(word: str) -> FilePairs:
    """Return the pairs of a list: two names a line, relative to the current folder.

    Names are parted by a tab or by blanks; those with blanks in them stand in quotes. Empty lines and what
    follows a `#` at the start of a line do not count.

    Parameters
    ----------
    word
        A text file, or `-` for standard input.

    Raises
    ------
    PatchBatchError
        For a list that cannot be read, lines that do not hold two names, files that are missing, and pairs
        of two sizes; names the line.
    """
    called = "the list on standard input" if word == STDIN else word
    data = sys.stdin.buffer.read() if word == STDIN else read_bytes(word)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PatchBatchError(f"{called} is no text in UTF-8; write it again") from error
    found: list[tuple[int, Path, Path]] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            first, second = _two_names(line, f"{called}, line {number}")
            found.append((number, first, second))
    if not found:
        raise PatchBatchError(f"{called} names no pair; write two frames a line")
    _check_there((path, f"{called}, line {number}: ") for number, *both in found for path in both)
    for number, first, second in found:
        _check_sizes((first, second), f"{called}, line {number}: ")
    files = [(first, second) for _, first, second in found]
    chained = all(before[1] == after[0] for before, after in pairwise(files))
    return FilePairs({"pairs": word if word == STDIN else str(Path(word).resolve())}, files, chained)


def _two_names(line: str, where: str) -> tuple[Path, Path]:
    try:
        names = line.strip().split("\t") if "\t" in line.strip() else shlex.split(line)
    except ValueError as error:
        raise PatchBatchError(f"{where} has a quote that is not closed; close it, or write a tab") from error
    if len(names) != 2:
        raise PatchBatchError(f"{where} has {len(names)} names; write two, those with blanks in quotes")
    return Path(names[0]), Path(names[1])


def _check_there(named: Iterable[tuple[Path, str]]) -> None:
    for path, where in named:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise PatchBatchError(f"{where}{path} {what}; check the name")


def _check_sizes(paths: Sequence[Path], where: str = "") -> None:
    """Refuse frames of several sizes, as far as their headers tell; damaged ones are found when read."""
    before: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        size = _size(path)
        if size is None:
            continue
        if before is not None and size != before[1]:
            (width, height), (other_width, other_height) = before[1], size
            raise PatchBatchError(
                f"{where}{before[0]} is {width}x{height} but {path} is {other_width}x{other_height}; "
                "the frames of a sequence have one size"
            )
        before = before or (path, size)


def _size(path: Path) -> tuple[int, int] | None:
    """Return width and height in px as the header of an image file says; None where that is not read."""
    from PIL import Image  # noqa: PLC0415 - the other ways to name frames do not need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large sizes, which reading refuses by itself
        try:
            with Image.open(path) as image:
                return image.size
        except Exception:  # whatever a damaged header makes of it
            return None
