"""What `patchbatch-verify` does with its arguments: read, learn, score, judge, write."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchbatch.data.files import atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats, Integers
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.files import (
    FeatureSet,
    PairList,
    check_scores_name,
    read_features,
    read_pair_list,
    write_scores,
)
from patchbatch.transfer.verification.pairs import Pairs, check_disjoint, check_pairs, deal_folds, make_pairs
from patchbatch.transfer.verification.protocol import Verification, cross_validate, verify_splits
from patchbatch.transfer.verification.roc import choose_threshold, equal_error_rate, tar_at_far
from patchbatch.transfer.verification.scorers import Cosine, Features, Scorer, score_pairs

DEFAULT_FARS = (0.1, 0.01, 0.001)


@dataclass(frozen=True)
class _Data:
    """What is tested and what is learned from; classes numbered over both."""

    features: Floats
    labels: Integers | None
    train: FeatureSet | None


def run(arguments: argparse.Namespace, kind: str) -> Iterator[str]:
    """Carry out a command line that `patchbatch.transfer.cli` parsed; yield the lines to print.

    Parameters
    ----------
    arguments
        As parsed, see `patchbatch.transfer.cli.build_parser`.
    kind
        Which scorer is meant: "cosine", "jb" or "siamese".

    Raises
    ------
    PatchBatchError
        Options that do not go together, and all that readers, scorers and writers refuse. Files are written
        last, each whole or not at all.
    """
    _check_outputs(arguments)
    data = _read(arguments)
    if arguments.splits:
        yield from _run_splits(arguments, kind, data)
        return
    pairs = _pairs(arguments, data)
    scorer = _scorer(arguments, kind, data)
    scores = score_pairs(scorer, data.features, pairs.first, pairs.second)
    result = None if pairs.same is None else _judge(pairs, pairs.same, scores, arguments.folds)
    yield from _finish(arguments, kind, pairs, scores, result, scorer)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse before the work what would fail after it."""
    if arguments.output is not None:
        check_scores_name(arguments.output)
    for path in (arguments.output, arguments.save, arguments.json):
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise PatchBatchError(f"no folder for {path}: make it first")


def _read(arguments: argparse.Namespace) -> _Data:
    tested = read_features(arguments.features, arguments.labels)
    if arguments.train is None:
        return _Data(tested.features, _numbered(tested), None)
    train = read_features(arguments.train, arguments.train_labels)
    if train.labels is None:
        raise PatchBatchError(f"{arguments.train} has no labels; add them to it or give --train-labels")
    if train.features.shape[1] != tested.features.shape[1]:
        raise PatchBatchError(
            f"{arguments.train} has {train.features.shape[1]} features but {arguments.features} has "
            f"{tested.features.shape[1]}; use the same embedding for both"
        )
    if tested.labels is not None and not arguments.unrelated_labels:
        check_disjoint(train.labels.astype(str), tested.labels.astype(str))
    return _Data(tested.features, _numbered(tested), FeatureSet(train.features, _numbered(train)))


def _numbered(data: FeatureSet) -> Integers | None:
    """Return the classes of a file as numbers from 0."""
    return None if data.labels is None else np.unique(data.labels, return_inverse=True)[1].astype(np.int64)


def _pairs(arguments: argparse.Namespace, data: _Data) -> PairList:
    if arguments.pairs is None:
        drawn = make_pairs(_labels(arguments, data), arguments.count, arguments.folds, seed=arguments.seed)
        return PairList(drawn.first, drawn.second, drawn.same, drawn.fold)
    given = read_pair_list(arguments.pairs, len(data.features))
    same = given.same
    if same is None and data.labels is not None:
        same = data.labels[given.first] == data.labels[given.second]
    if same is None and arguments.output is None:
        raise PatchBatchError(
            f"{arguments.pairs} does not say which pairs are the same, so there is nothing to report; "
            "give -o to write scores, or --labels"
        )
    if same is not None:
        fold = np.zeros(len(same), np.int64) if given.fold is None else given.fold
        try:
            check_pairs(Pairs(given.first, given.second, same, fold), data.labels)
        except PatchBatchError as error:
            raise PatchBatchError(f"{arguments.pairs}: {error}") from None
    return PairList(given.first, given.second, same, given.fold)


