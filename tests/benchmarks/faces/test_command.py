"""HOG against a slow one, and `python -m benchmarks faces` from lists to table."""

import json
import sys
import types

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.faces import hog
from benchmarks.faces import study as faces
from patchbatch.data import write_image
from patchbatch.transfer.embeddings.sources import load_embedding
from patchbatch.transfer.verification.lfw import read_view2
from patchbatch.transfer.verification.protocol import verify
from patchbatch.transfer.verification.roc import equal_error_rate, roc_curve
from patchbatch.transfer.verification.scorers import Cosine, Projection
from patchbatch.transfer.verification.siamese import SiameseSettings


def slow_hog(image, bins, cell, block):
    """One pixel, one vote at a time."""
    height, width = image.shape
    rows, columns = height // cell, width // cell
    cells = np.zeros((rows, columns, bins))
    for y in range(rows * cell):
        for x in range(columns * cell):
            down = float(image[y + 1, x]) - float(image[y - 1, x]) if 0 < y < height - 1 else 0.0
            right = float(image[y, x + 1]) - float(image[y, x - 1]) if 0 < x < width - 1 else 0.0
            angle = np.degrees(np.arctan2(down, right)) % 180
            chosen = next(k for k in range(bins) if angle < 180 / bins * (k + 1))
            cells[y // cell, x // cell, chosen] += np.hypot(down, right) / cell**2
    blocks = []
    for y in range(rows - block + 1):
        for x in range(columns - block + 1):
            values = cells[y : y + block, x : x + block].ravel()
            values = np.minimum(values / np.sqrt((values**2).sum() + 1e-10), 0.2)
            blocks.append(values / np.sqrt((values**2).sum() + 1e-10))
    return np.concatenate(blocks)


@pytest.mark.parametrize(("shape", "bins", "cell", "block"), [
    ((30, 40), 8, 10, 2), ((27, 31), 9, 8, 2), ((26, 25), 9, 8, 3), ((24, 24), 6, 7, 1),
])  # fmt: skip
def test_hog_is_the_slow_one(shape, bins, cell, block):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image[:8, :8] = np.arange(8, dtype=np.uint8)[:, None] + np.arange(8, dtype=np.uint8)  # 45 degrees
    fast = hog.hog(image, hog.HogSettings(bins, cell, block))
    np.testing.assert_allclose(fast, slow_hog(image, bins, cell, block), atol=1e-6)


def test_hog_of_a_flat_image_is_zero():
    assert not hog.hog(np.full((40, 40), 77, np.uint8)).any()


@pytest.fixture
def small_lfw(tmp_path, monkeypatch):
    """Ten folds of 20 made people with three pictures each, and settings that fit them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(faces, "RANKS", (5, 10))
    monkeypatch.setattr(faces, "RANK", 10)
    short = {"steps": 20, "pairs": 32, "embedding": 8}
    monkeypatch.setattr(
        faces, "SIAMESE", (SiameseSettings(**short), SiameseSettings(loss="contrastive", **short))
    )
    generator = np.random.default_rng(0)
    people, pairs = ["10"], ["10\t20"]
    for fold in range(10):
        names = [f"P{fold}_{k:02d}" for k in range(20)]
        people += ["20", *(f"{name}\t3" for name in names)]
        pairs += [f"{name}\t1\t2" for name in names]
        pairs += [f"{a}\t1\t{b}\t3" for a, b in zip(names, names[1:] + names[:1], strict=True)]
        for name in names:
            face = generator.integers(0, 256, (30, 30))
            (tmp_path / "LFW" / "images" / name).mkdir(parents=True)
            for k in (1, 2, 3):
                noisy = np.clip(face + generator.normal(0, 30, face.shape), 0, 255).astype(np.uint8)
                write_image(tmp_path / "LFW" / "images" / name / f"{name}_{k:04d}.jpg", noisy)
    (tmp_path / "LFW" / "people.txt").write_text("\n".join(people) + "\n")
    (tmp_path / "LFW" / "pairs.txt").write_text("\n".join(pairs) + "\n")
    return tmp_path


@pytest.mark.slow
def test_from_lists_to_table(small_lfw, capsys):
    pytest.importorskip("matplotlib")
    assert main(["faces", "LFW", "--json", "faces.json", "--plot", "roc.png"]) == 0
    heard = capsys.readouterr().out.splitlines()
    names = [cell.strip() for cell in heard[0].split("|")[1:6]]
    assert names == ["verifier", "features", "trained on folds", "tested on", "accuracy"]
    report = json.loads((small_lfw / "faces.json").read_text(encoding="utf-8"))
    rows = {(row["verifier"], row["features"]): row for row in report["rows"]}
    assert len(rows) == len(report["rows"]) == len(heard) - 2 == 12
    assert "python" in report["environment"]
    accuracies = {name: row["accuracy"] for name, row in rows.items() if "Siamese" not in name[0]}
    assert min(accuracies.values()) > 60, accuracies
    assert {row["tested on"] for row in report["rows"]} == {"1–5", "6–10"}
    lfw = read_view2("LFW")
    features = np.stack([hog.hog(lfw.read_grey(row)) for row in range(len(lfw.faces))])
    centred = verify(Cosine(features[lfw.fold > 5].mean(axis=0)), features, lfw.pairs.of_folds(range(1, 6)))
    assert rows["cosine, centred", "HOG 8/10/2"]["accuracy"] == pytest.approx(100 * centred.accuracy)
    assert (small_lfw / "roc.png").read_bytes().startswith(b"\x89PNG")


FEW_PEOPLE = "2\n2\nAnn\t2\nBob\t1\n2\nCem\t2\nDua\t1\n"
FEW_PAIRS = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nCem\t1\t2\nCem\t1\tDua\t1\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "does not exist"),
        (["LFW", "--json", "nowhere/faces.json"], "make it first"),
        (["LFW", "--plot", "roc.txt"], "use .png, .svg or .pdf"),
        (["few"], "has not the ten folds"),
    ],
)
def test_bad_wishes_get_one_line(tmp_path, monkeypatch, capsys, arguments, says):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "people.txt").write_text(FEW_PEOPLE)
    (tmp_path / "few" / "pairs.txt").write_text(FEW_PAIRS)
    assert main(["faces", *arguments]) == 1
    heard = capsys.readouterr()
    assert says in heard.err
    assert heard.err.count("\n") == 1


@pytest.mark.slow
def test_lfw_figures(real_data):
    """The published cosines of HOG 8/10/2, and Joint Bayesian of folds 6 to 10 far above them."""
    lfw = read_view2(real_data / "LFW")
    features = np.stack([hog.hog(lfw.read_grey(row)) for row in range(len(lfw.faces))])
    source, pairs = lfw.fold > 5, lfw.pairs.of_folds(range(1, 6))
    plain = verify(Cosine(), features, pairs)
    centred = verify(Cosine(features[source].mean(axis=0)), features, pairs)
    assert 100 * plain.accuracy == pytest.approx(65.1, abs=1)
    assert 100 * centred.accuracy == pytest.approx(67.7, abs=1)
    projected = Projection(100).fit(features[source]).transform(features)
    learned = faces._joint_bayesian(lfw, projected, "HOG", 100)
    assert 100 * learned.result.accuracy == pytest.approx(78.2, abs=1.5)


class Pixels:
    """An embedding of the pixels of small crops."""

    side, grey, crop = 8, True, "lfw"

    def __call__(self, crops):
        return crops.reshape(len(crops), -1) - 128.0


def test_an_embedding_with_cosine_and_joint_bayesian_on_top(small_lfw, monkeypatch, capsys):
    module = types.ModuleType("pixels")
    module.make = Pixels
    monkeypatch.setitem(sys.modules, "pixels", module)
    options = ["--embedding", "pixels:make", "--json", "f.json", "--save", "jb.safetensors"]
    assert main(["faces", "LFW", *options]) == 0
    assert capsys.readouterr().out.count("pixels:make") == 2
    report = json.loads((small_lfw / "f.json").read_text(encoding="utf-8"))
    rows = {row["verifier"]: row for row in report["rows"]}
    assert list(rows) == ["cosine", "JB"]
    assert min(row["accuracy"] for row in rows.values()) > 0.9
    # All faces of the test's pairs with those of others, not only the listed ones: 100 people, 3 faces each.
    assert rows["JB"]["not-same"] == 300 * 297 // 2
    assert (rows["JB"]["train-people"], rows["JB"]["train-images"]) == (90, 270)

    lfw = read_view2("LFW")
    pairs = lfw.pairs.of_folds(range(1, 6))
    embedding = load_embedding("pixels:make", verifier="jb.safetensors")
    vectors = embedding.embed([lfw.read_grey(row) for row in range(len(lfw.faces))])
    cosines = (vectors[pairs.first] * vectors[pairs.second]).sum(axis=1)
    assert rows["cosine"]["eer"] == pytest.approx(equal_error_rate(roc_curve(cosines, pairs.same)), abs=1e-6)
    told = embedding.verify(vectors[pairs.first], vectors[pairs.second])
    assert rows["JB"]["eer"] == pytest.approx(equal_error_rate(roc_curve(told, pairs.same)), abs=0.01)
    calibrated = rows["JB"]["calibration"]
    assert sum(one["pairs"] for one in calibrated) == 200
    assert np.mean((told > 0.5) == pairs.same) > 0.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--embedding", "dlib", "--plot", "r.png"], "--plot does nothing with --embedding"),
        (["--embedding", "dlib", "--save", "m.json"], "give it that suffix"),
        (["--embedding", "dlib", "--crop", "arcface"], "knows its input itself"),
        (["--crop", "arcface"], "give --embedding as well"),
        (["--save", "m.safetensors"], "--save does nothing without --train"),
    ],
)
def test_wishes_about_embeddings_that_do_not_go(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["faces", "LFW", *arguments]) == 1
    assert says in capsys.readouterr().err
