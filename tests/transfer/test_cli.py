"""`patchbatch-verify` as a user meets it: files, words, exit status."""

import base64
import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from patchbatch import progress
from patchbatch.data.images import write_image
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.cli import main
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.choice import choose_rank
from patchbatch.transfer.verification.files import read_features, read_pair_list
from patchbatch.transfer.verification.pairs import deal_folds, make_pairs
from patchbatch.transfer.verification.protocol import verify, verify_source, verify_splits
from patchbatch.transfer.verification.roc import roc_curve, tar_at_far
from patchbatch.transfer.verification.scorers import Cosine


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Embeddings of 60 classes in an empty working folder: 40 to learn from, 20 to test on."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(60), 6)
    features = 2 + generator.normal(size=(60, 5))[labels] + generator.normal(size=(360, 5))
    features = features.astype(np.float32)
    train = labels < 40
    np.savez("train.npz", features=features[train], labels=labels[train])
    np.savez("test.npz", features=features[~train], labels=labels[~train])
    return features, labels, train


def report(capsys, *arguments):
    """Run, which must succeed, and return the JSON report."""
    assert main([*arguments, "--json", "report.json"]) == 0
    heard = capsys.readouterr()
    assert heard.err == ""
    assert heard.out.endswith("wrote report.json\n")
    with open("report.json", encoding="utf-8") as file:
        return json.load(file)


def test_cosine_of_drawn_pairs(files, capsys):
    features, labels, train = files
    pairs = make_pairs(labels[~train], 20, 10)
    wanted = verify(Cosine(), features[~train].astype(float), pairs)
    told = report(capsys, "test.npz", "--count", "20", "--far", "0.05", "0.5")
    assert told["accuracy"] == wanted.accuracy
    assert told["standard_error"] == wanted.standard_error
    assert told["tar_at_far"] == {f: tar_at_far(wanted.roc, float(f)) for f in ("0.05", "0.5")}
    assert (told["scorer"], told["pairs"], told["same"], told["folds"]) == ("cosine", 400, 200, 10)


