"""Every reader of files that other people or a damaged disk may have written, as a function of bytes.

Each takes what is in the file and the folder to put it in. It may return anything or raise `PatchBatchError`;
any other exception, more than a gigabyte, or ten seconds are a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flow.settings import read_settings
from patchbatch.data.formats import read_confidence, read_flow
from patchbatch.data.images import as_float, read_image
from patchbatch.data.matches_io import read_edges, read_matches
from patchbatch.data.npz import read_npy
from patchbatch.data.tensor_files import read_tensors
from patchbatch.descriptors.pickles2016 import float_values, read_arrays
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.verification.files import read_features, read_pair_list

Reader = Callable[[Path], object]
SUFFIXES = (".png", ".tga", ".pcx", ".sgi", ".ico")
"""Formats without a signature are told by these; the first stands for all that have one."""


def image(path: Path) -> None:
    """Read an image under the suffix that its last byte chooses."""
    last = path.read_bytes()[-1:]
    named = path.with_suffix(SUFFIXES[last[0] % len(SUFFIXES)] if last else ".png")
    path.rename(named)
    as_float(read_image(named))


def npz(path: Path) -> None:
    """Read a flow archive and its confidence."""
    read_flow(path)
    read_confidence(path)


def pickle2016(path: Path) -> None:
    """Read the arrays of the authors' pickles."""
    for array in read_arrays(path, 4):
        float_values(array, path)


READERS: dict[str, tuple[str, Reader]] = {
    "image": (".png", image),
    "flo": (".flo", read_flow),
    "kitti": (".png", read_flow),
    "pfm": (".pfm", read_flow),
    "npz": (".npz", npz),
    "npy": (".npy", read_npy),
    "edges": (".npy", lambda path: read_edges(path, (4, 5))),
    "matches": (".txt", read_matches),
    "settings": (".toml", read_settings),
    "weights": (".safetensors", lambda path: read_tensors(path, "make another")),
    "pickle2016": (".pkl", pickle2016),
    "pairs": (".csv", lambda path: read_pair_list(path, 9)),
    "features": (".npz", read_features),
}


def tried(name: str, data: bytes, folder: Path) -> bool:
    """Give a reader a file; return whether it took it. Whatever it raises but `PatchBatchError` is raised."""
    suffix, reader = READERS[name]
    path = folder / f"input{suffix}"
    path.write_bytes(data)
    try:
        reader(path)
    except PatchBatchError as error:
        text = str(error)
        if "\n" in text:
            raise AssertionError(f"more than a line: {text!r}") from error
        return False
    finally:
        for left in folder.iterdir():
            left.unlink()
    return True
