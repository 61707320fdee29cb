"""The estimators of local motion models by name."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.tables import Entry, Table


@dataclass(frozen=True)
class Estimator(Entry):
    """A way to fit a motion model to the matches around each match.

    Attributes
    ----------
    name, help, settings
        As of every `Entry`.
    target
        A function `(points, vectors, index, weights, settings) -> models`, see `estimators`.
    epicflow
        Whether it comes with the settings that EpicFlow's authors used, not with the project's own.
    """

    epicflow: bool = False


ESTIMATORS = Table(
    "estimator",
    [
        Estimator(
            "robust",
            "the default: the affine model that most neighbours agree with, refitted to those",
            "flow.interpolation.estimators.robust:robust_affine",
        ),
        Estimator(
            "affine",
            "EpicFlow's: affine least squares, with its settings",
            "flow.interpolation.estimators.least_squares:locally_weighted_affine",
            epicflow=True,
        ),
        Estimator(
            "nadaraya-watson",
            "EpicFlow's -nw: the weighted mean of the neighbours, no slopes",
            "flow.interpolation.estimators.least_squares:nadaraya_watson",
            epicflow=True,
        ),
    ],
)
DEFAULT_ESTIMATOR = "robust"
