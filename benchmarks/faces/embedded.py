"""A face embedding on LFW: cosine and Joint Bayesian, learned on folds 6 to 10, tested on 1 to 5."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import describe_environment
from benchmarks.faces.settings import SOURCE_FOLDS, TEST_FOLDS, EmbeddingBenchmark
from benchmarks.report import markdown
from patchbatch import progress
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.embeddings.alignment import align
from patchbatch.transfer.embeddings.embedding import Embedding
from patchbatch.transfer.embeddings.sources import load_embedding
from patchbatch.transfer.embeddings.table import CROPS, FIVE
from patchbatch.transfer.images.faces import face_images
from patchbatch.transfer.images.labelled import LabelledImages, ReadSettings
from patchbatch.transfer.images.splits import pairs_of_people, split_by_person
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.lfw import Lfw, read_view2
from patchbatch.transfer.verification.pairs import Pairs
from patchbatch.transfer.verification.protocol import cross_validate
from patchbatch.transfer.verification.roc import (
    accuracy,
    choose_threshold,
    equal_error_rate,
    roc_curve,
    tar_at_far,
)
from patchbatch.transfer.verification.scorers import Cosine, Features, score_pairs, unit_length

log = logging.getLogger(__name__)

CROP = "lfw"  # which crop LFW's images are, see ../shared/data/LFW/SOURCES.md
FARS = (0.01, 0.001)
THRESHOLD_PAIRS = 1500  # of each kind, of the held-out people
METHOD, TOLERANCE = "em", 1e-3  # of Joint Bayesian, as for the networks that are trained here


def run(benchmark: EmbeddingBenchmark) -> dict[str, Any]:
    """Embed and judge; return {"rows", "settings", "environment"}, a row a verifier.

    Raises
    ------
    PatchBatchError
        As `read_view2` and `load_embedding`; fewer than ten folds; and a file that cannot be written.
    """
    lfw = read_view2(benchmark.root, benchmark.images)
    if not set(TEST_FOLDS + SOURCE_FOLDS) <= set(lfw.pairs.fold.tolist()):
        raise PatchBatchError(f"{benchmark.root} has not the ten folds of View 2; use the official lists")
    embedding = load_embedding(benchmark.embedding, inputs=benchmark.inputs, device=benchmark.device)
    people = np.unique([name for name, _ in lfw.faces])
    faces = LabelledImages(
        face_images(lfw, ReadSettings(grey=True)), lfw.labels, tuple(people.tolist()), lfw.fold
    )
    split = split_by_person(faces.of_parts(*SOURCE_FOLDS), benchmark.held_out, seed=0)
    assert split.held_out is not None  # noqa: S101 - a share above 0, which the settings check
    held_out = _features(embedding, split.held_out.images, "held-out people")
    train = _features(embedding, split.train.images, "people to learn from")
    test = _Test(lfw, embedding, faces.images)

    model = JointBayesian(METHOD, tol=TOLERANCE).fit(train, split.train.labels)
    choosing = pairs_of_people(split.held_out.labels, THRESHOLD_PAIRS, seed=0)
    rows = []
    scorers: tuple[tuple[str, JointBayesian | Cosine], ...] = (("cosine", Cosine()), ("JB", model))
    for name, scorer in scorers:
        chosen = score_pairs(scorer, held_out, choosing.first, choosing.second)
        rows.append(
            {"embedding": benchmark.embedding, "verifier": name}
            | test.judged(scorer, choose_threshold(chosen, choosing.same))
        )
        log.info("%s, %s: %.2f %%", benchmark.embedding, name, 100 * rows[-1]["accuracy"])
        if scorer is model:
            model.calibrate(chosen, choosing.same)
            rows[-1]["calibration"] = test.reliability(model)
    if benchmark.save is not None:
        model.save(benchmark.save)
    counted = {"train-images": len(split.train), "train-people": len(split.train.names)}
    return {
        "benchmark": "faces",
        "rows": [row | counted for row in rows],
        "settings": {"held-out": benchmark.held_out, "method": METHOD, "crop": embedding.crop},
        "environment": describe_environment("cpu"),
    }


class _Test:
    """The pairs of folds 1 to 5, and the faces in them, embedded."""

    def __init__(self, lfw: Lfw, embedding: Embedding, images: NDArray[np.uint8]) -> None:
        listed = lfw.pairs.of_folds(TEST_FOLDS)
        rows, places = np.unique(np.concatenate([listed.first, listed.second]), return_inverse=True)
        first, second = np.split(places.astype(np.int64), 2)
        self.pairs = Pairs(first, second, listed.same, listed.fold)
        self.labels = lfw.labels[rows]
        self.features = _features(embedding, images[rows], "faces of the test")

    def judged(self, scorer: JointBayesian | Cosine, threshold: float) -> dict[str, Any]:
        """Return the figures of a scorer: accuracies and rates in [0, 1]."""
        pairs = self.pairs
        scores = score_pairs(scorer, self.features, pairs.first, pairs.second)
        folds = [
            accuracy(scores[pairs.fold == one], pairs.same[pairs.fold == one], threshold)
            for one in TEST_FOLDS
        ]
        roc = roc_curve(scores, pairs.same)
        others = np.concatenate([scores[pairs.same], self._all_others(scorer)])
        every = roc_curve(others, np.arange(len(others)) < pairs.same.sum())
        return {
            "accuracy": float(np.mean(folds)), "accuracy-folds": folds,
            "accuracy-official": cross_validate(scores, pairs).accuracy,
            "eer": equal_error_rate(roc),
            # Of a rate with less than one pair nothing can be said.
            "tar-official": {
                f"{far:g}": tar_at_far(roc, far) for far in FARS if far * roc.negatives >= 1
            },
            "tar": {f"{far:g}": tar_at_far(every, far) for far in FARS},
            "not-same": every.negatives,
        }  # fmt: skip

    def reliability(self, model: JointBayesian) -> list[dict[str, float]]:
        """Return, for each tenth of the probability, how many pairs were the same: half of all pairs are."""
        pairs = self.pairs
        scores = score_pairs(model, self.features, pairs.first, pairs.second)
        told = model.probability(scores, 0.5)
        tenth = np.minimum((10 * told).astype(int), 9)
        return [
            {"told": float(told[tenth == one].mean()), "same": float(pairs.same[tenth == one].mean()),
             "pairs": int((tenth == one).sum())}
            for one in np.unique(tenth)
        ]  # fmt: skip

    def _all_others(self, scorer: JointBayesian | Cosine) -> Features:
        """Return the scores of all faces with those of other people: 1,500 listed pairs are few for 0.1 %."""
        if isinstance(scorer, JointBayesian):
            scores = scorer.score_matrix(self.features)
        else:
            unit = unit_length(self.features)
            scores = unit @ unit.T
        first, second = np.triu_indices(len(self.labels), 1)
        other = self.labels[first] != self.labels[second]
        return np.asarray(scores[first[other], second[other]], np.float64)


def _features(embedding: Embedding, images: NDArray[np.uint8], what: str) -> Features:
    if embedding.crop != CROP:
        points = np.array([CROPS[CROP].points[name] for name in FIVE]) * images.shape[1] - 0.5
        images = np.stack([align(image, points, embedding.crop, embedding.side) for image in images])
    log.info("embedding %d images: %s", len(images), what)
    with progress.listening(_tell):
        return embedding.embed(images).astype(np.float64)


def _tell(what: str, done: int, total: int) -> None:
    if done % 1024 == 0:
        log.info("%d of %d %s", done, total, what)


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, percent."""
    header = [
        "embedding",
        "verifier",
        "accuracy",
        "with LFW's thresholds",
        "EER",
        *(f"TAR at FAR {100 * far:g} %" for far in FARS),
    ]
    return markdown(header, [_cells(row) for row in rows], labels=2)


def _cells(row: dict[str, Any]) -> list[str]:
    folds = 100 * np.asarray(row["accuracy-folds"])
    error = folds.std(ddof=1) / np.sqrt(folds.size)
    rates = (f"{100 * row['tar'][f'{far:g}']:.1f}" for far in FARS)
    official = f"{100 * row['accuracy-official']:.1f}"
    return [
        row["embedding"], row["verifier"], f"{folds.mean():.1f} ± {error:.1f}", official,
        f"{100 * row['eer']:.1f}", *rates,
    ]  # fmt: skip
