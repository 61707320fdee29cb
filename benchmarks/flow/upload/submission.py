"""The archive that a server takes, made of the fields that were written."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.flow.names import FINAL, field_file
from benchmarks.flow.settings import FlowBenchmark, Running
from benchmarks.flow.table import Label
from benchmarks.flow.upload.checker import check_archive
from benchmarks.flow.upload.servers import SERVERS
from benchmarks.holes import fill_holes
from patchbatch.data.datasets.pairs import FlowPair, find_pairs
from patchbatch.data.files import atomic_path
from patchbatch.data.formats import read_flow, write_flow
from patchbatch.errors import PatchBatchError

# What a KITTI file holds at most, see `patchbatch.data.formats`; of more the nearest is written.
KITTI_RANGE_PX = (-512.0, 65535 / 64 - 512)


def make_submission(running: Running, benchmark: FlowBenchmark) -> str:
    """Write the archive of a server and read it back.

    Pixels without a value are filled as the KITTI programs do it, so that every server sees the same field.

    Parameters
    ----------
    running
        Names the archive, which is written whole or not at all, and where the fields of all pairs are.
    benchmark
        Whose one method is submitted; fields of its data set's other rendering have to be there too.

    Returns
    -------
    str
        One line: what is in the archive, and what is left to do with it.

    Raises
    ------
    PatchBatchError
        If a field is missing or has the wrong size, or what was written does not pass `check_archive`.
    """
    file, folder = Path(str(running.submission)), Path(str(running.write))
    server, (label,) = SERVERS[benchmark.dataset], benchmark.labels()
    pairs = [p for name in server.datasets for p in find_pairs(name, benchmark.root, testing=True)]
    for name in server.datasets:
        server.check_pairs([pair for pair in pairs if pair.dataset == name])
    files = [_field(pair, label, folder, running.suffix) for pair in pairs]
    with atomic_path(file) as temporary:
        filled = _write(temporary, pairs, files)
        check_archive(temporary, {server.entry_of(pair): pair.image1 for pair in pairs})
    holes = f"; {filled} of them had pixels without a value, which were filled" if filled else ""
    return f"{file}: {len(pairs)} fields, read back and checked{holes}" + (
        f"; {server.note}" if server.note else ""
    )


def _field(pair: FlowPair, label: Label, folder: Path, suffix: str) -> Path:
    file = field_file(folder, pair, label, FINAL, suffix)
    if not file.is_file():
        raise PatchBatchError(
            f"no {file}: run {pair.dataset} --testing with the same --write folder, method and model first"
        )
    return file


def _write(archive: Path, pairs: Sequence[FlowPair], files: Sequence[Path]) -> int:
    """Write the fields into an archive; return how many had holes."""
    filled = 0
    with TemporaryDirectory() as space, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for pair, file in zip(pairs, files, strict=True):
            flow, valid = read_flow(file)
            filled += not valid.all()
            entry = SERVERS[pair.dataset].entry_of(pair)
            written = Path(space) / f"field{Path(entry).suffix}"
            write_flow(written, _whole(flow, valid, written.suffix))
            # Without a date, the same fields make the same archive.
            opened.writestr(_dated(entry), written.read_bytes())
    return filled


def _dated(entry: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(entry)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _whole(flow: NDArray[np.float32], valid: NDArray[np.bool_], suffix: str) -> NDArray[np.float64]:
    whole = flow.astype(np.float64) if valid.all() else fill_holes(flow, valid)
    return np.clip(whole, *KITTI_RANGE_PX) if suffix == ".png" else whole
