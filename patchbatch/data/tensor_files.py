"""Safetensors files: small ones read without trust, and written whole or not at all.

Arrays are numpy's; `torch.from_numpy` takes them without a copy, and nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from patchbatch.data.files import FilePath, atomic_path, need_file, peek
from patchbatch.errors import PatchBatchError

MAX_BYTES = 200_000_000
"""Larger than any file of weights or models of this package."""


def read_tensors(
    path: FilePath, mend: str, keys: Collection[str] | None = None, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the arrays of a safetensors file, and the texts of its header.

    Parameters
    ----------
    path
        The file. The format holds no code; shapes that do not fit its bytes are refused by its parser.
    mend
        Ends the message about a damaged file, such as "make one with the trainer".
    keys
        Read only these, those of them that there are; None: all.
    max_bytes
        A larger file is not opened.

    Returns
    -------
    tuple
        Arrays by name, in the type they are stored in, and the header's texts by name.

    Raises
    ------
    PatchBatchError
        The file is missing, a folder, empty, too large, damaged, or holds a type that numpy does not have.
    """
    need_file(path)
    size, _ = peek(path, 0)
    if size > max_bytes:
        raise PatchBatchError(
            f"{path} has {size} bytes, more than the {max_bytes} there can be; check the name"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if keys is None or name in keys]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise PatchBatchError(f"{path} is damaged or no safetensors file; {mend}") from error


def write_tensors(
    path: FilePath, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, str] | None = None
) -> None:
    """Write arrays as safetensors, readable as the user's other files are.

    Parameters
    ----------
    path
        The file; an old one is replaced when the new one is whole.
    tensors
        Arrays by name.
    header
        Texts that the file's header carries; None: none.

    Raises
    ------
    PatchBatchError
        The file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    # Not the library's `save_file`, which keeps the file from all but its owner.
    content = save(arrays, metadata=dict(header) if header is not None else None)
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(content)