def test_words_of_the_report(files, capsys):
    assert main(["test.npz", "--count", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["scorer     cosine", "pairs      200 same, 200 not same, in 10 folds"]
    assert [line.split()[0] for line in lines[2:]] == ["accuracy", "EER", "ROC", "TAR", "TAR", "threshold"]
    assert lines[6].endswith("% at FAR 1 %")  # 0.1 % would need 1,000 not-same pairs


def test_joint_bayesian_is_learned_saved_and_used_again(files, capsys):
    features, labels, train = files
    pairs = make_pairs(labels[~train], 20, 10)
    shifted = type(pairs)(pairs.first + 240, pairs.second + 240, pairs.same, pairs.fold)
    fit = JointBayesian(rank=4, shrinkage=0.1).fit
    wanted = verify_source(fit, features.astype(float), labels, train, shifted)
    options = ["--rank", "4", "--shrinkage", "0.1", "--count", "20"]
    told = report(capsys, "test.npz", "--train", "train.npz", *options, "--save", "m.safetensors")
    assert told["scorer"] == "jb"
    assert told["accuracy"] == pytest.approx(wanted.accuracy)
    assert told["eer"] < report(capsys, "test.npz", "--count", "20")["eer"]
    again = report(capsys, "test.npz", "--model", "m.safetensors", "--count", "20")
    assert again == told


def test_centred_cosine(files, capsys):
    plain = report(capsys, "test.npz", "--count", "20")
    centred = report(capsys, "test.npz", "--count", "20", "--train", "train.npz", "--scorer", "cosine")
    assert centred["area"] > plain["area"]


@pytest.mark.slow
def test_siamese(files, capsys):
    options = ["test.npz", "--count", "20", "--train", "train.npz", "--scorer", "siamese"]
    assert report(capsys, *options)["area"] > 0.7
    assert report(capsys, *options, "--loss", "contrastive")["scorer"] == "siamese"


def test_splits(files, capsys):
    features, labels, train = files
    row_fold = deal_folds(labels[~train], 4)
    pairs = make_pairs(labels[~train], 30, row_fold=row_fold)
    wanted = verify_splits(
        lambda x, y: JointBayesian().fit(x, y),
        features[~train].astype(float),
        labels[~train],
        row_fold,
        pairs,
    )
    options = ["--splits", "--rank", "all", "--folds", "4", "--count", "30", "-o", "scores.npz"]
    told = report(capsys, "test.npz", *options)
    assert told["accuracy"] == wanted.accuracy
    with np.load("scores.npz") as written:
        np.testing.assert_array_equal(written["score"], wanted.scores)
        np.testing.assert_array_equal(written["fold"], pairs.fold)


def test_scores_as_csv_keep_all_digits(files, capsys):
    features, _, train = files
    test = features[~train].astype(float)
    with open("pairs.csv", "w", encoding="utf-8") as file:
        file.write("a,b\n" + "".join(f"{i},{i + 6}\n{i},{i + 1}\n" for i in range(0, 60, 6)))
    told = report(capsys, "test.npz", "--pairs", "pairs.csv", "--folds", "5", "-o", "scores.csv")
    assert (told["pairs"], told["same"], told["folds"]) == (20, 10, 5)
    with open("scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["first", "second", "same", "score"]
    first, second = (np.array([int(row[name]) for row in rows]) for name in ("first", "second"))
    scores = np.array([float(row["score"]) for row in rows])
    np.testing.assert_array_equal(scores, Cosine().score(test[first], test[second]))
    assert [int(row["same"]) for row in rows] == [0, 1] * 10
    roc_curve(scores, np.tile([0, 1], 10))


def test_pairs_of_unknown_truth_are_scored_and_not_judged(files, capsys):
    np.save("bare.npy", files[0])
    with open("pairs.txt", "w", encoding="utf-8") as file:
        file.write("0 1\n2 3\n")
    assert main(["bare.npy", "--pairs", "pairs.txt", "-o", "scores.csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "the 2 pairs are scored and not judged: pairs.txt does not say which pairs are the same",
        "wrote scores.csv",
    ]
    assert main(["bare.npy", "--pairs", "pairs.txt"]) == 1
    assert "nothing to report" in capsys.readouterr().err


def test_every_kind_of_file_gives_the_same(files):
    features, labels, _ = files
    names = np.char.add("person ", labels.astype(str))
    np.savez_compressed("z.npz", features=features, labels=names)
    save_file({"features": features, "labels": labels}, "s.safetensors")
    np.save("f.npy", features)
    np.save("l.npy", labels)
    with open("l.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(names) + "\n\n")
    for path, labels_path, wanted in (
        ("z.npz", None, names), ("s.safetensors", None, labels), ("f.npy", "l.npy", labels),
        ("f.npy", "l.txt", names), ("f.npy", None, None), ("s.safetensors", "l.txt", names),
    ):  # fmt: skip
        read = read_features(path, labels_path)
        np.testing.assert_array_equal(read.features, features)
        assert (read.labels is None) if wanted is None else (read.labels == wanted).all()


def test_pair_files_with_and_without_columns(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("row1, row2, same, fold\n\n0, 1, 1, 7\n2,3,0,-8\n")
    read = read_pair_list(path, 4)
    assert [c.tolist() for c in (read.first, read.second, read.same, read.fold)] == [
        [0, 2], [1, 3], [True, False], [7, -8],
    ]  # fmt: skip
    path.write_text("0\t1\n")
    assert read_pair_list(path, 2).same is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b"a b\n", "has no pairs"),
        (b"0 1\n0 4\n", "line 2 names a row that is not one of the 4"),
        (b"0 1\n-1 2\n", "line 2 names a row"),
        (b"0 1 1\n0 1\n", "line 2 is no pair"),
        (b"0 1.5\n", "line 1 is no pair"),
        (b"0\n", "line 1 is no pair"),
        (b"0 1 2\n", "line 1 says neither 1 for same nor 0"),
        (b"0 99999999999999999999\n", "line 1 is no pair"),
        (b"0 1 1 1 1\n", "line 1 is no pair"),
        (b"\xff\xfe\x00\x00", "is not text"),
    ],
)
def test_bad_pair_files(tmp_path, text, says):
    path = tmp_path / "pairs.txt"
    path.write_bytes(text)
    with pytest.raises(PatchBatchError, match=says) as caught:
        read_pair_list(path, 4)
    assert "\n" not in str(caught.value)


def bad_feature_files():
    """Name -> content of files that are not features."""
    good = io.BytesIO()
    np.savez(good, features=np.ones((9, 4)))
    lying = io.BytesIO()
    with zipfile.ZipFile(lying, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        )
        archive.writestr("features.npy", header.getvalue())
    files = {"cut.npz": good.getvalue()[:200], "lying.npz": lying.getvalue(), "text.npz": b"no archive"}
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    files |= {"huge.npy": huge.getvalue(), "empty.npy": b"", "text.npy": b"words", "a.txt": b"1 2 3"}
    files |= {"bad.safetensors": b"\xff" * 8 + b"{}"}
    for name, arrays in {
        "other": {"x": np.ones(3)},
        "flat": {"features": np.ones(9)},
        "nan": {"features": np.array([[1.0, 2], [np.nan, 1]])},
        "words": {"features": np.array([["a", "b"], ["c", "d"]])},
        "objects": {"features": np.array([[None, 1], [2, 3]], object)},
        "floatlabels": {"features": np.ones((2, 2)), "labels": np.ones(2)},
        "fewlabels": {"features": np.ones((3, 2)), "labels": np.ones(2, int)},
    }.items():
        content = io.BytesIO()
        np.savez(content, **arrays)
        files[f"{name}.npz"] = content.getvalue()
    return files


@pytest.mark.parametrize(("name", "content"), bad_feature_files().items())
def test_bad_feature_files(tmp_path, monkeypatch, capsys, name, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    assert main([name, "-o", "scores.csv"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert name in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.npz"], "does not exist"),
        (["test.npz", "--count", "1000"], "ask for fewer"),
        (["test.npz", "--count", "20", "--far", "0.0001"], "needs 10000 not-same pairs"),
        (["test.npz", "--count", "20", "--far", "2"], "not in (0, 1]"),
        (["test.npz", "--scorer", "jb"], "has to learn"),
        (["test.npz", "--scorer", "siamese", "--model", "m"], "Joint Bayesian model, not siamese"),
        (["test.npz", "--save", "m.safetensors"], "learned from --train"),
        (["test.npz", "--splits", "--pairs", "p"], "leave out --pairs"),
        (["test.npz", "--train-labels", "l"], "give --train"),
        (["test.npz", "--folds", "1"], "--folds must be 2"),
        (["test.npz", "--model", "test.npz", "--count", "20"], "test.npz"),
        (["test.npz", "-o", "scores.txt"], "use .csv or .npz"),
        (["test.npz", "-o", "nowhere/scores.csv"], "make it first"),
        (["test.npz", "--train", "test.npz"], "both trained on and tested"),
        (["test.npz", "--train", "narrow.npz"], "same embedding"),
        (["test.npz", "--train", "bare.npy"], "has no labels"),
        (["bare.npy"], "give --labels or --pairs"),
        (["test.npz", "--train", "train.npz", "--count", "20", "--rank", "99"], "rank"),
        (["test.npz", "--train", "train.npz", "--count", "20", "--shrinkage", "2"], "shrinkage"),
    ],
)
def test_bad_wishes_get_one_line_and_write_nothing(files, tmp_path, capsys, arguments, says):
    np.save("bare.npy", files[0])
    np.savez("narrow.npz", features=files[0][:, :3], labels=files[1])
    before = sorted(tmp_path.iterdir())
    assert main([*arguments, "--json", "report.json"]) == 1
    heard = capsys.readouterr()
    assert heard.err.startswith("error: ")
    assert says in heard.err
    assert heard.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_labels_numbered_apart(files, capsys):
    features, labels, train = files
    np.savez("apart.npz", features=features[train], labels=labels[train] % 40 + 40)
    options = ["test.npz", "--train", "apart.npz", "--count", "20"]
    assert main(options) == 1
    assert "both trained on and tested" in capsys.readouterr().err
    told = report(capsys, *options, "--unrelated-labels")
    assert told == report(capsys, "test.npz", "--train", "train.npz", "--count", "20")


def test_wrong_usage_exits_with_2(capsys):
    for arguments in ([], ["a.npz", "--scorer", "magic"], ["a.npz", "--train", "b", "--splits"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()


def test_help_imports_no_torch():
    code = (
        "import sys; from patchbatch.transfer import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0
    assert "examples:" in told.stdout


def test_an_output_never_overwrites_an_input_or_another_output(files, tmp_path, capsys):
    before = (tmp_path / "test.npz").read_bytes()
    for words, says in (
        (["-o", "test.npz"], "test.npz: -o would overwrite the input of INPUT"),
        (["--train", "train.npz", "--save", "./train.npz"], "would overwrite the input of --train"),
        (["-o", "x.npz", "--json", "x.npz"], "x.npz: --json would overwrite the output of -o"),
    ):
        assert main(["test.npz", "--count", "20", *words]) == 1
        assert says in capsys.readouterr().err
    assert (tmp_path / "test.npz").read_bytes() == before
    assert not (tmp_path / "x.npz").exists()


def test_a_missing_file_is_said_before_anything_is_imported(files):
    code = "import sys\nfrom patchbatch.transfer.cli import main\nassert main(['none.npz']) == 1\n"
    code += "print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    assert told.stderr == "error: none.npz does not exist; check the name\n"


def test_pairs_that_the_labels_make_of_one_kind_are_scored_all_the_same(files, capsys):
    with open("pairs.txt", "w", encoding="utf-8") as file:
        file.write("0 1\n6 7\n12 13\n")  # of one class each
    assert main(["test.npz", "--pairs", "pairs.txt", "-o", "scores.npz"]) == 0
    assert "scored and not judged: by the labels they are of one kind" in capsys.readouterr().out
    with np.load("scores.npz") as written:
        assert sorted(written) == ["first", "score", "second"]
    assert main(["test.npz", "--pairs", "pairs.txt"]) == 1
    assert "of one kind, so there is nothing to report" in capsys.readouterr().err


def test_rank_and_shrinkage_are_chosen_on_the_training_rows_and_told(files, capsys):
    features, labels, train = files
    wanted = choose_rank(features[train].astype(float), labels[train])
    told = report(capsys, "test.npz", "--train", "train.npz", "--count", "20", "--save", "m.safetensors")
    assert told["chosen"] == [str(wanted)]
    kept = JointBayesian.load("m.safetensors")
    assert (kept.rank, kept.shrinkage) == (wanted.rank, wanted.shrinkage)
    assert "chosen" not in report(
        capsys, "test.npz", "--train", "train.npz", "--rank", "all", "--count", "20"
    )


def test_progress_over_folds_is_told(files, monkeypatch):
    heard = []
    with progress.listening(lambda *what: heard.append(what)):
        assert main(["test.npz", "--splits", "--rank", "2", "--folds", "3", "--count", "5"]) == 0
    assert heard == []  # the command's own listener has the word, and stderr is no terminal
    labels = np.load("test.npz")["labels"]
    row_fold = deal_folds(labels, 3)
    pairs = make_pairs(labels, 5, row_fold=row_fold)
    with progress.listening(lambda *what: heard.append(what)):
        verify_splits(
            JointBayesian().fit, np.load("test.npz")["features"].astype(float), labels, row_fold, pairs
        )
    assert heard == [("models of folds", done, 6) for done in range(1, 7)]


def test_a_page_shows_the_worst_errors_with_their_images(files, capsys):
    _, _, train = files
    lines = []
    for row in range(int((~train).sum())):
        write_image(f"i{row}.png", np.full((200, 300), row, np.uint8))
        lines.append(f"i{row}.png")
    with open("images.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    options = ["test.npz", "--count", "20", "--report", "page"]
    assert main([*options, "--images", "images.txt", "-o", "scores.npz", "--json", "r.json"]) == 0
    page = Path("page/index.html").read_text(encoding="utf-8")
    with np.load("scores.npz") as written, open("r.json", encoding="utf-8") as file:
        threshold, score, same = json.load(file)["threshold"], written["score"], written["same"]
        accepted = np.flatnonzero((score >= threshold) & ~same)
        worst = accepted[np.argmax(score[accepted])]
        first, second = written["first"][worst], written["second"][worst]
    count = int(((score < threshold) & same).sum())
    assert f"Accepted, and not the same: {len(accepted)}, the 12 worst" in page
    assert f"Refused, and the same: {count}" in page
    shown = page.split("<li>")[1]
    assert f"rows {first} and {second}" in shown
    assert f"i{first}.png" in shown
    codes = re.findall(r"data:image/jpeg;base64,([^\"]+)", shown)
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 0) for one in codes]
    assert [picture.shape for picture in pictures] == [(85, 128)] * 2
    assert [round(float(picture.mean())) for picture in pictures] == [first, second]
    for name in ("det.svg", "scores.svg"):
        ElementTree.fromstring(Path("page", name).read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert main(options) == 0  # over an older page, and without images
    assert "data:image" not in Path("page/index.html").read_text(encoding="utf-8")
    with open("images.txt", "a", encoding="utf-8") as file:
        file.write("more.png\n")
    assert main([*options, "--images", "images.txt"]) == 1
    assert "names 121 images but there are 120 rows" in capsys.readouterr().err
