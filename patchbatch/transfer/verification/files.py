"""Files of `patchbatch-verify`: features, labels and pairs to read, scores to write."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.files import MAX_FILE_BYTES, FilePath, atomic_path, read_bytes
from patchbatch.data.npz import array_names, read_array, read_npy
from patchbatch.data.tensor_files import read_tensors
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats, Integers, as_samples

KEYS = ("features", "labels")
# There are more faces than rows in an image; what the file can hold bounds them.
MOST_ROWS = 2**40
_PAIR_COLUMNS = "row1, row2, and perhaps same (1 or 0) and fold"


@dataclass(frozen=True)
class FeatureSet:
    """The content of a feature file.

    Attributes
    ----------
    features
        `(N, D)` float64, finite.
    labels
        `(N,)` integers or strings, or None where the file has none.
    """

    features: Floats
    labels: NDArray[Any] | None


@dataclass(frozen=True)
class PairList:
    """The content of a pair file: `(P,)` columns, those that are not in the file None."""

    first: Integers
    second: Integers
    same: Booleans | None
    fold: Integers | None


def read_features(path: FilePath, labels: FilePath | None = None) -> FeatureSet:
    """Read features, with their labels if there are any.

    Parameters
    ----------
    path
        `.npz` or `.safetensors` with `features` `(N, D)` and perhaps `labels` `(N,)`, or `.npy` of features.
    labels
        `.npy` of integers or strings, or text with a label a line; goes before labels in `path`.

    Raises
    ------
    PatchBatchError
        A file is missing, of another kind or damaged, the features are not finite numbers `(N, D)`, or the
        labels are not one integer or name for each of them.
    """
    readers = {".npy": _read_npy, ".npz": _read_npz, ".safetensors": _read_safetensors}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise PatchBatchError(f"{path} is no feature file by its name; use .npz, .npy or .safetensors")
    arrays = readers[suffix](path)
    if "features" not in arrays:
        raise PatchBatchError(f"{path} has no array named features; write it with that key")
    features = as_samples(arrays["features"], f"{path}: features", least=2)
    names = arrays.get("labels") if labels is None else _read_labels(labels)
    if names is None:
        return FeatureSet(features, None)
    return FeatureSet(features, _checked_labels(names, len(features), path if labels is None else labels))


def read_pair_list(path: FilePath, rows: int) -> PairList:
    """Read pairs from text: a pair a line, columns parted by commas or blanks, perhaps under a header.

    Parameters
    ----------
    path
        Two columns, the rows of the features (from 0); a third one, 1 for same and 0 for not; a fourth one,
        the number of the fold.
    rows
        Number of rows that there are.

    Raises
    ------
    PatchBatchError
        The file is missing, or a line is not such a pair.
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PatchBatchError(f"{path} is not text; write {_PAIR_COLUMNS} a line") from error
    fields = [(number, line.replace(",", " ").split()) for number, line in enumerate(lines, 1)]
    fields = [(number, words) for number, words in fields if words]
    if fields and not any(word.lstrip("-").isdigit() for word in fields[0][1]):
        del fields[0]  # a header
    if not fields:
        raise PatchBatchError(f"{path} has no pairs; write {_PAIR_COLUMNS} a line")
    width = len(fields[0][1])
    table = np.array([_numbers(path, number, words, width) for number, words in fields], np.int64)
    _check_columns(path, table, [number for number, _ in fields], rows)
    columns = [*table.T, None, None]
    return PairList(columns[0], columns[1], None if width < 3 else columns[2].astype(bool), columns[3])


