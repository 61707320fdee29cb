"""The page of a verification in one HTML file: figures, curves, the pairs it was most wrong about."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from patchbatch.data.files import atomic_path, make_folder
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.verification.page.charts import det_curve, score_histogram
from patchbatch.transfer.verification.protocol import Verification
from patchbatch.transfer.verification.roc import choose_threshold

PAGE = "index.html"
PICTURES = ("det.svg", "scores.svg")
SHOWN = 12  # errors of each kind
_THUMBNAIL = 128  # px
_QUALITY = 85


@dataclass(frozen=True)
class Mistake:
    """A pair that was decided wrongly: its score, rows and images; pictures are data URLs, or empty."""

    score: float
    rows: tuple[int, int]
    names: tuple[str, str]
    pictures: tuple[str, str]


def check_folder(folder: Path) -> None:
    """Refuse, before the work, a folder whose files are not those of such a page.

    Raises
    ------
    PatchBatchError
        Names a file that is in the way.
    """
    if folder.is_dir():
        other = [path.name for path in sorted(folder.iterdir()) if path.name not in (PAGE, *PICTURES)]
        if other:
            raise PatchBatchError(
                f"{folder} holds {other[0]}, which is of no report; give a new or empty folder"
            )
    elif folder.exists():
        raise PatchBatchError(f"{folder} is a file; give a new or empty folder")


def write_page(
    folder: Path,
    figures: Sequence[str],
    result: Verification,
    rows: NDArray[np.int64],
    images: Sequence[Path] | None = None,
) -> None:
    """Write `index.html` with all that it shows in it, and its two curves as `det.svg` and `scores.svg`.

    Parameters
    ----------
    folder
        New, empty, or of an older page.
    figures
        Lines of the report.
    result
        What is shown.
    rows
        `(P, 2)` the rows of each pair.
    images
        The file of each row; None: the page has no pictures of the errors, only their rows.

    Raises
    ------
    PatchBatchError
        The folder cannot be written, or an image not be read.
    """
    threshold = choose_threshold(result.scores, result.same)
    drawn = (det_curve(result.roc), score_histogram(result.scores, result.same, threshold))
    accepted = result.scores >= threshold
    kinds: list[dict[str, Any]] = []
    for title, wrong, order in (
        ("Accepted, and not the same", accepted & ~result.same, -result.scores),
        ("Refused, and the same", ~accepted & result.same, result.scores),
    ):
        found = np.flatnonzero(wrong)
        found = found[np.argsort(order[found], kind="stable")]
        shown = [_mistake(float(result.scores[pair]), rows[pair], images) for pair in found[:SHOWN]]
        kinds.append({"title": title, "count": len(found), "shown": shown})
    per_fold = list(zip(result.folds, result.thresholds, 100 * result.accuracies, strict=True))
    # Text is escaped; the drawings are our own and hold no text of the data.
    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("page.html").render(
        figures=figures, drawn=drawn, kinds=kinds, folds=per_fold, threshold=threshold
    )
    make_folder(folder)
    for name, content in zip((*PICTURES, PAGE), (*drawn, text), strict=True):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _mistake(score: float, rows: NDArray[np.int64], images: Sequence[Path] | None) -> Mistake:
    one, other = (int(row) for row in rows)
    if images is None:
        return Mistake(score, (one, other), ("", ""), ("", ""))
    files = images[one], images[other]
    names = tuple("/".join(file.parts[-2:]) for file in files)
    return Mistake(score, (one, other), (names[0], names[1]), (_thumbnail(files[0]), _thumbnail(files[1])))


def _thumbnail(path: Path) -> str:
    image = read_image(path)
    image = image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
    scale = min(1.0, _THUMBNAIL / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bgr = image[..., ::-1] if image.ndim == 3 else image
    coded = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")
