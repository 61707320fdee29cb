"""Photographs to crops, and `patchbatch-verify` on them, with a detector and a network made here."""

import csv
import json
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.cli import main
from patchbatch.transfer.embeddings import detection, photographs
from patchbatch.transfer.embeddings.detection import Face, load_detector
from patchbatch.transfer.embeddings.embedding import Embedding
from patchbatch.transfer.embeddings.table import CROPS, FIVE

SIDE = 24


def texture(person, image=0):
    """A "face": smooth noise of the person, and a little of the image."""
    own, other = (
        np.random.default_rng(seed).normal(size=(6, 6)) for seed in (person, 1000 * person + image + 1)
    )
    big = cv2.resize(own + 0.3 * other, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * big, 0, 255).astype(np.uint8)


class Pixels:
    """An embedding of the pixels themselves."""

    side, grey, crop = SIDE, True, "lfw"

    def __call__(self, crops):
        return crops.reshape(len(crops), -1) - 128.0


@pytest.fixture
def own(monkeypatch, tmp_path):
    module = types.ModuleType("pixels")
    module.make = Pixels
    monkeypatch.setitem(sys.modules, "pixels", module)
    monkeypatch.chdir(tmp_path)
    for person in range(14):
        folder = tmp_path / "people" / f"p{person}"
        folder.mkdir(parents=True)
        for image in range(4):
            cv2.imwrite(str(folder / f"{image}.png"), texture(person, image))
    return tmp_path


def test_two_photographs_of_one_person_and_one_of_another(own, capsys):
    paths = ["people/p0/0.png", "people/p0/1.png", "people/p1/0.png"]
    assert main([*paths, "--embedding", "pixels:make", "-o", "s.csv", "--json", "s.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "no probability" in lines[0]
    with open("s.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image1"], row["image2"]) for row in rows] == [
        (paths[0], paths[1]), (paths[0], paths[2]), (paths[1], paths[2]),
    ]  # fmt: skip
    cosines = [float(row["cosine"]) for row in rows]
    assert cosines[0] > 0.7 > max(cosines[1:])
    a, b = (read_image(path).ravel() - 128.0 for path in paths[:2])
    assert cosines[0] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    told = json.loads(Path("s.json").read_text(encoding="utf-8"))
    assert [pair["probability"] for pair in told["pairs"]] == [None] * 3


