"""Arguments that several benchmarks have in common, and checks of them that need nothing slow to import."""

from __future__ import annotations

import argparse
from pathlib import Path

from patchbatch.errors import PatchBatchError

# Names of data sets, Sintel by pass. Here, because --help should not wait for the modules that read them.
DATASETS = ("kitti2015", "kitti2012", "sintel-final", "sintel-clean", "middlebury", "chairs")


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add ROOT and --dataset."""
    parser.add_argument("root", metavar="ROOT", help="the folder that holds the data sets")
    parser.add_argument(
        "--dataset",
        nargs="+",
        action="extend",
        choices=DATASETS,
        metavar="DATASET",
        help=f"{', '.join(DATASETS)}; default all there are",
    )


def add_limit(parser: argparse.ArgumentParser, of: str = " of each data set") -> None:
    """Add --limit."""
    parser.add_argument("--limit", type=positive, metavar="N", help=f"only the first N pairs{of}")


def add_json(parser: argparse.ArgumentParser, also: str = "") -> None:
    """Add --json; `also` says what the file has besides the figures of the table."""
    figures = f"all figures, also of every {also}," if also else "all figures"
    parser.add_argument("--json", metavar="FILE", help=f"write {figures} to FILE")


def add_device(parser: argparse._ActionsContainer, of: str = "of the network") -> None:
    """Add --device and --precision."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help=of
    )


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def check_folders(*files: str | None) -> None:
    """Refuse before the run, which may take hours, files that could not be written after it.

    Raises
    ------
    PatchBatchError
        If the folder of one of them is missing.
    """
    for file in files:
        if file is not None and not Path(file).absolute().parent.is_dir():
            raise PatchBatchError(f"no folder for {file}: make it first")


def check_picture(file: str | None) -> None:
    """Refuse a picture that is not to be a `.png`.

    Raises
    ------
    PatchBatchError
        For any other suffix.
    """
    if file is not None and Path(file).suffix.lower() != ".png":
        raise PatchBatchError(f"{file}: the picture is a .png; give it that suffix")
