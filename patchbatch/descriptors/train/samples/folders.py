"""The folders that training learns from: what is in them, whether it is enough; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from patchbatch.errors import PatchBatchError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp")
# Every so many photographs, beginning with the first, one is kept for validation.
HELD_OUT_EVERY = 20


def photo_files(folders: Sequence[Path], held_out: bool) -> list[Path]:
    """Return the images in folders and their subfolders, by name: every 20th, or all others."""
    files = [f for folder in folders for f in sorted(folder.rglob("*")) if f.suffix.lower() in IMAGE_SUFFIXES]
    return [file for number, file in enumerate(files) if (number % HELD_OUT_EVERY == 0) == held_out]


def check_folders(photos: Sequence[Path], streets: Sequence[Path], pairs: Sequence[Path]) -> None:
    """Refuse folders that cannot be learned from; files are listed, not opened.

    Parameters
    ----------
    photos, streets, pairs
        As `PairSource` takes them.

    Raises
    ------
    PatchBatchError
        For a folder that is not there, photographs too few to hold one out, driving frames without
        photographs, neither photographs nor pairs, or a folder without pairs in an official layout.
    """
    if not photos and not pairs:
        raise PatchBatchError("nothing to learn from; give folders of photographs or of pairs")
    if streets and not photos:
        raise PatchBatchError("driving frames need photographs for what moves before them; give both")
    for folder in (*photos, *streets):
        if not folder.is_dir():
            raise PatchBatchError(f"no folder {folder}; check the name")
    for folders, what in ((photos, "photographs"), (streets, "driving frames")):
        if folders and not photo_files(folders, held_out=False):
            some = "too few" if photo_files(folders, held_out=True) else "no"
            raise PatchBatchError(
                f"{some} {what} in {', '.join(map(str, folders))}; give folders of two or more .jpg or .png"
            )
    for folder in pairs:
        from patchbatch.data.datasets.pairs import find_all_pairs  # noqa: PLC0415 - slow to import

        find_all_pairs(folder)
