"""What `patchbatch-verify` does with its arguments: read, learn, score, judge, write."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchbatch.data.files import atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Booleans, Floats, Integers
from patchbatch.transfer.embeddings.settings import InputSettings
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.choice import Choice, choose_rank
from patchbatch.transfer.verification.files import (
    FeatureSet,
    PairList,
    check_scores_name,
    read_features,
    read_image_list,
    read_pair_list,
    write_scores,
)
from patchbatch.transfer.verification.page.page import check_folder, write_page
from patchbatch.transfer.verification.pairs import Pairs, check_disjoint, check_pairs, deal_folds, make_pairs
from patchbatch.transfer.verification.protocol import Verification, cross_validate, verify_splits
from patchbatch.transfer.verification.roc import choose_threshold, equal_error_rate, tar_at_far
from patchbatch.transfer.verification.scorers import Cosine, Features, Scorer, score_pairs

DEFAULT_FARS = (0.1, 0.01, 0.001)


@dataclass(frozen=True)
class _Data:
    """What is tested and what is learned from; classes numbered over both; the image of each row if known."""

    features: Floats
    labels: Integers | None
    train: FeatureSet | None
    images: list[Path] | None = None


class _Fit:
    """Learns scorers as a command line asks for, and remembers what it chose itself."""

    def __init__(self, arguments: argparse.Namespace, kind: str) -> None:
        self.arguments, self.kind = arguments, kind
        self.chosen: list[Choice] = []

    def __call__(self, features: Features, labels: Integers) -> Scorer:
        if self.kind == "cosine":
            return Cosine(features.mean(axis=0))
        if self.kind == "siamese":
            # torch takes seconds to import, and nothing else here needs it.
            from patchbatch.transfer.verification.siamese import (  # noqa: PLC0415
                SiameseSettings,
                SiameseVerifier,
            )

            settings = SiameseSettings(loss=self.arguments.loss, seed=self.arguments.seed)
            return SiameseVerifier(settings).fit(features, labels)
        rank, shrinkage = self._settings(features, labels)
        return JointBayesian(self.arguments.method, rank=rank, shrinkage=shrinkage).fit(features, labels)

    def _settings(self, features: Features, labels: Integers) -> tuple[int | None, float]:
        rank, shrinkage = self.arguments.rank, self.arguments.shrinkage
        if rank is None and shrinkage is None:
            self.chosen.append(choose_rank(features, labels, self.arguments.seed))
            return self.chosen[-1].rank, self.chosen[-1].shrinkage
        return None if rank in (None, "all") else rank, shrinkage or 0.0

    def told(self) -> list[str]:
        """Return what was chosen, in words; of many models how often."""
        if len(self.chosen) == 1:
            return [str(self.chosen[0])]
        count = Counter((one.rank, one.shrinkage) for one in self.chosen)
        return [
            f"{'all directions' if rank is None else f'rank {rank}'}, shrinkage {shrinkage:g} in {number} of "
            f"{len(self.chosen)} models"
            for (rank, shrinkage), number in count.most_common()
        ]


def run(arguments: argparse.Namespace, kind: str, inputs: InputSettings | None = None) -> Iterator[str]:
    """Carry out a command line that `patchbatch.transfer.cli` parsed; yield the lines to print.

    Parameters
    ----------
    arguments
        As parsed, see `patchbatch.transfer.cli.build_parser`; `features` is a feature file, or a folder with
        a folder of photographs for each person.
    kind
        Which scorer is meant: "cosine", "jb" or "siamese".
    inputs
        Of an embedding from an ONNX or TorchScript file.

    Raises
    ------
    PatchBatchError
        Options that do not go together, and all that readers, scorers and writers refuse. Files are written
        last, each whole or not at all.
    """
    if arguments.output is not None:
        check_scores_name(arguments.output)
    if arguments.report is not None:
        check_folder(arguments.report)
    data = _read(arguments, inputs)
    fit = _Fit(arguments, kind)
    if arguments.splits:
        labels = _labels(arguments, data)
        row_fold = deal_folds(labels, arguments.folds, arguments.seed)
        drawn = make_pairs(labels, arguments.count, row_fold=row_fold, seed=arguments.seed)
        judged = verify_splits(fit, data.features, labels, row_fold, drawn)
        pairs = PairList(drawn.first, drawn.second, drawn.same, drawn.fold)
        yield from _finish(arguments, fit, data, pairs, judged.scores, judged, None)
        return
    pairs, why_not = _pairs(arguments, data)
    scorer = _scorer(arguments, fit, data)
    scores = score_pairs(scorer, data.features, pairs.first, pairs.second)
    result = None if pairs.same is None else _judge(pairs, pairs.same, scores, arguments.folds)
    yield from why_not
    yield from _finish(arguments, fit, data, pairs, scores, result, scorer)


def _read(arguments: argparse.Namespace, inputs: InputSettings | None) -> _Data:
    if Path(arguments.features).is_dir():
        return _embedded(arguments, inputs)
    tested = read_features(arguments.features, arguments.labels)
    images = None
    if arguments.images is not None:
        images = read_image_list(arguments.images, len(tested.features))
    if arguments.train is None:
        return _Data(tested.features, _numbered(tested), None, images)
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
    return _Data(
        tested.features, _numbered(tested), FeatureSet(train.features, _numbered(train)), images
    )  # fmt: skip


def _embedded(arguments: argparse.Namespace, inputs: InputSettings | None) -> _Data:
    """Embed the photographs of a folder of people."""
    # torch takes seconds to import, and feature files do not need it.
    from patchbatch.transfer.embeddings.detection import load_detector  # noqa: PLC0415
    from patchbatch.transfer.embeddings.photographs import embed_files, list_people  # noqa: PLC0415
    from patchbatch.transfer.embeddings.sources import load_embedding  # noqa: PLC0415

    people = list_people(arguments.features)
    embedding = load_embedding(arguments.embedding, inputs=inputs, device=arguments.device)
    detector = None if arguments.detector is None else load_detector(arguments.detector)
    features = embed_files(embedding, people.paths, detector).astype(np.float64)
    found = FeatureSet(features, np.array(people.names))
    return _Data(features, _numbered(found), None, list(people.paths))


def _numbered(data: FeatureSet) -> Integers | None:
    """Return the classes of a file as numbers from 0."""
    return None if data.labels is None else np.unique(data.labels, return_inverse=True)[1].astype(np.int64)


def _pairs(arguments: argparse.Namespace, data: _Data) -> tuple[PairList, list[str]]:
    """Return the pairs, and a line where they are scored and not judged."""
    if arguments.pairs is None:
        drawn = make_pairs(_labels(arguments, data), arguments.count, arguments.folds, seed=arguments.seed)
        return PairList(drawn.first, drawn.second, drawn.same, drawn.fold), []
    given = read_pair_list(arguments.pairs, len(data.features))
    same, why_not = given.same, ""
    if same is None and data.labels is not None:
        same = data.labels[given.first] == data.labels[given.second]
        # They were asked to be scored, and nobody said that they can be judged.
        if min(np.count_nonzero(same), np.count_nonzero(~same)) < 2:
            same, why_not = None, "by the labels they are of one kind"
    elif same is None:
        why_not = f"{arguments.pairs} does not say which pairs are the same"
    if same is None and arguments.output is None:
        raise PatchBatchError(
            f"{why_not}, so there is nothing to report; give -o to write scores, or --labels"
        )
    if same is not None:
        fold = np.zeros(len(same), np.int64) if given.fold is None else given.fold
        try:
            check_pairs(Pairs(given.first, given.second, same, fold), data.labels)
        except PatchBatchError as error:
            raise PatchBatchError(f"{arguments.pairs}: {error}") from None
    pairs = PairList(given.first, given.second, same, given.fold)
    return pairs, [f"the {len(given.first)} pairs are scored and not judged: {why_not}"] if why_not else []


def _labels(arguments: argparse.Namespace, data: _Data) -> Integers:
    if data.labels is None:
        raise PatchBatchError(f"{arguments.features} has no labels; give --labels or --pairs")
    return data.labels


def _scorer(arguments: argparse.Namespace, fit: _Fit, data: _Data) -> Scorer:
    if arguments.model is not None:
        return JointBayesian.load(arguments.model)
    if data.train is None or data.train.labels is None:
        return Cosine()
    return fit(data.train.features, data.train.labels)


def _judge(pairs: PairList, same: Booleans, scores: Floats, folds: int) -> Verification:
    fold = pairs.fold
    if fold is None:  # in turn within each kind, so that every fold has both
        fold = np.empty(same.size, np.int64)
        for one_kind in (same, ~same):
            fold[one_kind] = np.arange(one_kind.sum()) % folds
    return cross_validate(scores, Pairs(pairs.first, pairs.second, same, fold))


def _finish(
    arguments: argparse.Namespace,
    fit: _Fit,
    data: _Data,
    pairs: PairList,
    scores: Floats,
    result: Verification | None,
    scorer: Scorer | None,
) -> Iterator[str]:
    """Report and write; the report is made first, because it may refuse."""
    report: dict[str, Any] = {"scorer": fit.kind, "pairs": len(scores)}
    if fit.chosen:
        report["chosen"] = fit.told()
    if result is not None:
        report |= _report(result, arguments.far)
        yield from _lines(report)
    elif arguments.report is not None:
        raise PatchBatchError("--report shows how pairs are judged, and these are not; leave it out")
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
    if arguments.report is not None and result is not None:
        rows = np.stack([pairs.first, pairs.second], axis=1)
        write_page(arguments.report, list(_lines(report)), result, rows, data.images)
        yield f"wrote {arguments.report / 'index.html'}"


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
        "per_fold": [
            {"fold": int(fold), "threshold": float(threshold), "accuracy": float(right)}
            for fold, threshold, right in zip(result.folds, result.thresholds, result.accuracies, strict=True)
        ],
    }


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"scorer     {report['scorer']}"
    for chosen in report.get("chosen", []):
        yield f"chosen     {chosen}"
    different = report["pairs"] - report["same"]
    yield f"pairs      {report['same']} same, {different} not same, in {report['folds']} folds"
    yield f"accuracy   {100 * report['accuracy']:.2f} ± {100 * report['standard_error']:.2f} %"
    yield f"EER        {100 * report['eer']:.2f} %"
    yield f"ROC area   {report['area']:.4f}"
    for far, tar in report["tar_at_far"].items():
        yield f"TAR        {100 * tar:.2f} % at FAR {100 * float(far):g} %"
    yield f"threshold  {report['threshold']:.6g} (most right on all these pairs)"
