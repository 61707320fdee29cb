"""Numpy and safetensors files: round trips, whose they are, and one line for every bad one."""

import io
import os
import stat
import zipfile

import numpy as np
import pytest
from safetensors import safe_open

from patchbatch.data import read_array, read_npy, read_tensors, write_tensors
from patchbatch.data.files import make_folder
from patchbatch.data.npz import array_names
from patchbatch.errors import PatchBatchError


def lying_npy():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**5 - 1, 10**5 - 1)}
    )
    return header.getvalue() + b"\0" * 64


def one_line(call, *words):
    with pytest.raises(PatchBatchError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_arrays_of_an_archive_by_name(tmp_path):
    half = np.arange(6, dtype=np.float16).reshape(2, 3)
    np.savez_compressed(tmp_path / "a.npz", half=half, names=np.array(["x", "yz"]), none=np.zeros((0, 2)))
    path = tmp_path / "a.npz"
    assert array_names(path) == ["half", "names", "none"]
    read = read_array(path, "half")
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, half)
    assert read_array(path, "names", "U").tolist() == ["x", "yz"]
    assert read_array(path, "none", least_side=0).shape == (0, 2)
    one_line(lambda: read_array(path, "none"), "a.npz", "none")
    one_line(lambda: read_array(path, "names"), "a.npz", "names", "real numbers")
    one_line(lambda: read_array(path, "other"), "a.npz", "no array named other")
    one_line(lambda: read_array(path, "half", max_side=2), "a.npz", "(2, 3)")


def test_bad_archives_and_arrays_are_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "lying.npz", "w") as archive:
        archive.writestr("flow.npy", lying_npy())
    np.savez(tmp_path / "object.npz", flow=np.array([None, 1], object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("lying", "object", "text", "missing"):
        one_line(lambda name=name: read_array(tmp_path / f"{name}.npz", "flow"), f"{name}.npz")
    (tmp_path / "lying.npy").write_bytes(lying_npy())
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "object.npy", np.array([None], object))
    for name in ("lying", "object", "text", "missing"):
        one_line(lambda name=name: read_npy(tmp_path / f"{name}.npy"), f"{name}.npy")


@pytest.fixture
def open_umask():
    old = os.umask(0o022)
    yield
    os.umask(old)


def test_tensors_survive_a_file_that_others_may_read(tmp_path, open_umask):
    path = tmp_path / "t.safetensors"
    tensors = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array([1.5, -2.0])[::-1]}
    write_tensors(path, tensors, {"kind": "test"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    read, header = read_tensors(path, "write it again")
    assert header == {"kind": "test"}
    for name, values in tensors.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype
    assert list(read_tensors(path, "", keys=("b", "c"))[0]) == ["b"]
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"kind": "test"}
    write_tensors(path, {"a": np.zeros(2)})
    assert read_tensors(path, "")[1] == {}


def test_bad_tensor_files_are_one_line(tmp_path):
    good = tmp_path / "good.safetensors"
    write_tensors(good, {"a": np.zeros(1000)})
    files = {
        "cut": good.read_bytes()[:2000], "text": b"words and more words", "empty": b"",
        "huge": b"\xff" * 8 + b"{}",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    for name in (*files, "missing"):
        path = tmp_path / f"{name}.safetensors"
        one_line(lambda path=path: read_tensors(path, "make it anew"), path.name)
    one_line(lambda: read_tensors(tmp_path, "make it anew"), "folder")
    one_line(
        lambda: read_tensors(good, "make it anew", max_bytes=100), "good.safetensors", "more than the 100"
    )
    one_line(lambda: write_tensors(tmp_path / "no" / "t.safetensors", {}), "does not exist")


def test_folders_are_made_or_refused(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    one_line(lambda: make_folder(tmp_path / "file"), "file", "cannot be used")
    one_line(lambda: make_folder(tmp_path / "file" / "c"), "cannot be used")
