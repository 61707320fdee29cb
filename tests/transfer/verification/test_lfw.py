"""The lists of LFW, from made trees and from the real one."""

import numpy as np
import pytest

from patchbatch.data import write_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.verification.lfw import read_pairs, read_people, read_view1, read_view2

PEOPLE = "2\n2\nAnn\t3\nBob\t1\n2\nCem\t2\nDua\t2\n"
PAIRS = "2\t1\nAnn\t1\t3\nAnn\t2\tBob\t1\nCem\t1\t2\nCem\t1\tDua\t2\n"


@pytest.fixture
def tree(tmp_path):
    """A small data set with both views."""
    (tmp_path / "people.txt").write_text(PEOPLE)
    (tmp_path / "pairs.txt").write_text(PAIRS)
    (tmp_path / "peopleDevTrain.txt").write_text("2\nAnn\t3\nBob\t1\n")
    (tmp_path / "pairsDevTrain.txt").write_text("1\nAnn\t1\t3\nAnn\t2\tBob\t1\n")
    (tmp_path / "peopleDevTest.txt").write_text("2\nCem\t2\nDua\t2\n")
    (tmp_path / "pairsDevTest.txt").write_text("1\nCem\t1\t2\nCem\t1\tDua\t2\n")
    return tmp_path


def test_view2(tree):
    lfw = read_view2(tree)
    assert lfw.faces[:4] == (("Ann", 1), ("Ann", 2), ("Ann", 3), ("Bob", 1))
    assert lfw.labels.tolist() == [0, 0, 0, 1, 2, 2, 3, 3]
    assert lfw.fold.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    assert lfw.pairs.first.tolist() == [0, 1, 4, 4]
    assert lfw.pairs.second.tolist() == [2, 3, 5, 7]
    assert lfw.pairs.same.tolist() == [True, False, True, False]
    assert lfw.pairs.fold.tolist() == [1, 1, 2, 2]


def test_view1_has_a_fold_to_train_on_and_one_to_test_on(tree):
    lfw = read_view1(tree)
    assert lfw.fold.tolist() == [0] * 4 + [1] * 4
    assert lfw.pairs.fold.tolist() == [0, 0, 1, 1]
    assert lfw.pairs.second.tolist() == [2, 3, 5, 7]


@pytest.mark.parametrize("folder", ["images", "lfw", "lfw_funneled", "lfw-deepfunneled", "."])
def test_images_where_the_archives_put_them(tree, folder):
    image = np.arange(48, dtype=np.uint8).reshape(6, 8)
    (tree / folder / "Ann").mkdir(parents=True)
    write_image(tree / folder / "Ann" / "Ann_0003.jpg", np.repeat(image[..., None], 3, axis=2))
    grey = read_view2(tree).read_grey(2)
    assert grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - image).max() <= 2
    assert read_view2(tree, tree / folder).path(2) == tree / folder / "Ann" / "Ann_0003.jpg"
    with pytest.raises(PatchBatchError, match=r"Bob_0001\.jpg does not exist"):
        read_view2(tree).read_grey(3)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("people.txt", "2\n2\nAnn\t3\n", "line 4 should be a name"),
        ("people.txt", PEOPLE + "Eve\t1\n", "line 8 should be the end"),
        ("people.txt", PEOPLE.replace("Bob\t1", "Bob\tx"), "line 4 should be a name"),
        ("people.txt", PEOPLE.replace("Bob\t1", "Bob\t0"), "line 4 should be a name"),
        ("people.txt", PEOPLE.replace("Bob\t1", "Bob\t12345678901234567890"), "line 4"),
        ("people.txt", PEOPLE.replace("Dua", "Ann"), "Ann is listed twice"),
        ("people.txt", "1\n2\nAnn\t3\nBob\t1\n", "1 folds of people and 2 of pairs"),
        ("people.txt", b"\xff\xfe\x00", "not text"),
        ("people.txt", b"", "is empty"),
        ("pairs.txt", "\n", "line 1 should be a count"),
        ("pairs.txt", "2\t1\t1\n", "line 1 should be a count"),
        ("pairs.txt", PAIRS.replace("Ann\t1\t3", "Ann\t1"), "line 2 should be a name and two"),
        ("pairs.txt", PAIRS.replace("Bob\t1", "Bob"), "line 3 should be two names"),
        ("pairs.txt", PAIRS.replace("Bob\t1", "Bob\t-1"), "line 3 should be two names"),
        ("pairs.txt", PAIRS.replace("Bob\t1", "Bob\t2"), "names image 2 of Bob"),
        ("pairs.txt", PAIRS.replace("Bob\t1", "Cem\t1"), "in another fold"),
    ],
)
def test_bad_lists_get_one_line(tree, name, text, says):
    (tree / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PatchBatchError, match=says) as caught:
        read_view2(tree)
    assert "\n" not in str(caught.value)


def test_missing_list(tmp_path):
    with pytest.raises(PatchBatchError, match=r"people\.txt does not exist"):
        read_view2(tmp_path)


def test_view1_lists_are_one_fold_each(tree):
    (tree / "peopleDevTrain.txt").write_text(PEOPLE)
    with pytest.raises(PatchBatchError, match="several folds"):
        read_view1(tree)


def test_the_real_lists(real_data):
    root = real_data / "LFW"
    assert [len(fold) for fold in read_people(root / "people.txt")][:3] == [601, 555, 552]
    assert [len(fold) for fold in read_pairs(root / "pairs.txt")] == [600] * 10
    view2 = read_view2(root)
    assert len(view2.faces) == 13_233
    assert view2.labels.max() + 1 == 5749
    assert np.bincount(view2.fold)[1:].tolist() == [
        1369, 1367, 1089, 1324, 1016, 1166, 1690, 1222, 1207, 1783,
    ]  # fmt: skip
    np.testing.assert_array_equal(view2.labels[view2.pairs.first] == view2.labels[view2.pairs.second],
                                  view2.pairs.same)  # fmt: skip
    assert view2.read_grey(13_232).shape == (100, 100)
    view1 = read_view1(root)
    assert [len(view1.pairs.of_folds(f)) for f in (0, 1)] == [2200, 1000]
    assert all(view2.path(row).is_file() for row in range(0, 13_233, 97))
