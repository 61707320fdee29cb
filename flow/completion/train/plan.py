"""From a parsed command line to a run that is checked as far as it can be without torch."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.completion.train.settings import ChoiceTraining
from patchbatch.data.datasets.pairs import find_all_pairs
from patchbatch.data.datasets.trees import FlowPair
from patchbatch.data.files import check_overwriting, make_folder, peek, read_bytes
from patchbatch.descriptors.train.samples.folders import IMAGE_SUFFIXES
from patchbatch.errors import PatchBatchError
from patchbatch.training.logs import CSV, check_log

SOURCES = "sources.json"
"""File of the cache that says what its samples were made of."""


@dataclass(frozen=True)
class Plan:
    """What is learned from, how, and where it goes.

    Attributes
    ----------
    training
        How the network is taught.
    photos, frames
        Photographs, and frames of a driving camera.
    pairs
        Real pairs; may be empty.
    cache
        Folder of the samples, which is there.
    output, checkpoint
        The weights, and what a run that was stopped goes on from.
    start
        Weights to start from; None: random ones.
    device
        As `resolve_device` takes it.
    jobs
        Processes that make samples.
    make_only
        Whether only samples are made.
    log
        What the figures are written to, a name of `patchbatch.training.logs.LOGS`.
    """

    training: ChoiceTraining
    photos: tuple[Path, ...]
    frames: tuple[Path, ...]
    pairs: tuple[FlowPair, ...]
    cache: Path
    output: Path
    start: Path | None = None
    device: str = "auto"
    jobs: int = 1
    make_only: bool = False
    log: str = CSV

    @property
    def checkpoint(self) -> Path:
        """The file beside the output."""
        return self.output.with_suffix(".checkpoint.pt")

    @property
    def record(self) -> str:
        """Everything that the weights depend on; a checkpoint goes on only under the same."""
        start = None if self.start is None else hashlib.sha256(read_bytes(self.start)).hexdigest()
        known = {"training": self.training.to_table(), "start": start, "pairs": len(self.pairs)}
        return json.dumps(known | {"sources": self.sources}, indent=1)

    @property
    def sources(self) -> str:
        """What the made samples of a cache depend on."""
        names = "\n".join(path.name for path in (*self.photos, *self.frames))
        known = {
            "seed": self.training.seed, "photos": len(self.photos), "frames": len(self.frames),
            "names": hashlib.sha256(names.encode()).hexdigest(),
        }  # fmt: skip
        return json.dumps(known, indent=1)


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Check what `command.build_parser` parsed, and make the folders of what is written.

    Raises
    ------
    PatchBatchError
        For numbers out of range, folders and files that are not there or hold nothing to learn from, a cache
        of other samples, and folders that cannot be made.
    """
    training = ChoiceTraining(
        scenes=arguments.scenes, steps=arguments.steps, minutes=arguments.minutes, real=arguments.real,
        learning_rate=arguments.learning_rate, seed=arguments.seed,
    )  # fmt: skip
    if arguments.jobs < 1:
        raise PatchBatchError(f"jobs is {arguments.jobs}; give 1 or more")
    if arguments.start is not None:
        peek(arguments.start, 0)
    photos = image_files(arguments.photos, "photographs")
    frames = image_files(arguments.frames, "driving frames")
    pairs = () if arguments.pairs is None else tuple(find_all_pairs(arguments.pairs))
    if arguments.output.suffix != ".safetensors":
        raise PatchBatchError(f"{arguments.output}: the weights are a .safetensors; give it that suffix")
    if arguments.output.is_dir():
        raise PatchBatchError(f"{arguments.output} is a folder; name a file in it")
    check_overwriting([("--start", arguments.start)], [("--output", arguments.output)])
    plan = Plan(
        training, photos, frames, pairs, make_folder(arguments.cache), arguments.output, arguments.start,
        arguments.device, arguments.jobs, arguments.make_only, check_log(arguments.log),
    )  # fmt: skip
    _check_cache(plan)
    make_folder(arguments.output.parent)
    return plan


def image_files(folders: Sequence[Path], what: str) -> tuple[Path, ...]:
    """Return the images in folders and their subfolders, by name.

    Parameters
    ----------
    folders
        Where to look.
    what
        What the images are, for the messages.

    Raises
    ------
    PatchBatchError
        For a folder that is not there, or one without an image.
    """
    files: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise PatchBatchError(f"no folder {folder}; check the name")
        found = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise PatchBatchError(f"no {what} in {folder}; give folders of .jpg or .png")
        files += found
    return tuple(files)


def _check_cache(plan: Plan) -> None:
    """Refuse a cache whose samples were made of something else."""
    file = plan.cache / SOURCES
    if file.exists() and read_bytes(file) != plan.sources.encode():
        raise PatchBatchError(
            f"{plan.cache} holds samples of another seed or of other images; choose another folder"
        )
