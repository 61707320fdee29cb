"""The folder of a report and the names in it; nothing here needs numpy."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from patchbatch.data.files import make_folder
from patchbatch.errors import PatchBatchError

PAIRS = "pairs"
PAGE = "index.html"
RECORD = "record.json"


def check_folder(folder: str | None) -> None:
    """Make the folder of --report; refuse one that holds anything but a report. None: no report is wanted.

    Raises
    ------
    PatchBatchError
        If it cannot be made, or other things are in it.
    """
    if folder is None:
        return
    if Path(folder).exists() and not Path(folder).is_dir():
        raise PatchBatchError(f"{folder} is a file; give --report a folder")
    names = {child.name for child in make_folder(folder).iterdir() if not child.name.startswith(".")}
    others = sorted(names - {PAIRS, PAGE})
    if others:
        raise PatchBatchError(
            f"{folder} holds {others[0]}, which is of no report; give --report a new folder"
        )


def key_of(method: str, model: str | None) -> str:
    """Return a name of a method with its model that can be a folder and a part of a link.

    Examples
    --------
    >>> key_of("dis-fast", None), key_of("patchbatch", "compact")
    ('dis-fast', 'patchbatch@compact')
    >>> key_of("mine", "runs/a.safetensors")
    'mine@runs-a.safetensors-8d28e3'
    """
    return "@".join(_plain(part) for part in (method, model) if part is not None)


def _plain(name: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")
    # What was changed could be equal to another name.
    return kept if kept == name else f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
