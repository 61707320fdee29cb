"""Networks trained on some people and asked about the pairs of LFW's folds 1 to 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.environment import describe_environment
from benchmarks.faces.settings import ENSEMBLES, SOURCE_FOLDS, TEST_FOLDS, FacesBenchmark
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.images.faces import face_images
from patchbatch.transfer.images.labelled import ReadSettings
from patchbatch.transfer.images.splits import pairs_of_people
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.multiverse.image_net import load_image_net
from patchbatch.transfer.train_images.run import read_split, train
from patchbatch.transfer.verification.lfw import read_view2
from patchbatch.transfer.verification.protocol import Verification, cross_validate, verify_splits
from patchbatch.transfer.verification.roc import accuracy, choose_threshold
from patchbatch.transfer.verification.scorers import (
    Cosine,
    Features,
    Scorer,
    concatenate_features,
    score_pairs,
    unit_length,
)

THRESHOLD_PAIRS = 1500
"""Pairs of each kind of held-out people on which thresholds are chosen, as many as folds 6 to 10 have."""
# Of Joint Bayesian. Looser than the default: sixteen fits a row, and the covariances settle slowly.
METHOD, TOLERANCE = "em", 1e-3


class Study:
    """The trainings and judgements of a benchmark, with the faces that they share.

    Parameters
    ----------
    benchmark
        What is trained and measured.

    Raises
    ------
    PatchBatchError
        For lists and images that cannot be read, or fewer than ten folds.
    """

    def __init__(self, benchmark: FacesBenchmark):
        self.benchmark = benchmark
        self.lfw = read_view2(benchmark.root)
        if not set(TEST_FOLDS + SOURCE_FOLDS) <= set(self.lfw.pairs.fold.tolist()):
            raise PatchBatchError(f"{benchmark.root} has not the ten folds of View 2; use the official lists")
        size = ReadSettings(benchmark.plan.config.size, grey=benchmark.plan.config.inputs == 1)
        self.faces = face_images(self.lfw, size)
        self.split = read_split(benchmark.plan)
        self.pairs = self.lfw.pairs.of_folds(TEST_FOLDS)

    def features(self, copies: int, seed: int) -> dict[str, Features]:
        """Train a network, or take what is trained; represent the faces of the test and those learned from.

        Returns
        -------
        dict
            "lfw" `(13233, d)`, "train" and, for the threshold, "held-out", float64 of unit length. Centred at
            the mean of the training images first: what all faces have in common says nothing.
        """
        plan = self.benchmark.run_of(copies, seed)
        judged = load_image_net(train(plan, self.split), plan.device)
        images = {"lfw": self.faces, "train": self.split.train.images}
        if self.split.held_out is not None:
            images["held-out"] = self.split.held_out.images
        found = {name: judged.embed(some, self.benchmark.mirrored) for name, some in images.items()}
        mean = found["train"].mean(axis=0, dtype=np.float64)
        return {name: unit_length(some - mean) for name, some in found.items()}

    def judged(self, features: dict[str, Features]) -> dict[str, Any]:
        """Return the figures of a network or of an ensemble, accuracies in [0, 1].

        "cosine" and "jb-source" have their threshold from people of the source; "jb-splits" is learned anew
        for each test fold on the other test folds, with its threshold, as LFW's own protocol has it, and
        so are the thresholds of "cosine-official" and "jb-source-official".
        """
        train_labels = self.split.train.labels
        model = JointBayesian(METHOD, tol=TOLERANCE).fit(features["train"], train_labels)
        figures: dict[str, Any] = {}
        for name, scorer in (("cosine", Cosine()), ("jb-source", model)):
            scores = score_pairs(scorer, features["lfw"], self.pairs.first, self.pairs.second)
            threshold = self._threshold(scorer, features)
            folds = [
                accuracy(scores[self.pairs.fold == fold], self.pairs.same[self.pairs.fold == fold], threshold)
                for fold in TEST_FOLDS
            ]
            figures |= {name: float(np.mean(folds)), f"{name}-folds": folds}
            figures[f"{name}-official"] = cross_validate(scores, self.pairs).accuracy
        splits = self._splits(features["lfw"])
        return figures | {
            "jb-splits": splits.accuracy, "jb-splits-folds": splits.accuracies.tolist(),
            "train-images": len(train_labels), "train-people": len(self.split.train.names),
        }  # fmt: skip

    def _threshold(self, scorer: Scorer, features: dict[str, Features]) -> float:
        """Choose a threshold on pairs of people who are neither learned nor tested."""
        if self.benchmark.on_lfw:
            assert self.split.held_out is not None  # noqa: S101 - checked by the settings
            pairs, x = pairs_of_people(self.split.held_out.labels, THRESHOLD_PAIRS, 0), features["held-out"]
        else:
            pairs, x = self.lfw.pairs.of_folds(SOURCE_FOLDS), features["lfw"]
        return choose_threshold(score_pairs(scorer, x, pairs.first, pairs.second), pairs.same)

    def _splits(self, features: Features) -> Verification:
        def fit(x: Features, labels: np.ndarray[Any, np.dtype[np.int64]]) -> Scorer:
            return JointBayesian(METHOD, tol=TOLERANCE).fit(x, labels)

        return verify_splits(fit, features, self.lfw.labels, self.lfw.fold, self.pairs)


def run(benchmark: FacesBenchmark) -> dict[str, Any]:
    """Train and measure; return {"rows", "settings", "environment"}: a row a network and an ensemble."""
    study = Study(benchmark)
    plan, rows = benchmark.plan, []
    ensembles = [nets for nets in ENSEMBLES if nets <= benchmark.seeds]
    total = len(benchmark.copies) * (benchmark.seeds + len(ensembles))
    with Progress(total, "row", Figure("cosine", higher=True), strict=True, lines=True) as progress:

        def add(copies: int, nets: int, seed: int, figures: dict[str, Any], known: bool) -> None:
            rows.append({"net": plan.network, "copies": copies, "nets": nets, "seed": seed, **figures})
            progress.tell({f"m = {copies}": 100 * figures["cosine"]}, known=known)

        for copies in benchmark.copies:
            found = []
            for seed in range(benchmark.seeds):
                with progress.trying(f"m = {copies}, seed {seed}"):
                    known = benchmark.run_of(copies, seed).weights.exists()
                    found.append(study.features(copies, seed))
                    add(copies, 1, seed, study.judged(found[-1]), known)
            for nets in ensembles:
                with progress.trying(f"m = {copies}, {nets} together"):
                    some = found[:nets]
                    both = {name: concatenate_features(*(one[name] for one in some)) for name in some[0]}
                    add(copies, nets, 0, study.judged(both), known=True)
    return {
        "benchmark": "faces",
        "rows": rows,
        "settings": {
            "data": plan.kind.name, "network": plan.config.to_table(), "schedule": plan.schedule.to_table(),
            "objective": plan.objective.to_table(), "sampling": plan.sampling.to_table(),
            "augmentation": plan.augmentation.to_table(), "learned": plan.learned.to_table(),
            "mirrored": benchmark.mirrored,
        },
        "environment": describe_environment("cuda" if torch.cuda.is_available() else "cpu"),
    }  # fmt: skip


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, percent with the standard error over the five folds."""
    header = ["network", "copies", "networks", "from seed", "cosine", "JB on source", "JB on splits"]
    cells = [
        [row["net"], str(row["copies"]), str(row["nets"]), str(row["seed"]),
         *(_percent(row[f"{name}-folds"]) for name in ("cosine", "jb-source", "jb-splits"))]
        for row in rows
    ]  # fmt: skip
    return markdown(header, cells)


def _percent(folds: Sequence[float]) -> str:
    values = 100 * np.asarray(folds)
    return f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(values.size):.1f}"
