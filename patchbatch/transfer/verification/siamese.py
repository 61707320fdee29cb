"""A network in Joint Bayesian's place: a small Siamese head over features, trained on pairs.

Two samples go through the same layers, and what comes out is compared. With `loss="binary"` a linear layer on
the squared differences and the products gives a logit, so that without a hidden layer the head can be any
Joint Bayesian model; with `loss="contrastive"` the distance itself is trained (Hadsell, Chopra, LeCun, CVPR
2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from patchbatch.errors import PatchBatchError
from patchbatch.settings import Settings, setting
from patchbatch.transfer.checks import as_classes, as_samples, index_classes
from patchbatch.transfer.parameters import PairEstimator, not_fitted

LOSSES = ("binary", "contrastive")


@dataclass(frozen=True)
class SiameseSettings(Settings):
    """How a Siamese head is built and trained.

    Attributes
    ----------
    loss
        "binary" or "contrastive".
    embedding
        Numbers compared.
    hidden
        Units of a layer before them; 0 leaves it out and the embedding is linear.
    dropout
        Share of inputs switched off while training; 0 is off.
    margin
        Contrastive: distance beyond which a not-same pair costs nothing.
    steps, pairs
        Updates, and pairs of each kind in one.
    learning_rate
        Of Adam at the start; falls to 0 along a cosine.
    weight_decay
        Decoupled, per update times the learning rate; 0 is off.
    seed
        Of initial weights, pairs and dropout.
    """

    loss: str = setting("binary", choices=LOSSES)
    embedding: int = setting(64, least=1)
    hidden: int = setting(0, least=0)
    dropout: float = setting(0.0, least=0, below=1)
    margin: float = setting(1.0, above=0)
    steps: int = setting(1500, least=1)
    pairs: int = setting(256, least=1)
    learning_rate: float = setting(3e-3, above=0)
    weight_decay: float = setting(1e-3, least=0)
    seed: int = setting(0, least=0)


class SiameseHead(nn.Module):
    """Shared layers and a comparison.

    Parameters
    ----------
    features
        Width of the input.
    settings
        None takes the defaults.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, settings: SiameseSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SiameseSettings()
        size, hidden = self.settings.embedding, self.settings.hidden
        layers: list[nn.Module] = [nn.Dropout(self.settings.dropout)]
        if hidden:
            layers += [nn.Linear(features, hidden), nn.ELU()]
        self.embed = nn.Sequential(*layers, nn.Linear(hidden or features, size))
        self.compare = nn.Linear(2 * size, 1) if self.settings.loss == "binary" else None
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return `(N,)` scores of the pairs of rows of `a` and `b`, `(N, features)` each.

        A logit of "same" with the binary loss, minus the distance with the contrastive one. The order of the
        two does not matter.
        """
        one, other = (self.embed((x - self.mean) / self.scale) for x in (a, b))
        if self.compare is None:
            return -_distance(one, other)
        logits: Tensor = self.compare(torch.cat([(one - other).square(), one * other], dim=1))
        return logits.squeeze(1)

    def loss(self, scores: Tensor, same: Tensor) -> Tensor:
        """Return the mean loss of scored pairs.

        Parameters
        ----------
        scores
            `(N,)` from `forward`.
        same
            `(N,)` bool.
        """
        if self.compare is not None:
            return F.binary_cross_entropy_with_logits(scores, same.to(scores.dtype))
        distance = -scores
        beyond = (self.settings.margin - distance).clamp_min(0)
        return torch.where(same, distance.square(), beyond.square()).mean()


class SiameseVerifier(PairEstimator):
    """A Siamese head with `fit` and `score`, to be used where `JointBayesian` is.

    Parameters
    ----------
    settings
        None takes the defaults.

    Attributes
    ----------
    head_ : SiameseHead
        Trained.
    n_features_in_ : int
        Width of what it was trained on.
    """

    def __init__(self, settings: SiameseSettings | None = None) -> None:
        self.settings = settings

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on pairs drawn anew for every update: a class, two of its samples; two classes, one of each.

        Parameters
        ----------
        X
            `(N, D)` features.
        y
            `(N,)` the class of each, whole numbers or texts; only classes of two samples or more give same
            pairs.

        Raises
        ------
        PatchBatchError
            Values that are not finite, classes of another kind, one class only, or no class with two samples.
        """
        settings = self.settings or SiameseSettings()
        samples = as_samples(X)
        index = index_classes(as_classes(y, "y", len(samples)))[1]
        # Weights start from the seed without touching the caller's generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            head = SiameseHead(samples.shape[1], settings)
            _set_input_scale(head, samples)
            _train(head, torch.from_numpy(samples.astype(np.float32)), PairSampler(index, settings))
        self.head_ = head.eval()
        self.n_features_in_ = samples.shape[1]
        return self

    def _pair_scores(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
        if not hasattr(self, "head_"):
            raise not_fitted("the Siamese head is not trained; call fit first")
        one, other = (
            as_samples(x, name, width=self.n_features_in_, least=0, model="SiameseVerifier")
            for x, name in ((a, "X"), (b, "y"))
        )
        if len(one) != len(other):
            raise PatchBatchError(f"X has {len(one)} rows and y has {len(other)}; give pairs of rows")
        with torch.no_grad():
            scores = self.head_(*(torch.from_numpy(x.astype(np.float32)) for x in (one, other)))
        return np.asarray(scores.numpy(), np.float64)


class PairSampler:
    """Draws pairs of rows, as many of one class as of two.

    Parameters
    ----------
    index
        `(N,)` class of each row, 0 to K - 1.
    settings
        Its `pairs` and `seed` are used.
    """

    def __init__(self, index: NDArray[np.int64], settings: SiameseSettings) -> None:
        self.order = np.argsort(index, kind="stable")
        self.sizes = np.bincount(index)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.index, self.several = index, np.flatnonzero(self.sizes > 1)
        self.count, self.generator = settings.pairs, np.random.default_rng(settings.seed)

    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return rows `(2 * pairs,)`, `(2 * pairs,)` and whether they are of one class, same pairs first."""
        draw = self.generator
        of_class = draw.choice(self.several, self.count)
        one = draw.integers(self.sizes[of_class])
        step = draw.integers(1, self.sizes[of_class])
        other = (one + step) % self.sizes[of_class]
        same = [self.order[self.starts[of_class] + place] for place in (one, other)]
        # A row of another class: a step in class order that leads out of the class and around the end.
        first = draw.integers(self.index.size, size=self.count)
        own = self.index[first]
        away = draw.integers(self.index.size - self.sizes[own])
        second = self.order[(self.starts[own] + self.sizes[own] + away) % self.index.size]
        rows = [np.concatenate(pair) for pair in zip(same, (first, second), strict=True)]
        return rows[0], rows[1], np.repeat([True, False], self.count)


def _set_input_scale(head: SiameseHead, samples: NDArray[np.float64]) -> None:
    """Centre the input, and scale it as a whole to a mean variance of 1.

    One number for all directions: which of them matter is for the layers to learn.
    """
    head.mean.copy_(torch.from_numpy(samples.mean(axis=0)))
    head.scale.fill_(max(float(np.sqrt(samples.var(axis=0).mean())), 1e-12))


def _train(head: SiameseHead, samples: Tensor, sampler: PairSampler) -> None:
    settings = head.settings
    optimizer = torch.optim.AdamW(
        head.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    for _ in range(settings.steps):
        first, second, same = sampler.draw()
        loss = head.loss(head(samples[first], samples[second]), torch.from_numpy(same))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return Euclidean distances of rows; the small number keeps the slope finite at distance 0."""
    return (one - other).square().sum(dim=1).add(1e-12).sqrt()
