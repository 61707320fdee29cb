"""Classes as sheets of tiles of 32 x 32: `sheets/ID.jpg`, with `classes.csv` and `labels.csv`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from patchbatch.data.files import FilePath, read_bytes
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.labelled import (
    TRAIN,
    VALIDATION,
    Bytes,
    LabelledImages,
    ReadSettings,
    wanted,
)

TILE = 32
PARTS = {"train": TRAIN, "val": VALIDATION}


def read_sheets(path: FilePath, settings: ReadSettings) -> LabelledImages:
    """Read all tiles that `labels.csv` names, in its order.

    Raises
    ------
    PatchBatchError
        A list or sheet is missing, damaged or not as described, or a tile lies outside of its sheet.
    """
    root = Path(path)
    classes = _rows(root / "classes.csv", ("class", "wnid", "words"))
    names = tuple(row["wnid"] for row in classes)
    if [row["class"] for row in classes] != [str(number) for number in range(len(classes))]:
        raise PatchBatchError(f"{root / 'classes.csv'} does not number its classes from 0; fetch it anew")
    sheets = [_sheet(root / "sheets" / f"{name}.jpg") for name in names]
    images, labels, part = [], [], []
    for row in _rows(root / "labels.csv", ("class", "row", "column", "split")):
        label, down, right = (_number(row[name], root) for name in ("class", "row", "column"))
        top, left = TILE * down, TILE * right
        inside = label < len(sheets) and row["split"] in PARTS
        if not inside or top + TILE > sheets[label].shape[0] or left + TILE > sheets[label].shape[1]:
            raise PatchBatchError(
                f"{root / 'labels.csv'} names a tile that is not there: {list(row.values())}"
            )
        tile = sheets[label][top : top + TILE, left : left + TILE]
        images.append(wanted(tile, settings, path))
        labels.append(label)
        part.append(PARTS[row["split"]])
    if not images:
        raise PatchBatchError(f"{root / 'labels.csv'} names no tile; fetch it anew")
    return LabelledImages(np.stack(images), np.array(labels, np.int64), names, np.array(part, np.int64))


def _sheet(path: Path) -> Bytes:
    image = read_image(path)
    if image.ndim != 3 or image.dtype != np.uint8:
        raise PatchBatchError(f"{path} is no colour sheet; fetch it anew")
    return image


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        text = read_bytes(path).decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PatchBatchError(f"{path} is no list of comma-separated values; fetch it anew") from error
    if not rows or not all(row.get(name) is not None for row in rows for name in columns):
        raise PatchBatchError(f"{path} has not the columns {', '.join(columns)}; fetch it anew")
    return rows


def _number(text: str, root: Path) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise PatchBatchError(f"{root / 'labels.csv'} holds {text!r} where a number should be; fetch it anew")
    return int(text)