def read_image_list(path: FilePath, rows: int) -> list[Path]:
    """Read which image each row of the features is of: a file a line, from the list's own folder on.

    Raises
    ------
    PatchBatchError
        The list is missing, has another number of lines, or names a file that is not there.
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PatchBatchError(f"{path} is not text; write the file of each row's image a line") from error
    found = [Path(path).parent / line.strip() for line in lines if line.strip()]
    if len(found) != rows:
        raise PatchBatchError(
            f"{path} names {len(found)} images but there are {rows} rows; give one for each"
        )
    missing = next((file for file in found if not file.is_file()), None)
    if missing is not None:
        raise PatchBatchError(
            f"{path} names {missing}, which is no file; give names from the list's own folder on"
        )
    return found


def write_scores(path: FilePath, pairs: PairList, scores: Floats) -> None:
    """Write pairs with their scores, whole or not at all.

    Parameters
    ----------
    path
        `.csv`: a header and a pair a line, scores with all their digits; `.npz`: the same columns as arrays.
    pairs
        The pairs; columns that are None are left out.
    scores
        `(P,)`.

    Raises
    ------
    PatchBatchError
        Another suffix, or the file cannot be written.
    """
    columns = {"first": pairs.first, "second": pairs.second, "same": pairs.same, "fold": pairs.fold}
    known = {name: column for name, column in columns.items() if column is not None} | {"score": scores}
    check_scores_name(path)
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() == ".npz":
            with open(temporary, "wb") as file:
                np.savez_compressed(file, allow_pickle=False, **known)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(known)
            lists = [column.astype(int) if column.dtype == bool else column for column in known.values()]
            writer.writerows(zip(*(column.tolist() for column in lists), strict=True))


def check_scores_name(path: FilePath) -> None:
    """Refuse a name that `write_scores` knows no format for.

    Raises
    ------
    PatchBatchError
        The suffix is neither `.csv` nor `.npz`.
    """
    if Path(path).suffix.lower() not in (".csv", ".npz"):
        raise PatchBatchError(f"{path} has no known suffix for scores; use .csv or .npz")


def _read_npy(path: FilePath) -> dict[str, NDArray[Any]]:
    return {"features": read_npy(path)}


def _read_npz(path: FilePath) -> dict[str, NDArray[Any]]:
    present = [key for key in KEYS if key in array_names(path)]
    return {key: read_array(path, key, "fiubU", least_side=0, max_side=MOST_ROWS) for key in present}


def _read_safetensors(path: FilePath) -> dict[str, NDArray[Any]]:
    return read_tensors(path, "write it again", KEYS, MAX_FILE_BYTES)[0]


def _read_labels(path: FilePath) -> NDArray[Any]:
    if Path(path).suffix.lower() == ".npy":
        return read_npy(path)
    try:
        words = np.array(read_bytes(path).decode("utf-8-sig").split("\n"))
    except UnicodeDecodeError as error:
        raise PatchBatchError(f"{path} is not text; write a label a line") from error
    words = np.char.strip(words)
    words = words[: np.flatnonzero(words != "")[-1] + 1] if (words != "").any() else words[:0]
    return words.astype(np.int64) if words.size and np.char.isdigit(words).all() else words


def _checked_labels(labels: NDArray[Any], count: int, path: FilePath) -> NDArray[Any]:
    if labels.dtype.kind not in "iuU":
        raise PatchBatchError(f"{path}: labels are {labels.dtype}; write integers or names")
    if labels.shape != (count,):
        raise PatchBatchError(f"{path}: labels have shape {labels.shape} but there are {count} samples")
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _numbers(path: FilePath, number: int, words: list[str], width: int) -> list[int]:
    try:
        values = [int(word) for word in words]
    except ValueError:
        values = []
    if len(values) != width or not 2 <= width <= 4 or max(map(abs, values)) >= 2**62:
        raise PatchBatchError(f"{path}: line {number} is no pair; write {_PAIR_COLUMNS}, all lines alike")
    return values


def _check_columns(path: FilePath, table: Integers, numbers: list[int], rows: int) -> None:
    outside = ((table[:, :2] < 0) | (table[:, :2] >= rows)).any(axis=1)
    if outside.any():
        line = numbers[int(np.argmax(outside))]
        raise PatchBatchError(f"{path}: line {line} names a row that is not one of the {rows}; count from 0")
    if table.shape[1] > 2 and not np.isin(table[:, 2], (0, 1)).all():
        line = numbers[int(np.argmin(np.isin(table[:, 2], (0, 1))))]
        raise PatchBatchError(f"{path}: line {line} says neither 1 for same nor 0 for not; use 1 and 0")
