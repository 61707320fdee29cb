"""LFW's pairs through every verifier, on hand-made features: what learned verification is worth by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import describe_environment
from benchmarks.faces.hog import HogSettings, hog
from benchmarks.faces.settings import SOURCE_FOLDS, TEST_FOLDS
from benchmarks.progress import Figure, Progress
from benchmarks.report import check_plot, markdown, number
from patchbatch.data.files import FilePath, atomic_path
from patchbatch.errors import PatchBatchError
from patchbatch.progress import tell
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.lfw import Lfw, read_view2
from patchbatch.transfer.verification.protocol import (
    Verification,
    cross_validate,
    verify,
    verify_source,
    verify_splits,
)
from patchbatch.transfer.verification.roc import equal_error_rate, tar_at_far
from patchbatch.transfer.verification.scorers import (
    Cosine,
    Features,
    Projected,
    Projection,
    Scorer,
    average_scores,
    concatenate_features,
)
from patchbatch.transfer.verification.siamese import SiameseSettings, SiameseVerifier

# The second histogram of the ensembles: finer cells, other angles.
HOG, OTHER_HOG = HogSettings(), HogSettings(orientations=9, cell=8)
RANKS = (50, 100, 200)  # principal components in front of Joint Bayesian
RANK = 100
FAR = 0.01  # 1,500 not-same pairs: a rate of 15 of them
# Chosen by training on folds 6 to 8 and testing on 9 and 10.
SIAMESE = (SiameseSettings(), SiameseSettings(loss="contrastive", margin=5.0))


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    verifier: str
    features: str
    trained_on: str  # folds
    result: Verification
    seconds: float  # of processor time, learning and scoring, without the features


def run(root: FilePath, images: FilePath | None = None) -> list[Outcome]:
    """Verify with everything there is.

    Parameters
    ----------
    root, images
        As `patchbatch.transfer.verification.lfw.read_view2` takes them.

    Raises
    ------
    PatchBatchError
        The lists or an image cannot be read, or folds 1 to 10 are not all there.
    """
    lfw = read_view2(root, images)
    if not set(TEST_FOLDS + SOURCE_FOLDS) <= set(lfw.pairs.fold.tolist()):
        raise PatchBatchError(f"{root} has not the ten folds of View 2; use the official lists")
    found, features = [], []
    # Histograms; cosines; Joint Bayesian by rank and by EM; Siamese heads; the ensembles; splits.
    total = 2 + 2 + len(RANKS) + 1 + len(SIAMESE) + 3 + 2
    with Progress(total, "row", Figure("accuracy", higher=True), strict=True) as progress:
        for settings in (HOG, OTHER_HOG):
            with progress.trying(f"histograms, {_name(settings)}"):
                features.append(_histograms(lfw, settings))
        for outcome in chain(_cosines(lfw, features[0]), _learned(lfw, features), _splits(lfw, features[0])):
            with progress.trying(f"{outcome.verifier}, {outcome.features}"):
                progress.tell({"all rows": 100 * outcome.result.accuracy})
                found.append(outcome)
    return found


def _histograms(lfw: Lfw, settings: HogSettings) -> Features:
    """Return the histograms of all faces, one row each."""
    rows = []
    for face in range(len(lfw.faces)):
        rows.append(hog(lfw.read_grey(face), settings))
        tell("faces", face + 1, len(lfw.faces))
    return np.stack(rows)


def make_report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return {"rows", "environment"}: accuracies, errors and rates in percent, of folds 1 to 5 or 6 to 10."""
    return {"rows": [_row(outcome) for outcome in outcomes], "environment": describe_environment("cpu")}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    names = ("accuracy", "EER", f"TAR at FAR {FAR:.0%}", "area", "processor s")
    header = ["verifier", "features", "trained on folds", "tested on", *names]
    return markdown(header, [_cells(row, names[1:]) for row in rows], labels=4)


def _cells(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    labels = [row["verifier"], row["features"], row["trained on"], row["tested on"]]
    accuracy = f"{row['accuracy']:.1f} ± {row['standard error']:.1f}"
    return [*labels, accuracy, *(number(row[name], 1) for name in names)]


def plot_roc(outcomes: Sequence[Outcome], path: FilePath) -> None:
    """Draw the ROC curves of the rows tested on folds 1 to 5, FAR on a logarithmic axis.

    Raises
    ------
    PatchBatchError
        If matplotlib is missing or knows no such format, or the file cannot be written.
    """
    check_plot("--plot", path)
    from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)

    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.subplots()
    shown = [outcome for outcome in outcomes if outcome.result.folds.tolist() == list(TEST_FOLDS)]
    for place, outcome in enumerate(shown):
        roc, label = outcome.result.roc, f"{outcome.verifier}, {outcome.features}"
        line = "-" if place < 10 else "--"  # ten colours, then they come again
        axes.step(roc.far, roc.tar, where="post", linestyle=line, label=label)
    axes.set(xscale="log", xlim=(1 / 1500, 1), ylim=(0, 1), xlabel="FAR", ylabel="TAR")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def _cosines(lfw: Lfw, features: Features) -> Iterator[Outcome]:
    pairs = lfw.pairs.of_folds(TEST_FOLDS)
    centre = features[_source(lfw)].mean(axis=0)
    for name, trained_on, scorer in (("cosine", "", Cosine()), ("cosine, centred", "6–10", Cosine(centre))):
        yield _timed(name, _name(HOG), trained_on, lambda s=scorer: verify(s, features, pairs))  # type: ignore[misc]


