"""Files that are no plain files, and outputs that are one file under two names."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import unicodedata
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from patchbatch.data import read_flow, read_image, read_matches, read_npz, write_flow, write_image
from patchbatch.data.files import atomic_path, check_overwriting, need_file, peek, read_bytes
from patchbatch.data.pfm import read_pfm
from patchbatch.errors import PatchBatchError

ROOT = Path(__file__).resolve().parents[2]
RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


@pytest.fixture
def pipe(tmp_path):
    """Return what makes a pipe out of which bytes come once."""
    threads = []

    def made(data, name="pipe"):
        path = tmp_path / name
        os.mkfifo(path)

        def write():
            with suppress(BrokenPipeError):  # a reader that refuses pipes goes away without a byte
                path.write_bytes(data)

        threads.append(threading.Thread(target=write, daemon=True))
        threads[-1].start()
        return path

    yield made
    for thread in threads:
        thread.join(5)


def test_a_pipe_is_read_once_and_may_be_looked_into_before(tmp_path, pipe):
    write_image(tmp_path / "a.png", RGB)
    data = (tmp_path / "a.png").read_bytes()
    path = pipe(data)
    assert peek(path, 4) == (len(data), b"\x89PNG")
    assert peek(path, 1)[0] == len(data)
    np.testing.assert_array_equal(read_image(path), RGB)


def test_flow_maps_and_matches_come_out_of_pipes_too(tmp_path, pipe):
    flow = np.random.default_rng(0).normal(0, 9, (1, 7, 2)).astype(np.float32)
    for suffix in (".flo", ".pfm", ".png"):
        write_flow(tmp_path / f"a{suffix}", flow)
        read, valid = read_flow(pipe((tmp_path / f"a{suffix}").read_bytes(), f"pipe{suffix}"))
        assert valid.all() and np.abs(read - flow).max() < 0.01
        read[:] = 1  # what is read may be changed
    values = read_pfm(tmp_path / "a.pfm")
    values[:] = 1
    assert len(read_matches(pipe(b"1 2 3 4\n", "matches"))[0]) == 1
    assert len(read_matches(pipe(b"", "none"))[0]) == 0


def test_archives_need_a_file_and_empty_pipes_are_called_so(tmp_path, pipe):
    with pytest.raises(PatchBatchError, match="is a pipe or a device; this format needs a file"):
        read_npz(pipe(b"PK", "a.npz"))
    with open(tmp_path / "a.npz", "rb"):  # or the thread waits for a reader
        pass
    with pytest.raises(PatchBatchError, match=r"nothing comes out of .*; each pipe can be read once"):
        read_bytes(pipe(b"", "empty"))
    with pytest.raises(PatchBatchError, match="/dev/null"):
        read_image("/dev/null")
    for device in ("/dev/zero", "/dev/full"):
        for read in (read_image, read_bytes, lambda path: peek(path, 1), need_file):
            with pytest.raises(PatchBatchError, match=f"^{device} is a (pipe or a )?device"):
                read(device)


def test_a_shells_substitution_is_an_image(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    code = (
        "import sys; from patchbatch.data import read_image; "
        "print(*(read_image(path).sum() for path in sys.argv[1:]))"
    )
    words = f'{sys.executable} -c "{code}" <(cat a.png) <(cat a.png) /dev/stdin < a.png'
    told = subprocess.run(
        ["bash", "-c", words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split() == [str(RGB.sum())] * 3


def test_outputs_are_no_pipes(tmp_path):
    os.mkfifo(tmp_path / "out.flo")
    read, write = os.pipe()
    for path in (tmp_path / "out.flo", f"/dev/fd/{write}", f"/dev/fd/{read}"):
        with pytest.raises(PatchBatchError, match="is a folder, a pipe or a device"), atomic_path(path):
            pytest.fail("the block must not run")
    os.close(read)
    os.close(write)


def test_an_input_is_not_overwritten_under_another_name(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "link.png").symlink_to("a.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    (tmp_path / "folder").symlink_to(".")
    for name in ("a.png", "link.png", "hard.png", "folder/a.png", "./a.png"):
        with pytest.raises(PatchBatchError, match="-o would overwrite the input of IMG"):
            check_overwriting([("IMG", tmp_path / "a.png")], [("-o", tmp_path / name)])
    check_overwriting(
        [("IMG", tmp_path / "a.png"), ("--gt", None)], [("-o", tmp_path / "b.png"), ("-c", None)]
    )


def test_outputs_do_not_overwrite_each_other_on_any_system(tmp_path):
    os.symlink("new.flo", tmp_path / "link.flo")
    for one, other, words in [
        ("x.flo", "./x.flo", "would overwrite the output of -o"),
        ("new.flo", "link.flo", "would overwrite the output of -o"),
        ("x.flo", "X.FLO", "only in case"),
        ("ü.flo", unicodedata.normalize("NFD", "ü.flo"), "only in case"),
    ]:
        with pytest.raises(PatchBatchError, match=words):
            check_overwriting([], [("-o", tmp_path / one), ("--color", tmp_path / other)])
    check_overwriting([], [("-o", tmp_path / "x.flo"), ("-o", tmp_path / "sub" / "x.flo")])


def test_a_full_disk_is_called_one_where_numpy_only_counts(tmp_path):
    with (
        pytest.raises(PatchBatchError, match=r"a.npy cannot be written \(the disk is full\)"),
        atomic_path(tmp_path / "a.npy"),
    ):
        raise OSError("1024 requested and 0 written")
    assert not list(tmp_path.iterdir())
