"""Readers of labelled images: what they read is what is there, and what is wrong is one line."""

import pickle

import numpy as np
import pytest
from made_images import array, listed, number, write_cifar, write_lfw, write_people, write_rows, write_sheets

from patchbatch.data import read_image, write_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images import cifar
from patchbatch.transfer.images.labelled import ReadSettings, read_labelled
from patchbatch.transfer.images.table import find_set


def message(*arguments, **words):
    with pytest.raises(PatchBatchError) as caught:
        read_labelled(*arguments, **words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cifar_is_read_as_it_was_written(tmp_path, monkeypatch):
    images, labels = write_cifar(tmp_path, (5, 3), monkeypatch)
    data = read_labelled(tmp_path)
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)
    assert data.part.tolist() == [0] * 5 + [1] * 3
    assert data.names[7] == "class 7" and len(data.names) == 100


def test_the_published_md5s_and_counts_stand():
    assert [cifar.FILES[name].images for name in ("train", "test")] == [50_000, 10_000]
    assert cifar.FILES["train"].md5 == "16019d7e3df5f24257cddd939b257f8d"


class Exploding:
    def __reduce__(self):
        return print, ("it ran",)


def test_a_cifar_file_runs_nothing_and_is_the_published_one(tmp_path, monkeypatch, capsys):
    write_cifar(tmp_path, (2, 2), monkeypatch)
    (tmp_path / "train").write_bytes(pickle.dumps({"data": Exploding()}, 2))
    assert "not the published file" in message(tmp_path)
    # Even where the sum is right nothing of it is called.
    monkeypatch.setattr(cifar.hashlib, "md5", lambda *_, **__: Told())
    monkeypatch.setitem(cifar.FILES, "meta", cifar.CifarFile(Told().hexdigest(), 0, 10_000_000))
    monkeypatch.setitem(cifar.FILES, "train", cifar.CifarFile(Told().hexdigest(), 2, 10_000_000))
    assert "it asks for" in message(tmp_path)
    assert capsys.readouterr().out == ""


class Told:
    def hexdigest(self):
        return "right"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": array(np.zeros((2, 10), np.uint8))}, "holds no 2 images"),
        ({"data": number(3)}, "holds no 2 images"),
        ({"data": array(np.zeros((2, 3072), np.uint8), "i1")}, "not uint8"),
        ({"fine_labels": listed([number(1)])}, "holds no 2 labels"),
        ({"fine_labels": listed([number(1), number(100)])}, "labels of 0 to 99"),
    ],
)
def test_damaged_cifar_files_are_refused(tmp_path, monkeypatch, changes, says):
    write_cifar(tmp_path, (2, 2), monkeypatch, changes)
    assert says in message(tmp_path)


def test_a_cifar_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    write_cifar(tmp_path, (2, 2), monkeypatch)
    monkeypatch.setitem(cifar.FILES, "train", cifar.CifarFile("", 2, 100))
    assert "larger than any file of CIFAR-100" in message(tmp_path)


def test_sheets_are_cut_where_the_list_says(tmp_path):
    write_sheets(tmp_path, classes=3, train=26, held_out=4)
    data = read_labelled(tmp_path)
    assert data.images.shape == (90, 32, 32, 3)
    assert data.part.tolist() == 3 * ([0] * 26 + [1] * 4)
    sheet = read_image(tmp_path / "sheets" / "n01.jpg")
    np.testing.assert_array_equal(data.images[30 + 25], sheet[32:64, :32])
    assert data.labels[30 + 25] == 1 and data.names == ("n00", "n01", "n02")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((0, 0, 25, "train"), "tile that is not there"),
        ((3, 0, 0, "train"), "tile that is not there"),
        ((0, 0, 0, "test"), "tile that is not there"),
        ((0, -1, 0, "train"), "'-1' where a number"),
    ],
)
def test_tiles_that_are_not_there_are_refused(tmp_path, row, says):
    write_sheets(tmp_path, classes=3)
    write_rows(tmp_path / "labels.csv", ("class", "row", "column", "split"), [row])
    assert says in message(tmp_path)


def test_a_list_without_its_columns_is_refused(tmp_path):
    write_sheets(tmp_path)
    (tmp_path / "classes.csv").write_text("a,b\n1,2\n")
    assert "has not the columns" in message(tmp_path)


def test_folders_are_people_in_the_order_of_their_names(tmp_path):
    write_people(tmp_path, people=3, images=2, singles=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "P00" / "notes.txt").write_text("no image")
    data = read_labelled(tmp_path, settings=ReadSettings(16, grey=True))
    assert data.names == ("P00", "P01", "P02") and data.labels.tolist() == [0, 0, 1, 1, 2]
    assert data.images.shape == (5, 16, 16)
    colour = read_labelled(tmp_path)
    assert colour.images.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(colour.images[2, ..., 1], read_image(tmp_path / "P01" / "0.png"))


def test_unlike_sizes_need_a_size_and_one_folder_is_no_set(tmp_path):
    write_people(tmp_path / "set", people=2, images=2, singles=0)
    write_image(tmp_path / "set" / "P01" / "9.png", np.zeros((8, 8), np.uint8))
    assert "give a size" in message(tmp_path / "set")
    assert read_labelled(tmp_path / "set", settings=ReadSettings(32)).images.shape[1:] == (32, 32, 3)
    write_image(tmp_path / "set" / "top.png", np.zeros((8, 8), np.uint8))
    assert "1 folders with images" in message(tmp_path)
    write_image(tmp_path / "set" / "P01" / "9.png", np.zeros((32, 32), np.uint16))
    assert "use 8-bit images" in message(tmp_path / "set", settings=ReadSettings(32))


def test_lfw_has_its_folds_as_parts(tmp_path):
    write_lfw(tmp_path, people=2)
    data = read_labelled(tmp_path, settings=ReadSettings(grey=True))
    assert data.images.shape == (60, 32, 32) and np.unique(data.part).tolist() == list(range(1, 11))
    first = read_image(tmp_path / "images" / "P0_00" / "P0_00_0001.jpg")
    np.testing.assert_array_equal(data.images[0], first)
    assert data.names[data.labels[3]] == "P0_01"


def test_sets_are_known_by_their_files(tmp_path):
    assert find_set(tmp_path).name == "folders"
    (tmp_path / "people.txt").write_text("")
    assert find_set(tmp_path).name == "lfw"
    with pytest.raises(PatchBatchError, match="no train, so it is not cifar-100"):
        find_set(tmp_path, "cifar-100")
    with pytest.raises(PatchBatchError, match="did you mean 'lfw'"):
        find_set(tmp_path, "lfv")
    with pytest.raises(PatchBatchError, match="no folder"):
        find_set(tmp_path / "none")


@pytest.mark.slow
def test_the_stand_in_for_cifar(real_data):
    data = read_labelled(real_data / "TinyImageNet100")
    assert data.images.shape == (55_000, 32, 32, 3)
    assert np.bincount(data.labels[data.part == 1]).tolist() == [50] * 100
