"""The official lists of Labeled Faces in the Wild: people and pairs, in one fold or several."""

from __future__ import annotations

from patchbatch.data.files import FilePath, read_bytes
from patchbatch.errors import PatchBatchError

# (name, number) of an image, number from 1.
Face = tuple[str, int]
People = list[tuple[str, int]]
FacePairs = list[tuple[Face, Face]]


def read_people(path: FilePath) -> list[People]:
    """Read a list of people: for each fold, names with their numbers of images.

    `people.txt` starts with the number of folds and each fold with its size; the lists of View 1 start with
    their size and are one fold.

    Raises
    ------
    PatchBatchError
        The file is missing or not such a list.
    """
    lines = _Lines(path)
    folds = lines.number() if lines.is_in_folds() else 1
    people = [[lines.person() for _ in range(lines.number())] for _ in range(folds)]
    lines.end()
    return people


def read_pairs(path: FilePath) -> list[FacePairs]:
    """Read a list of pairs: for each fold, same pairs and then as many not-same pairs.

    The first line of `pairs.txt` is the number of folds and that of pairs of a kind in each; the lists of
    View 1 leave out the number of folds, which is one.

    Raises
    ------
    PatchBatchError
        The file is missing or not such a list.
    """
    lines = _Lines(path)
    folds, count = lines.pair_header()
    pairs = [
        [lines.same_pair() for _ in range(count)] + [lines.other_pair() for _ in range(count)]
        for _ in range(folds)
    ]
    lines.end()
    return pairs


class _Lines:
    """The lines of a list in turn; one that is not as expected is an error with its number."""

    def __init__(self, path: FilePath) -> None:
        self.path = path
        try:
            text = read_bytes(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise PatchBatchError(f"{path} is not text; use the official list") from error
        self.lines = [line.split() for line in text.splitlines()]
        self.at = 0

    def is_in_folds(self) -> bool:
        """Say whether two counts stand at the top: of folds, and of the first one's people."""
        return [len(fields) for fields in self.lines[:2]] == [1, 1]

    def number(self) -> int:
        """Take a line that is a number alone."""
        (field,) = self._take("a count", 1)
        return self._whole(field)

    def person(self) -> tuple[str, int]:
        """Take a name and its number of images."""
        name, count = self._take("a name and its number of images", 2)
        return name, self._whole(count)

    def pair_header(self) -> tuple[int, int]:
        """Take the number of folds, 1 where it is left out, and that of pairs of a kind."""
        folds, count = ["1", *self._take("a count of folds and of pairs", 1, 2)][-2:]
        return self._whole(folds), self._whole(count)

    def same_pair(self) -> tuple[Face, Face]:
        """Take a name and two numbers of images."""
        name, one, two = self._take("a name and two numbers of images", 3)
        return (name, self._whole(one)), (name, self._whole(two))

    def other_pair(self) -> tuple[Face, Face]:
        """Take two names with the number of an image each."""
        name1, one, name2, two = self._take("two names with the number of an image each", 4)
        return (name1, self._whole(one)), (name2, self._whole(two))

    def end(self) -> None:
        """Check that nothing is left but empty lines."""
        if any(self.lines[self.at :]):
            self.at += 1
            raise self._unexpected("the end of the list")

    def _take(self, wanted: str, *counts: int) -> list[str]:
        self.at, self.wanted = self.at + 1, wanted
        if self.at > len(self.lines) or len(self.lines[self.at - 1]) not in counts:
            raise self._unexpected(wanted)
        return self.lines[self.at - 1]

    def _whole(self, field: str) -> int:
        # Nobody has a million images; a count that long is a damaged list.
        if not (field.isascii() and field.isdigit() and len(field) <= 6 and int(field)):
            raise self._unexpected(self.wanted)
        return int(field)

    def _unexpected(self, wanted: str) -> PatchBatchError:
        return PatchBatchError(f"{self.path}: line {self.at} should be {wanted}; use the official list")
