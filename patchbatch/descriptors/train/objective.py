"""From described points of two crops and their true matches to a training loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from patchbatch.descriptors.losses.softmax import SoftmaxMatching
from patchbatch.descriptors.losses.table import make_loss
from patchbatch.descriptors.train.settings import ObjectiveSettings


@dataclass(frozen=True)
class Described:
    """Points of one crop: descriptors `(N, D)` and places `(N, 2)` (x, y) in px, whole numbers.

    A network that joins scales adds what the finest says by itself, `alone` `(N, D)`.
    """

    descriptors: Tensor
    places: Tensor
    alone: Tensor | None = None

    def finest(self) -> Described:
        """Return the points as the finest scale alone describes them."""
        return self if self.alone is None else Described(self.alone, self.places)


@dataclass(frozen=True)
class PointMatches:
    """True matches between described points, one row each.

    Attributes
    ----------
    source, match
        `(M,)` int64, row of the point in set 1 and of its match in set 2.
    target
        `(M, 2)` float32, the exact place in px that the point moves to.
    wrong
        `(M,)` int64, row in set 2 of a sampled non-match.
    """

    source: Tensor
    match: Tensor
    target: Tensor
    wrong: Tensor

    def to(self, device: torch.device) -> PointMatches:
        """Return the same on a device."""
        return PointMatches(*(t.to(device) for t in (self.source, self.match, self.target, self.wrong)))


def points_loss(
    set1: Described, set2: Described, matches: PointMatches, settings: ObjectiveSettings,
    teacher: tuple[Described, Described] | None = None,
) -> Tensor:  # fmt: skip
    """Loss of one pair of crops.

    Parameters
    ----------
    set1, set2
        The described points of both crops.
    matches
        Which of them belong together; at least one.
    settings
        See `ObjectiveSettings`.
    teacher
        The same points as another network describes them. Then `settings.distill` of the loss is the
        divergence between what the teacher and what this network takes for the match.

    Returns
    -------
    Tensor
        A scalar, float32.
    """
    loss = (_pair_loss if settings.of_pairs else _softmax_both_ways)(set1, set2, matches, settings)
    if teacher is None:
        return loss
    return (1 - settings.distill) * loss + settings.distill * _divergence(
        set1, set2, teacher, matches, settings
    )


@torch.no_grad()
def harder(set1: Described, set2: Described, matches: PointMatches, settings: ObjectiveSettings) -> Tensor:
    """Replace the first `settings.hard` of the non-matches by the nearest wrong points of set 2, `(M,)`."""
    count = round(settings.hard * len(matches.source))
    queries = set1.descriptors[matches.source[:count]].float()
    apart = torch.cdist(queries, set2.descriptors.float())
    left_out = _too_close(set2.places, matches.target[:count], settings.exclude)
    left_out[torch.arange(count), matches.match[:count]] = True
    nearest = apart.masked_fill(left_out, torch.inf).argmin(dim=1)
    return torch.cat([nearest, matches.wrong[count:]])


def distance(a: Tensor, b: Tensor) -> Tensor:
    """L2 distance of descriptors `(N, D)` row by row -> `(N,)`, with a finite gradient at 0."""
    return ((a.float() - b.float()).square().sum(dim=1) + 1e-8).sqrt()


def _pair_loss(
    set1: Described, set2: Described, matches: PointMatches, settings: ObjectiveSettings
) -> Tensor:
    queries = set1.descriptors[matches.source]
    wrong = matches.wrong if settings.hard == 0 else harder(set1, set2, matches, settings)
    positive = distance(queries, set2.descriptors[matches.match])
    negative = distance(queries, set2.descriptors[wrong])
    return make_loss(settings.loss, **dict(settings.options))(positive, negative)


def _softmax_both_ways(
    set1: Described, set2: Described, matches: PointMatches, settings: ObjectiveSettings
) -> Tensor:
    forward, backward = _similarities(set1, set2, matches, settings)
    surprise = SoftmaxMatching(temperature=1.0)  # the similarities are divided by it already
    return 0.5 * (surprise(forward, matches.match) + surprise(backward, matches.source))


def _similarities(
    set1: Described, set2: Described, matches: PointMatches, settings: ObjectiveSettings
) -> tuple[Tensor, Tensor]:
    """Scaled similarities of the matched points of each set to all points of the other; -inf: left out."""
    a, b = set1.descriptors, set2.descriptors
    forward, backward = a[matches.source] @ b.T, b[matches.match] @ a.T
    rows = torch.arange(len(matches.source), device=a.device)
    scaled = []
    for similarity, places, target, match in (
        (forward, set2.places, matches.target, matches.match),
        (backward, set1.places, set1.places[matches.source], matches.source),
    ):
        left_out = _too_close(places, target, settings.exclude)
        left_out[rows, match] = False
        scaled.append((similarity.float() / settings.temperature).masked_fill(left_out, -torch.inf))
    return scaled[0], scaled[1]


def _divergence(
    set1: Described, set2: Described, teacher: tuple[Described, Described], matches: PointMatches,
    settings: ObjectiveSettings,
) -> Tensor:  # fmt: skip
    own = _similarities(set1, set2, matches, settings)
    with torch.no_grad():
        taught = _similarities(*teacher, matches, settings)
    each = [
        F.kl_div(_log_shares(mine), _log_shares(theirs), reduction="batchmean", log_target=True)
        for mine, theirs in zip(own, taught, strict=True)
    ]
    return 0.5 * (each[0] + each[1])


def _log_shares(similarity: Tensor) -> Tensor:
    # What is left out has no share on either side; a finite floor keeps 0 times infinity away.
    return F.log_softmax(similarity, dim=1).clamp(min=-100.0)


def _too_close(places: Tensor, target: Tensor, limit: float) -> Tensor:
    """`(M, N)` bool: which places lie closer than `limit` px to each target."""
    dx, dy = places[:, 0] - target[:, :1], places[:, 1] - target[:, 1:]
    return dx.square() + dy.square() < limit**2
