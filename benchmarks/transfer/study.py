"""Train with every number of copies on some classes, and judge the representation on others."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from benchmarks.transfer.settings import TransferBenchmark
from patchbatch.transfer.images.labelled import LabelledImages
from patchbatch.transfer.images.splits import Split
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.multiverse.diagnostics import diagnose
from patchbatch.transfer.multiverse.image_net import ImageNet, load_image_net
from patchbatch.transfer.spectra import EFFECTIVE_RANKS, effective_rank, fisher_spectrum, singular_values
from patchbatch.transfer.train_images.loop import source_error
from patchbatch.transfer.train_images.plan import Plan
from patchbatch.transfer.train_images.run import read_split, train
from patchbatch.transfer.verification.pairs import Pairs, make_pairs
from patchbatch.transfer.verification.protocol import verify
from patchbatch.transfer.verification.scorers import Cosine

FOLDS = 10
# Of S_w, in Joint Bayesian and in Fisher spectra: directions that a net has given up would make it singular.
SHRINKAGE = 1e-3


class Study:
    """The trainings and judgements of a benchmark, with the images that they share.

    Parameters
    ----------
    benchmark
        What is measured.

    Raises
    ------
    PatchBatchError
        For images that cannot be read or split, and target classes too small for the pairs.
    """

    def __init__(self, benchmark: TransferBenchmark):
        self.benchmark = benchmark
        self.split: Split = read_split(benchmark.plan)
        assert self.split.target is not None and self.split.held_out is not None  # noqa: S101 - checked
        self.target: LabelledImages = self.split.target
        self.held_out: LabelledImages = self.split.held_out
        self.pairs: Pairs = make_pairs(self.target.labels, benchmark.pairs, FOLDS, seed=0)
        self._source = _some_of_each(self.split.train.labels, benchmark.per_class)

    def row(self, plan: Plan) -> dict[str, Any]:
        """Train, or take what is trained, and return its figures."""
        start = time.perf_counter()
        judged = load_image_net(train(plan, self.split), plan.device)
        seconds = time.perf_counter() - start
        objective = plan.objective
        row: dict[str, Any] = {
            "copies": objective.copies, "orthogonality": objective.inner_product, "seed": plan.schedule.seed,
            **self._transferred(judged), **self._source_figures(judged), "train-seconds": seconds,
        }  # fmt: skip
        return row

    def _transferred(self, judged: ImageNet) -> dict[str, Any]:
        """Return the accuracies on pairs of target images, and their Fisher values."""
        target = judged.embed(self.target.images).astype(np.float64)
        source = judged.embed(self.split.train.images[self._source]).astype(np.float64)
        model = JointBayesian(shrinkage=SHRINKAGE).fit(source, self.split.train.labels[self._source])
        judgements = {
            "cosine": verify(Cosine(), target, self.pairs),
            "cosine-centred": verify(Cosine(source.mean(axis=0)), target, self.pairs),
            "jb": verify(model, target, self.pairs),
        }
        fisher = fisher_spectrum(target, self.target.labels, SHRINKAGE).values
        return {
            **{name: one.accuracy for name, one in judgements.items()},
            "fold-accuracies": {name: one.accuracies.tolist() for name, one in judgements.items()},
            "target-fisher": _rounded(fisher[: len(self.target.names) - 1]),
            "target-fisher-sum": float(fisher.sum()),
        }

    def _source_figures(self, judged: ImageNet) -> dict[str, Any]:
        """Return the error, spectra and agreement of copies on other images of the learned classes."""
        represented = judged.embed(self.held_out.images)
        values = singular_values(represented)
        fisher = fisher_spectrum(represented, self.held_out.labels, SHRINKAGE).values
        head = judged.head
        found = asdict(diagnose(head, torch.from_numpy(represented).to(head.weight.device)))
        return {
            "source-error": source_error(judged, self.held_out),
            "effective-rank": effective_rank(values),
            "ranks": {kind: effective_rank(values, kind=kind) for kind in EFFECTIVE_RANKS},
            "fisher-sum": float(fisher.sum()),
            "copies-cosine": found["cosine"],
            "agreement": found["agreement"],
            "total-variation": found["total_variation"],
            "logit-gap": found["logit_gap"],
            "singular-values": _rounded(values),
            "fisher": _rounded(fisher),
        }


def run(benchmark: TransferBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `rows`, one a training: "copies", "orthogonality", "seed"; accuracies in [0, 1] on target pairs
        "cosine" (plain), "cosine-centred", "jb"; on held-out source images "source-error", "effective-rank"
        (entropy) and other "ranks", "fisher" and "fisher-sum", "agreement" and more of the copies;
        `settings` of all trainings; `environment`.
    """
    study = Study(benchmark)
    plan, runs = benchmark.plan, benchmark.runs()
    rows = []
    accuracy = Figure("cosine", higher=True)
    with Progress(len(runs), "run", accuracy, strict=True, lines=True) as progress:
        for one in runs:
            kind = f"m = {one.objective.copies}, {one.objective.inner_product}"
            with progress.trying(f"{kind}, seed {one.schedule.seed}"):
                known = one.weights.exists()
                rows.append(study.row(one))
                progress.tell({kind: 100 * rows[-1]["cosine"]}, known=known)
    return {
        "benchmark": "transfer",
        "data": plan.kind.name,
        "rows": rows,
        "settings": {
            "network": plan.config.to_table(), "schedule": plan.schedule.to_table(),
            "objective": plan.objective.to_table(), "augmentation": plan.augmentation.to_table(),
            "learned": plan.learned.to_table(), "target classes": list(study.target.names),
            "pairs in a fold": 2 * benchmark.pairs, "shrinkage": SHRINKAGE,
        },
        "environment": describe_environment(plan.device if plan.device != "auto" else _device()),
    }  # fmt: skip


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _some_of_each(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the rows of the first `count` images of each class."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < count])


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
