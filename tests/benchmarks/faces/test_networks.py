"""The study of faces with trained networks: who is learned, whose threshold, and what the report holds."""

import json

import numpy as np
import pytest
from made_images import write_lfw, write_people

from benchmarks.__main__ import main, parse
from benchmarks.faces import networks
from benchmarks.faces.command import benchmark_of
from patchbatch.transfer.verification.scorers import unit_length

SHORT = ["--steps", "2", "--batch", "8", "--size", "16", "--precision", "float32", "--held-out", "0.2"]


@pytest.fixture(scope="module")
def lfw(tmp_path_factory):
    return write_lfw(tmp_path_factory.mktemp("data") / "LFW", people=10)


def study_of(lfw, tmp_path, *words):
    arguments = parse(["faces", str(lfw), "--train", "--work", str(tmp_path / "work"), *SHORT, *words])
    return networks.Study(benchmark_of(arguments))


def test_nobody_of_the_test_is_learned_and_held_out_people_are_neither(lfw, tmp_path):
    made = study_of(lfw, tmp_path)
    names = [name for name, _ in made.lfw.faces]
    tested = {names[row] for row in (*made.pairs.first, *made.pairs.second)}
    learned, held_out = set(made.split.train.names), set(made.split.held_out.names)
    assert {name[:2] for name in tested} == {"P0", "P1", "P2", "P3", "P4"}
    assert len(learned) == 40 and len(held_out) == 10
    assert not learned & held_out and not (learned | held_out) & tested
    assert made.faces.shape == (300, 16, 16)


def test_a_representation_that_knows_is_right_and_thresholds_are_of_held_out_people(lfw, tmp_path):
    made = study_of(lfw, tmp_path)
    rng = np.random.default_rng(0)
    people = rng.normal(size=(100, 12))

    def seen(labels, spread=0.3):
        return unit_length(people[labels] + spread * rng.normal(size=(len(labels), 12)))

    by_name = {name: number for number, name in enumerate(sorted({name for name, _ in made.lfw.faces}))}
    features = {"lfw": seen(made.lfw.labels)}
    for name, part in (("train", made.split.train), ("held-out", made.split.held_out)):
        features[name] = seen(np.array([by_name[part.names[one]] for one in part.labels]))
    right = made.judged(features)
    assert min(right["cosine"], right["jb-source"], right["jb-splits"]) > 0.9
    assert right["train-people"] == 40 and right["train-images"] == 120
    # Held-out people who all look alike move the threshold: it is theirs.
    features["held-out"] = np.tile(features["held-out"][:1], (len(features["held-out"]), 1))
    moved = made.judged(features)
    assert moved["cosine"] < 0.7 < moved["cosine-official"] == right["cosine-official"]


@pytest.mark.slow
def test_from_faces_to_table(tmp_path, capsys, monkeypatch):
    lfw = write_lfw(tmp_path / "LFW", people=30)  # enough for the dimensions of three networks
    words = ["faces", str(lfw), "--train", "--work", str(tmp_path / "work"), *SHORT, "--copies", "1", "2"]
    assert main([*words, "--seeds", "3", "--json", str(tmp_path / "f.json")]) == 0
    rows = json.loads((tmp_path / "f.json").read_text())["rows"]
    kinds = [(row["copies"], row["nets"], row["seed"]) for row in rows]
    each = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0)]
    assert kinds == [(copies, nets, seed) for copies in (1, 2) for nets, seed in each]
    wanted = {
        "net",
        "copies",
        "nets",
        "seed",
        "cosine",
        "jb-source",
        "jb-splits",
        "train-images",
        "train-people",
    }
    assert all(wanted <= set(row) for row in rows)
    assert all(0 <= row[name] <= 1 for row in rows for name in ("cosine", "jb-source", "jb-splits"))
    assert capsys.readouterr().out.count("scratch-narrow") == 10
    monkeypatch.setattr("patchbatch.training.loop.TrainingLoop.update", None)
    assert main([*words, "--seeds", "3"]) == 0  # trained already


@pytest.mark.slow
def test_other_people_are_learned_from_a_tree(lfw, tmp_path, capsys):
    write_people(tmp_path / "tree", people=14, images=4, singles=2)
    words = ["faces", str(lfw), "--train", str(tmp_path / "tree"), "--work", str(tmp_path / "work"), *SHORT]
    assert main([*words, "--copies", "1", "--seeds", "1", "--json", str(tmp_path / "f.json")]) == 0
    (row,) = json.loads((tmp_path / "f.json").read_text())["rows"]
    assert row["train-people"] == 14 - round(0.2 * 2) - round(0.2 * 12)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--train", "nowhere"], "no folder nowhere"),
        (["--train", "--plot", "p.png"], "--plot goes with the histograms"),
        (["--train", "--images", "x"], "--images goes with the histograms"),
        (["--train", "--held-out", "0"], "give --held-out above 0"),
        (["--train", "--network", "skratch"], "did you mean 'scratch'"),
        (["--train", "--people", "3"], "give a batch of 12"),
    ],
)
def test_bad_wishes_get_one_line(words, says, lfw, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert main(["faces", str(lfw), *words]) == 1
    heard = capsys.readouterr().err
    assert says in heard and heard.count("\n") == 1
