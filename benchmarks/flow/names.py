"""What the files of results are called; nothing here is slow to import."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.flow.table import Label
from benchmarks.models import short_name
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.datasets.trees import FlowPair
from patchbatch.errors import PatchBatchError

FINAL = "final"
"""The stage whose field is a method's result."""


def result_names(pair: FlowPair) -> tuple[str, ...]:
    """Return the names, without suffix, under which a result for the pair is looked for, in that order.

    The first ones are those of the benchmark's upload, then those of its own ground truth, then the bare
    name of the pair.

    Examples
    --------
    >>> from pathlib import Path
    >>> frame = Path("kitti2015/training/image_2/000002_10.png")
    >>> result_names(FlowPair("kitti2015", "000002", frame, frame, frame))
    ('flow/000002_10', '000002_10', '000002')
    """
    # Sintel's upload has no underscore (frame0002), the data set itself has one (frame_0002).
    upload = pair.name.replace("/frame_", "/frame")
    patterns = DATASETS[pair.dataset].results
    return tuple(dict.fromkeys(pattern.format(name=pair.name, upload=upload) for pattern in patterns))


def result_file(folder: Path, pair: FlowPair, suffixes: tuple[str, ...]) -> Path:
    """Return the file of a pair in a folder of results.

    Raises
    ------
    PatchBatchError
        If there is none; says which names were tried.
    """
    names = result_names(pair)
    for name in names:
        for suffix in suffixes:
            # A name may hold dots, so the suffix is added and not replaced.
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path
    raise PatchBatchError(f"no result in {folder}: tried {', '.join(names)} with {', '.join(suffixes)}")


def folder_name(label: Label, stage: str = FINAL) -> str:
    """Return the folder of the fields of a method's stage.

    Examples
    --------
    >>> folder_name(Label("patchbatch", "runs/a/compact.safetensors")), folder_name(Label("zero", None))
    ('patchbatch-compact', 'zero')
    >>> folder_name(Label("patchbatch", "fast"), "matches")
    'patchbatch-fast-matches'
    """
    model = [] if label.model is None else [short_name(label.model)]
    parts = [label.method, *model, *([] if stage == FINAL else [stage])]
    return re.sub(r"[^\w.+-]", "_", "-".join(parts))


def field_file(folder: Path | str, pair: FlowPair, label: Label, stage: str, suffix: str) -> Path:
    """Return where the field of a pair is written: below `folder`, in the folder of its method and stage.

    There it has the name of the benchmark's upload, so that `--method NAME=FOLDER` finds it again.
    """
    return Path(folder) / folder_name(label, stage) / f"{result_names(pair)[0]}{suffix}"
