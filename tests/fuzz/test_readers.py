"""Every reader against the committed corpus and files made of it; for longer: `python -m tests.fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import READERS, tried

CORPUS = Path(__file__).resolve().parent / "corpus"
SEEDS = {name: sorted((CORPUS / name).iterdir()) for name in READERS}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_files_that_it_takes_and_none_that_breaks_it(name, tmp_path):
    assert any([tried(name, path.read_bytes(), tmp_path) for path in SEEDS[name]])


def changed(seed: bytes) -> st.SearchStrategy[bytes]:
    """Cut a file, repeat a part of it, or overwrite some of its bytes."""
    place = st.integers(0, len(seed))
    bytes_at = st.lists(st.tuples(st.integers(0, max(len(seed) - 1, 0)), st.integers(0, 255)), max_size=4)

    def overwritten(changes: list[tuple[int, int]]) -> bytes:
        data = bytearray(seed)
        for at, value in changes:
            data[at] = value
        return bytes(data)

    return st.one_of(
        place.map(lambda end: seed[:end]),
        st.tuples(place, place).map(lambda ends: seed[: ends[0]] + seed[ends[1] :]),
        bytes_at.map(overwritten),
    )


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_files_end_in_one_line(name, data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / f"fuzz-{name}"
    folder.mkdir(exist_ok=True)
    seed = data.draw(st.sampled_from(SEEDS[name])).read_bytes()
    tried(name, data.draw(changed(seed)), folder)
