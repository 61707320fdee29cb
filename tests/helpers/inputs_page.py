"""The page of inputs: `python -m tests.helpers.inputs_page` tries each and tells what it gets."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from patchbatch.data import read_image
from patchbatch.errors import PatchBatchError
from tests.helpers.input_files import INPUTS, pillow

HEAD = """\
# Inputs

What `patchbatch-flow` and `patchbatch.data.read_image` make of files, {count} of them tried. This page is
made by `python -m tests.helpers.inputs_page > docs/inputs.md`; `tests/data/test_inputs.py` compares pixels.

- Pixels are read as they are stored. An orientation in the metadata is never applied, in no format: flow is
  measured on the stored grid, and both frames and the flow have to agree. Turn pictures beforehand if a
  viewer shows them turned.
- Palettes become colours, alpha is dropped (what is under it shows), CMYK becomes RGB. 1, 2 and 4 bits become
  8; 7, 10 and 12 bits are scaled to the whole range of 8 or 16. Colour profiles and gamma are not applied.
- Of a file with several frames or pages the first is read, and a line says so. Of an animated PNG it is the
  picture that programs without animations show.
- Floats, signed and 32-bit numbers are refused: their scale is not known. Formats that are not read are
  named.
- A file that claims more than 256 megapixels, or more than 34 megapixels and 512 for each of its bytes, is
  refused before it is decoded. A file of less than 66 kB takes less than 1 GB to read.
- Pipes, also the shell's `<(...)`, are read once, to their end; `.npz`, `.npy` and weights need a file.
"""


def tell(path: Path) -> str:
    """Read a file, and say what it gives."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("patchbatch.data")
    log.addHandler(handler)
    log.propagate = False
    try:
        pixels = read_image(path)
    except PatchBatchError as error:
        line = str(error).replace(str(path), path.name).removeprefix(f"{path.name} ")
        return "refused: " + re.sub(r"in \d+ bytes", "in so few bytes", line)
    finally:
        log.removeHandler(handler)
        log.propagate = True
    height, width = pixels.shape[:2]
    kind = "grey" if pixels.ndim == 2 else "RGB"
    words = f"{width}x{height} {kind}, {8 * pixels.dtype.itemsize} bits"
    return "; ".join([words, *(line.replace(str(path), path.name) for line in said)])


def places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Make places that are no plain files, and name them."""
    png = pillow("PNG")

    def made(name: str, write: Callable[[Path], object]) -> Path:
        write(folder / name)
        return folder / name

    def piped(data: bytes) -> Callable[[Path], object]:
        def make(path: Path) -> None:
            os.mkfifo(path)
            threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()

        return make

    yield "a pipe with a PNG in it", made("pipe", piped(png))
    yield "a pipe that nothing comes out of", made("empty-pipe", piped(b""))
    yield "a link to a PNG", made("link.png", lambda path: (path.parent / "there.png").write_bytes(png)
                                  and path.symlink_to("there.png"))  # fmt: skip
    yield "a link to nothing", made("lost.png", lambda path: path.symlink_to("nowhere.png"))
    yield "a link to itself", made("loop.png", lambda path: path.symlink_to("loop.png"))
    yield "a folder", made("folder", lambda path: path.mkdir())
    yield "no such file", folder / "none.png"
    yield "a device without an end", Path("/dev/zero")
    yield "the null device", Path("/dev/null")
    yield (
        "a name with blanks and letters of many scripts",
        made("Übergröße 光 .png", lambda path: path.write_bytes(png)),
    )
    yield "a name with a line break in it", made("two\nlines.png", lambda path: path.write_bytes(png))


def page() -> str:
    """Try everything and write the page."""
    tables, count = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for group, files in groupby(INPUTS, key=lambda file: file.group):
            rows = []
            for file in files:
                (folder / file.name).write_bytes(file.data)
                rows.append((file.what, tell(folder / file.name)))
                (folder / file.name).unlink()
            tables.append((group, rows))
        tables.append(("places", [(what, tell(path)) for what, path in places(folder)]))
    parts = []
    for group, rows in tables:
        count += len(rows)
        lines = [f"| {what} | {got} |".replace("\n", " ") for what, got in rows]
        parts.append(
            "\n".join([f"## {group[0].upper()}{group[1:]}", "", "| input | gets |", "|---|---|", *lines])
        )
    return "\n\n".join([HEAD.format(count=count).rstrip(), *parts]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
