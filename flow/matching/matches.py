"""The one form in which matches travel between the stages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Matches:
    """N point pairs between two images.

    Attributes
    ----------
    points1, points2
        `(N, 2)` float32, x then y, in pixels of image 1 and image 2; pixel centres are whole numbers.
    cost
        `(N,)` float32, descriptor distance of each pair, lower is better.
    confidence
        `(N,)` float32 in [0, 1], higher is better.
    asked
        Points of image 1 that a match was looked for, also those that none is believed of; None where that is
        not known, as of matches that somebody brings.
    """

    points1: NDArray[np.float32]
    points2: NDArray[np.float32]
    cost: NDArray[np.float32]
    confidence: NDArray[np.float32]
    asked: int | None = None

    def __len__(self) -> int:
        return len(self.points1)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Displacements `points2 - points1`, `(N, 2)` float32 in pixels."""
        return self.points2 - self.points1

    @property
    def matched(self) -> float:
        """Share of the points asked that have a match, in [0, 1]; 1 of an unknown number, if any has."""
        return len(self) / self.asked if self.asked else float(len(self) > 0)

    def select(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Matches:
        """Return the matches that a boolean mask or an index array picks, in that order."""
        return Matches(
            self.points1[keep], self.points2[keep], self.cost[keep], self.confidence[keep], self.asked
        )
