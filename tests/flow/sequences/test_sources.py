"""Which frames are found, in which order, and what is refused."""

import io
import os
import sys
import types
from itertools import pairwise

import numpy as np
import pytest
from made_sequences import write_frames

from flow.sequences.sources import find_files, read_pairs
from patchbatch.data import write_image
from patchbatch.errors import PatchBatchError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "frames", 12)
    write_image(tmp_path / "small.png", np.zeros((8, 8), np.uint8))
    return tmp_path


def said(call, *arguments):
    with pytest.raises(PatchBatchError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(here):
    (here / "frames" / "notes.txt").write_text("no frame")
    (here / "frames" / ".hidden.png").write_text("no frame")
    for words in (["frames"], ["frames/*.png"], ["frames/frame*"]):
        if words == ["frames/*.png"]:
            (here / "frames" / "notes.txt").unlink()
        source = find_files(words, 1)
        assert [pair.name for pair in source.pairs()] == [f"frame{number}" for number in range(11)]
        assert source.count == 11 and source.chained


def test_consecutive_pairs_share_a_frame_and_read_it_once(here):
    pairs = list(find_files(["frames"], 1).pairs())
    assert all(before.second is after.first for before, after in pairwise(pairs))
    assert pairs[0].second.pixels is pairs[1].first.pixels


def test_every_nth_frame(here):
    source = find_files(["frames"], 3)
    assert [(pair.first.called, pair.second.called) for pair in source.pairs()] == [
        (f"frames/frame{a}.png", f"frames/frame{a + 3}.png") for a in (0, 3, 6)
    ]


def test_named_frames_stay_in_their_order(here):
    words = [f"frames/frame{number}.png" for number in (3, 1, 2)]
    assert [pair.name for pair in find_files(words, 1).pairs()] == ["frame3", "frame1"]


def test_names_that_repeat_are_numbered(here):
    for camera in ("left", "right", "top"):
        (here / camera).mkdir()
        (here / camera / "a.png").write_bytes((here / "frames" / "frame0.png").read_bytes())
    source = find_files(["*/a.png"], 1)
    assert [pair.name for pair in source.pairs()] == ["000000", "000001"]


def test_a_list_of_pairs(here):
    (here / "a b.png").write_bytes((here / "frames" / "frame0.png").read_bytes())
    text = "\n# left to right\nframes/frame0.png frames/frame1.png\nframes/frame1.png\tframes/frame5.png\n"
    (here / "list.txt").write_text(text + '"a b.png" frames/frame2.png\n')
    source = read_pairs("list.txt")
    pairs = list(source.pairs())
    assert [pair.name for pair in pairs] == ["frame0", "frame1", "a b"]
    assert pairs[0].second is pairs[1].first
    assert not source.chained
    (here / "chain.txt").write_text(text)
    assert read_pairs("chain.txt").chained


def test_a_list_on_standard_input(here, monkeypatch):
    stdin = types.SimpleNamespace(buffer=io.BytesIO(b"frames/frame0.png frames/frame1.png\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read_pairs("-").count == 1


def test_a_frame_that_changes_is_another_frame(here):
    (first,) = list(find_files(["frames/frame0.png", "frames/frame1.png"], 1).pairs())
    os.utime(here / "frames" / "frame1.png", ns=(1, 1))
    (again,) = list(find_files(["frames/frame0.png", "frames/frame1.png"], 1).pairs())
    assert first.first.identity == again.first.identity
    assert first.second.identity != again.second.identity


def test_what_has_no_two_frames_is_refused(here):
    (here / "empty").mkdir()
    assert said(find_files, ["empty"], 1) == "the folder empty has no frames; a flow needs two at least"
    assert said(find_files, ["no*.png"], 1) == "no*.png has no frames; a flow needs two at least"
    write_image(here / "empty" / "one.png", np.zeros((8, 8), np.uint8))
    assert said(find_files, ["empty"], 1).startswith("the folder empty has only one frame;")
    assert "has 12 frames, 1 with --step 20" in said(find_files, ["frames"], 20)
    assert "gone.png does not exist" in said(find_files, ["a.png", "gone.png", "frames/frame1.png"][1:], 1)


def test_frames_of_several_sizes_are_refused(here):
    (here / "small.png").rename(here / "frames" / "frame7.png")
    told = said(find_files, ["frames"], 1)
    assert told.startswith("frames/frame0.png is 64x48 but frames/frame7.png is 8x8; the frames of")


def test_a_damaged_header_is_left_to_who_reads(here):
    (here / "frames" / "frame7.png").write_text("no picture")
    assert find_files(["frames"], 1).count == 11


LISTS = [
    (b"", "names no pair; write two frames a line"),
    (b"# nothing\n\n", "names no pair"),
    (b"frames/frame0.png\n", "line 1 has 1 names; write two"),
    (b"frames/frame0.png frames/frame1.png frames/frame2.png", "line 1 has 3 names"),
    (b"frames/frame0.png frames/frame1.png\n\na.png frames/frame1.png", "line 3: a.png does not exist"),
    (b"frames/frame0.png frames\n", "line 1: frames is a folder"),
    (b"frames/frame0.png small.png\n", "line 1: frames/frame0.png is 64x48 but small.png is 8x8"),
    (b'"frames/frame0.png frames/frame1.png\n', "line 1 has a quote that is not closed"),
    (b"\xff\xfe\x00", "is no text in UTF-8"),
]


@pytest.mark.parametrize(("text", "says"), LISTS, ids=[says for _, says in LISTS])
def test_lists_that_are_wrong(here, text, says):
    (here / "list.txt").write_bytes(text)
    if text:
        told = said(read_pairs, "list.txt")
        assert told.startswith("list.txt") and says in told
    else:
        assert "list.txt is empty" in said(read_pairs, "list.txt")