def _labels(arguments: argparse.Namespace, data: _Data) -> Integers:
    if data.labels is None:
        raise PatchBatchError(f"{arguments.features} has no labels; give --labels or --pairs")
    return data.labels


def _fit(arguments: argparse.Namespace, kind: str, features: Features, labels: Integers) -> Scorer:
    if kind == "cosine":
        return Cosine(features.mean(axis=0))
    if kind == "siamese":
        # torch takes seconds to import, and nothing else here needs it.
        from patchbatch.transfer.verification.siamese import SiameseSettings, SiameseVerifier  # noqa: PLC0415

        settings = SiameseSettings(loss=arguments.loss, seed=arguments.seed)
        return SiameseVerifier(settings).fit(features, labels)
    model = JointBayesian(arguments.method, rank=arguments.rank, shrinkage=arguments.shrinkage)
    return model.fit(features, labels)


def _scorer(arguments: argparse.Namespace, kind: str, data: _Data) -> Scorer:
    if arguments.model is not None:
        return JointBayesian.load(arguments.model)
    if data.train is None or data.train.labels is None:
        return Cosine()
    return _fit(arguments, kind, data.train.features, data.train.labels)


def _judge(pairs: PairList, same: Booleans, scores: Floats, folds: int) -> Verification:
    fold = pairs.fold
    if fold is None:  # in turn within each kind, so that every fold has both
        fold = np.empty(same.size, np.int64)
        for one_kind in (same, ~same):
            fold[one_kind] = np.arange(one_kind.sum()) % folds
    return cross_validate(scores, Pairs(pairs.first, pairs.second, same, fold))


def _run_splits(arguments: argparse.Namespace, kind: str, data: _Data) -> Iterator[str]:
    labels = _labels(arguments, data)
    row_fold = deal_folds(labels, arguments.folds, arguments.seed)
    pairs = make_pairs(labels, arguments.count, row_fold=row_fold, seed=arguments.seed)

    def fit(features: Features, of: Integers) -> Scorer:
        return _fit(arguments, kind, features, of)

    result = verify_splits(fit, data.features, labels, row_fold, pairs)
    listed = PairList(pairs.first, pairs.second, pairs.same, pairs.fold)
    yield from _finish(arguments, kind, listed, result.scores, result, None)


def _finish(
    arguments: argparse.Namespace,
    kind: str,
    pairs: PairList,
    scores: Floats,
    result: Verification | None,
    scorer: Scorer | None,
) -> Iterator[str]:
    """Report and write; the report is made first, because it may refuse."""
    report = {"scorer": kind, "pairs": len(scores)}
    if result is not None:
        report |= _report(result, arguments.far)
        yield from _lines(report)
    if arguments.output is not None:
        write_scores(arguments.output, pairs, scores)
        yield f"wrote {arguments.output}"
    if arguments.save is not None and isinstance(scorer, JointBayesian):
        scorer.save(arguments.save)
        yield f"wrote {arguments.save}"
    if arguments.json is not None:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        yield f"wrote {arguments.json}"


def _report(result: Verification, fars: list[float] | None) -> dict[str, Any]:
    roc = result.roc
    wanted = fars or [far for far in DEFAULT_FARS if far * roc.negatives >= 1]
    return {
        "same": roc.positives,
        "folds": len(result.folds),
        "accuracy": result.accuracy,
        "standard_error": result.standard_error,
        "eer": equal_error_rate(roc),
        "area": roc.area,
        "tar_at_far": {f"{far:g}": tar_at_far(roc, far) for far in wanted},
        "threshold": choose_threshold(result.scores, result.same),
    }


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"scorer     {report['scorer']}"
    different = report["pairs"] - report["same"]
    yield f"pairs      {report['same']} same, {different} not same, in {report['folds']} folds"
    yield f"accuracy   {100 * report['accuracy']:.2f} ± {100 * report['standard_error']:.2f} %"
    yield f"EER        {100 * report['eer']:.2f} %"
    yield f"ROC area   {report['area']:.4f}"
    for far, tar in report["tar_at_far"].items():
        yield f"TAR        {100 * tar:.2f} % at FAR {100 * float(far):g} %"
    yield f"threshold  {report['threshold']:.6g} (most right on all these pairs)"
