"""The study of transfer on images: what is trained once, what every m shares, and what the report holds."""

import json

import numpy as np
import pytest
from made_images import write_people, write_sheets

from benchmarks.__main__ import main, parse
from benchmarks.transfer import report, study
from benchmarks.transfer.command import benchmark_of
from benchmarks.transfer.settings import TransferBenchmark

WORDS = ["--steps", "2", "--batch", "8", "--size", "16", "--precision", "float32", "--target-classes", "3"]


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    return write_sheets(
        tmp_path_factory.mktemp("data") / "sheets", classes=7, train=10, held_out=10, noise=60
    )


def benchmark(sheets, tmp_path, copies=(1, 3), seeds=2, products=("plain", "within")):
    words = ["transfer", str(sheets), "--work", str(tmp_path / "work"), *WORDS]
    made = benchmark_of(parse([*words, "--orthogonality", *products]), list(copies), seeds)
    return TransferBenchmark(made.plan, made.copies, made.orthogonality, made.seeds, pairs=10, per_class=5)


def test_the_runs(sheets, tmp_path):
    made = benchmark(sheets, tmp_path)
    assert made.kinds() == [(1, "plain"), (3, "plain"), (3, "within")]
    runs = made.runs()
    assert [(one.schedule.seed, one.objective.copies) for one in runs] == [
        (0, 1),
        (0, 3),
        (0, 3),
        (1, 1),
        (1, 3),
        (1, 3),
    ]
    assert len({one.output for one in runs}) == 6
    assert {one.sampling for one in runs} == {made.plan.sampling}
    alone = benchmark(sheets, tmp_path, products=("within",)).kinds()
    assert alone == [(1, "within"), (3, "within")]  # the one copy is trained all the same


@pytest.mark.slow
def test_from_images_to_table_and_nothing_twice(sheets, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    words = ["transfer", str(sheets), "--work", str(tmp_path / "work"), *WORDS, "--pairs", "10"]
    words += [
        "--copies",
        "1",
        "2",
        "--seeds",
        "2",
        "--json",
        str(tmp_path / "t.json"),
        "--pictures",
        str(tmp_path),
    ]
    assert main(words) == 0
    told = json.loads((tmp_path / "t.json").read_text())
    assert [(row["seed"], row["copies"]) for row in told["rows"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for row in told["rows"]:
        for name in ("source-error", "cosine", "jb", "agreement"):
            assert 0 <= row[name] <= 1
        assert row["orthogonality"] == "plain" and len(row["fisher"]) == 100
        assert row["fisher-sum"] == pytest.approx(sum(row["fisher"]), rel=1e-3)
        assert len(row["target-fisher"]) == 2  # three classes
    assert len(told["settings"]["target classes"]) == 3 and "python" in told["environment"]
    heard = capsys.readouterr().out
    assert "| M2 " in heard and "Difference to M1 of the same seed" in heard
    for picture in ("singular-values.png", "fisher-spectra.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    # What is trained is taken: a step would fail.
    monkeypatch.setattr("patchbatch.training.loop.TrainingLoop.update", None)
    assert main(words) == 0
    again = json.loads((tmp_path / "t.json").read_text())["rows"]
    untimed = [{name: value for name, value in row.items() if name != "train-seconds"} for row in again]
    assert untimed == [{n: v for n, v in row.items() if n != "train-seconds"} for row in told["rows"]]
    assert main([*words, "--lambda2", "0.5"]) == 1
    assert "other settings" in capsys.readouterr().err


def test_a_random_representation_is_told_from_one_that_knows(sheets, tmp_path):
    """Pairs, folds and labels fit each other: a net that sees classes apart is right, a blind one guesses."""
    made = study.Study(benchmark(sheets, tmp_path))

    class Seeing:
        def __init__(self, share):
            self.share = share

        def embed(self, images):
            colours = images.reshape(len(images), -1, 3).mean(axis=1) / 255 - 0.5
            noise = np.random.default_rng(0).normal(size=(len(images), 3))
            return (self.share * colours + (1 - self.share) * noise).astype(np.float32)

    assert made._transferred(Seeing(1.0))["jb"] > 0.95
    assert 0.3 < made._transferred(Seeing(0.0))["jb"] < 0.7


def test_paired_differences_are_of_the_same_seed():
    def row(copies, seed, cosine):
        names = {**dict.fromkeys(report.FIGURES, 0.5), "agreement": 1.0, "cosine": cosine}
        return {"copies": copies, "orthogonality": "plain", "seed": seed, **names}

    rows = [row(1, 0, 0.7), row(1, 1, 0.8), row(5, 0, 0.72), row(5, 1, 0.82)]
    table, differences = report.format_tables(rows).split("\n\n", 1)
    assert "0.770 ± 0.071" in table
    assert "| M5   | +0.000 ± 0.000 | +0.020 ± 0.000 |" in differences


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give the folder of CIFAR-100"),
        (["--made", "set"], "leave out set"),
        (["people"], "there is the command faces"),
        (["set", "--target-classes", "1"], "pairs need 2 or more"),
        (["set", "--target-classes", "6"], "give 2 to 5"),
        (["set", "--pairs", "0"], "pairs is 0"),
        (["set", "--pictures", "nowhere"], "make it first"),
        (["set", "--network", "vgg"], "unknown image network"),
        (["nowhere"], "no folder nowhere"),
    ],
)
def test_bad_wishes_get_one_line(words, says, sheets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").symlink_to(sheets)
    write_people(tmp_path / "people", people=2, singles=0)
    assert main(["transfer", *words]) == 1
    heard = capsys.readouterr().err
    assert says in heard and heard.count("\n") == 1