def _learned(lfw: Lfw, histograms: Sequence[Features]) -> Iterator[Outcome]:
    """Learn on folds 6 to 10, test on folds 1 to 5."""
    source = _source(lfw)
    # Components are nested, so the widest projection serves all ranks; nothing of the test is in it.
    one, other = (Projection(max(RANKS)).fit(x[source]).transform(x) for x in histograms)
    names = [_name(settings) for settings in (HOG, OTHER_HOG)]
    yield from (_joint_bayesian(lfw, one, names[0], rank) for rank in RANKS)
    yield _joint_bayesian(lfw, one, names[0], RANK, "em")
    for settings in SIAMESE:
        yield _siamese(lfw, one, names[0], settings)
    alone = _joint_bayesian(lfw, other, names[1], RANK)
    yield alone
    first = _joint_bayesian(lfw, one, names[0], RANK)
    mean = average_scores(first.result.scores, alone.result.scores)
    pairs = lfw.pairs.of_folds(TEST_FOLDS)
    both = " and ".join(names)
    yield _timed(f"mean of the scores of JB, {RANK}", both, "6–10", lambda: cross_validate(mean, pairs))
    yield _joint_bayesian(lfw, concatenate_features(one, other), f"{both}, side by side", RANK)


def _splits(lfw: Lfw, features: Features) -> Iterator[Outcome]:
    """Learn on four of the folds 6 to 10 and test on the fifth."""
    pairs = lfw.pairs.of_folds(SOURCE_FOLDS)

    def centred(x: Features, labels: NDArray[np.int64]) -> Scorer:
        return Cosine(x.mean(axis=0))

    def joint_bayesian(x: Features, labels: NDArray[np.int64]) -> Scorer:
        projection = Projection(RANK).fit(x)
        return Projected(projection, JointBayesian().fit(projection.transform(x), labels))

    for name, fit in (
        ("cosine, centred, splits", centred),
        (f"JB, {RANK} components, splits", joint_bayesian),
    ):
        yield _timed(
            name, _name(HOG), "others of 6–10",
            lambda fit=fit: verify_splits(fit, features, lfw.labels, lfw.fold, pairs),  # type: ignore[misc]
        )  # fmt: skip


def _joint_bayesian(
    lfw: Lfw, features: Features, name: str, rank: int, method: str = "closed_form"
) -> Outcome:
    def fit(x: Features, labels: NDArray[np.int64]) -> Scorer:
        return JointBayesian(method, rank=rank).fit(x, labels)

    verifier = f"JB{' by EM' if method == 'em' else ''}, {rank} components"
    return _on_source(lfw, features, verifier, name, fit)


def _siamese(lfw: Lfw, features: Features, name: str, settings: SiameseSettings) -> Outcome:
    def fit(x: Features, labels: NDArray[np.int64]) -> Scorer:
        projection = Projection(RANK, whiten=True).fit(x)
        return Projected(projection, SiameseVerifier(settings).fit(projection.transform(x), labels))

    return _on_source(lfw, features, f"Siamese head, {settings.loss}, {RANK} components", name, fit)


def _on_source(
    lfw: Lfw,
    features: Features,
    verifier: str,
    name: str,
    fit: Callable[[Features, NDArray[np.int64]], Scorer],
) -> Outcome:
    pairs, source = lfw.pairs.of_folds(TEST_FOLDS), _source(lfw)
    return _timed(verifier, name, "6–10", lambda: verify_source(fit, features, lfw.labels, source, pairs))


def _source(lfw: Lfw) -> NDArray[np.bool_]:
    return np.isin(lfw.fold, SOURCE_FOLDS)


def _timed(verifier: str, features: str, trained_on: str, judge: Callable[[], Verification]) -> Outcome:
    start = time.process_time()
    result = judge()
    return Outcome(verifier, features, trained_on, result, time.process_time() - start)


def _name(settings: HogSettings) -> str:
    return f"HOG {settings.orientations}/{settings.cell}/{settings.block}"


def _row(outcome: Outcome) -> dict[str, Any]:
    result, folds = outcome.result, outcome.result.folds
    return {
        "verifier": outcome.verifier,
        "features": outcome.features,
        "trained on": outcome.trained_on,
        "tested on": f"{folds[0]}–{folds[-1]}",
        "accuracy": 100 * result.accuracy,
        "standard error": 100 * result.standard_error,
        "fold accuracies": (100 * result.accuracies).tolist(),
        "EER": 100 * equal_error_rate(result.roc),
        f"TAR at FAR {FAR:.0%}": 100 * tar_at_far(result.roc, FAR),
        "area": 100 * result.roc.area,
        "processor s": outcome.seconds,
    }
