"""Kept results: lines that survive, and settings that differ."""

import math

import pytest

from patchbatch.errors import PatchBatchError
from patchbatch.runs.journal import Journal, plain, read_lines, refuse_differences


def test_half_a_line_is_cut_off_and_whole_ones_stay(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b"')
    assert list(read_lines(path)) == [(1, b'{"a": 1}')]
    journal = Journal(path, "give another")
    journal.add({"b": "é"})
    journal.close()
    assert path.read_text(encoding="utf-8") == '{"a": 1}\n{"b": "é"}\n'


def test_one_run_at_a_time(tmp_path):
    journal = Journal(tmp_path / "a.jsonl", "give another")
    with pytest.raises(PatchBatchError, match=r"another run is at work in .*; wait, or give another"):
        Journal(tmp_path / "a.jsonl", "give another")
    journal.close()
    Journal(tmp_path / "a.jsonl", "give another").close()


def test_differences_are_named_a_few_of_them(tmp_path):
    refuse_differences(tmp_path, {"a": 1}, {"a": 1}, "give another")
    before, now = {f"k{n}": n for n in range(7)}, {f"k{n}": -1 for n in range(7)}
    with pytest.raises(PatchBatchError) as caught:
        refuse_differences(tmp_path, before, now, "give another")
    assert "k0 was 0 and is -1" in str(caught.value) and "3 more; give the same, or give another" in str(
        caught.value
    )


def test_infinite_numbers_become_words():
    assert plain({"a": (math.inf, 1.5), "b": {"c": -math.inf}}) == {"a": ["inf", 1.5], "b": {"c": "-inf"}}