def test_people_are_judged_a_model_is_learned_and_gives_probabilities(own, capsys):
    common = ["people", "--embedding", "pixels:make", "--count", "10", "--folds", "3"]
    assert main([*common, "--json", "r.json", "--report", "page"]) == 0
    report = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert (report["scorer"], report["pairs"]) == ("cosine", 60)
    assert report["accuracy"] > 0.9
    assert [one["fold"] for one in report["per_fold"]] == [0, 1, 2]
    assert np.mean([one["accuracy"] for one in report["per_fold"]]) == pytest.approx(report["accuracy"])
    page = Path("page/index.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "Accepted, and not the same" in page
    assert main([*common, "--splits"]) == 0
    assert "of 6 models" in capsys.readouterr().out


def test_a_saved_model_gives_the_probability(own, capsys):
    X = np.stack([(texture(p, i).ravel() - 128.0) for p in range(14) for i in range(4)])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    np.savez("train.npz", features=X, labels=np.repeat(np.arange(14), 4))
    np.savez("test.npz", features=X[:16], labels=np.repeat(np.arange(4), 4) + 100)
    save = ["--train", "train.npz", "--rank", "8", "--save", "m.safetensors", "--count", "4", "--folds", "2"]
    assert main(["test.npz", *save]) == 0
    capsys.readouterr()
    paths = ["people/p0/0.png", "people/p0/1.png", "people/p1/0.png"]
    for prior in ("0.5", "0.001"):
        assert main([*paths, "--embedding", "pixels:make", "--model", "m.safetensors", "--prior", prior]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["probability", "cosine"]
        same, other = (float(line.split()[0]) for line in lines[1:3])
        assert same > other
        if prior == "0.5":
            assert same > 0.5 > other
            before = same
    assert same < before


def test_a_photograph_that_is_no_crop_is_refused_in_words(own, capsys):
    cv2.imwrite("wide.png", np.zeros((40, 60), np.uint8))
    assert main(["wide.png", "people/p0/0.png", "--embedding", "pixels:make"]) == 1
    told = capsys.readouterr().err
    assert "wide.png is 60 x 40" in told
    assert "eyes at" in told
    assert "--detector" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["people/p0/0.png"], "is one photograph"),
        (["people/p0/0.png", "people"], "is no image by its name"),
        (["people/p0/0.png", "gone.png"], "gone.png does not exist"),
        (["people/p0/0.png", "people/p0/1.png", "--rank", "3"], "--rank does nothing of photographs"),
        (["people/p0/0.png", "people/p0/1.png", "--prior", "1"], "--prior is 1"),
        (["people/p0/0.png", "people/p0/1.png", "-o", "people/p0/0.png"], "would overwrite"),
        (["people/p0/0.png", "people/p0/1.png", "-o", "x.npz"], "is a .csv"),
        (["people/p0/0.png", "people/p0/1.png", "--side", "9"], "knows its input itself"),
        (["people/p0/0.png", "people/p0/1.png", "--embedding", "dlub"], "did you mean 'dlib'"),
        (["people/p0/0.png", "people/p0/1.png", "--detector", "gone.onnx"], "gone.onnx does not exist"),
        (["people", "--prior", "0.1"], "--prior does nothing of people"),
        (["people/p0"], "has not two folders"),
        (["people", "--report", "people"], "which is of no report"),
    ],
)
def test_what_does_not_go_is_one_line(own, capsys, arguments, words):
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def marked(turned=False):
    """A photograph with a face in it, larger, and its five points."""
    image = np.full((90, 120), 30, np.uint8)
    image[20:68, 50:98] = cv2.resize(texture(3), (48, 48), interpolation=cv2.INTER_CUBIC)
    points = np.array([CROPS["lfw"].points[name] for name in FIVE]) * 48 + (50 - 0.5, 20 - 0.5)
    return image, points


def test_the_largest_face_is_aligned_and_a_turned_photograph_turned_back(tmp_path):
    image, points = marked()
    small = Face(points * 0.1, FIVE, 3.0)

    def detector(found):
        if not np.array_equal(found[..., 0], image):
            return []
        return sorted([small, Face(points, FIVE, 40.0)], key=lambda face: -face.size)

    embedding = Embedding("pixels", Pixels(), "lfw", SIDE, grey=True)
    for turn in (None, cv2.ROTATE_90_CLOCKWISE):
        path = str(tmp_path / f"{turn}.png")
        cv2.imwrite(path, image if turn is None else cv2.rotate(image, turn))
        crop = photographs.face_crop(path, embedding, detector)
        assert crop.shape == (SIDE, SIDE)
        assert np.corrcoef(crop.ravel(), texture(3).ravel())[0, 1] > 0.97
    with pytest.raises(PatchBatchError, match="no face is found"):
        photographs.face_crop(path, embedding, lambda image: [])


def test_yunet_rows_become_faces_in_px_of_the_photograph(monkeypatch, tmp_path):
    class Model:
        def setInputSize(self, size):  # noqa: N802 - OpenCV's name
            self.size = size

        def detect(self, image):
            assert (image.shape[1], image.shape[0]) == self.size
            return 1, np.array(
                [[1, 2, 30, 40, *range(10), 0.9], [1, 2, 60, 40, *range(10, 20), 0.8]], np.float32
            )

    class Maker:
        @staticmethod
        def create(*_):
            return Model()

    monkeypatch.setattr(detection.cv2, "FaceDetectorYN", Maker)
    file = tmp_path / "yunet.onnx"
    file.write_bytes(b"x")
    found = load_detector(file)(np.zeros((512, 2048, 3), np.uint8))
    assert [face.size for face in found] == [120, 60]  # searched at half the size
    np.testing.assert_allclose(found[1].points, (np.arange(10).reshape(5, 2) + 0.5) * 2 - 0.5)
    assert found[0].names == FIVE


def test_a_file_that_is_no_yunet_model(tmp_path):
    file = tmp_path / "yunet.onnx"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(PatchBatchError, match="no YuNet model"):
        load_detector(file)
