"""Every kind of image file that people have: it gives its stored pixels, or is refused for what it is."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from patchbatch.data import read_image
from patchbatch.errors import PatchBatchError
from tests.helpers.input_files import INPUTS, InputFile
from tests.helpers.inputs_page import page

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("file", INPUTS, ids=[f"{file.group}: {file.what}" for file in INPUTS])
def test_it_gives_what_is_stored_or_one_line(tmp_path, caplog, capfd, file: InputFile):
    path = tmp_path / file.name
    path.write_bytes(file.data)
    with caplog.at_level(logging.WARNING):
        if isinstance(file.gives, str):
            with pytest.raises(PatchBatchError) as caught:
                read_image(path)
            line = str(caught.value)
            assert line.startswith(f"{path} ") and file.gives in line and "\n" not in line
        else:
            pixels = read_image(path)
            assert pixels.dtype == file.gives.dtype and pixels.shape == file.gives.shape
            off = np.abs(pixels.astype(np.int64) - file.gives.astype(np.int64)).max()
            assert off <= file.off_by
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bool(file.says) and (not said or file.says in said[0])
    assert capfd.readouterr() == ("", "")  # no library says anything of its own


def test_there_are_enough_of_them():
    assert len(INPUTS) >= 80
    assert len({(file.group, file.what) for file in INPUTS}) == len(INPUTS)


def test_the_page_tells_what_they_get():
    # Libraries differ in what they write, not in what is read of it.
    assert (ROOT / "docs" / "inputs.md").read_text() == page()
