"""The multiverse head on made classes: effective rank, accuracy and agreement by the number of copies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown, number
from patchbatch.settings import Settings, setting
from patchbatch.transfer.multiverse.diagnostics import diagnose
from patchbatch.transfer.multiverse.head import MultiverseHead, MultiverseSettings
from patchbatch.transfer.multiverse.networks import MultiverseNet
from patchbatch.transfer.multiverse.train import NetTrainSettings, train_net
from patchbatch.transfer.spectra import EFFECTIVE_RANKS, effective_rank, singular_values

HEAD = MultiverseSettings(weight_penalty=5e-4, orthogonality=1e-2)
TRAINING = NetTrainSettings(epochs=60, batch=256, learning_rate=0.1, momentum=0.9, weight_decay=2e-3)


@dataclass(frozen=True)
class ClassSettings(Settings):
    """Made classes: Gaussian clouds in a latent space, seen through a bent map, and the network for them.

    Attributes
    ----------
    classes
        Number of classes. More than `features`, else orthogonal copies cost nothing (Theorem 2).
    latent
        Dimensions in which the classes differ: fewer than `features`.
    spread
        Deviation of a class around its mean, per latent dimension; that of the means is 1.
    inputs
        Width of what the network sees: tanh of random combinations of the latent values.
    noise
        Deviation added to each input value.
    train_samples, test_samples
        Of each class.
    hidden
        Width of the network's two hidden layers.
    features
        Width of the representation.
    """

    classes: int = setting(80, least=1)
    latent: int = setting(20, least=1)
    spread: float = setting(0.5, least=0)
    inputs: int = setting(40, least=1)
    noise: float = setting(0.1, least=0)
    train_samples: int = setting(50, least=1)
    test_samples: int = setting(25, least=1)
    hidden: int = setting(128, least=1)
    features: int = setting(64, least=1)


@dataclass(frozen=True)
class Samples:
    """Inputs `(N, inputs)` float32 and class numbers `(N,)`, for training and held out."""

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


def run(copies: Sequence[int], seeds: int, epochs: int) -> dict[str, Any]:
    """Train for every number of copies and every seed.

    Returns
    -------
    dict
        "rows", one for each run; "means" over the seeds, one for each kind of head, with the "spread"
        (standard deviation) of the entropy rank; "settings" and "environment". The kinds are the numbers of
        copies and, if it is more than 1, the largest S_w-orthogonal and without the orthogonality term.
    """
    kinds = [(f"m = {m}", m, HEAD) for m in copies]
    most = max(copies)
    if most > 1:
        kinds.append((f"m = {most}, S_w-orthogonal", most, replace(HEAD, inner_product="within")))
        kinds.append((f"m = {most}, λ2 = 0", most, replace(HEAD, orthogonality=0.0)))
    training = replace(TRAINING, epochs=epochs)
    rows: list[dict[str, Any]] = []
    accuracy = Figure("test accuracy", higher=True)
    with Progress(len(kinds) * seeds, "run", accuracy, strict=True) as progress:
        for kind in kinds:
            for seed in range(seeds):
                with progress.trying(f"{kind[0]}, seed {seed}"):
                    rows.append(_row(*kind, replace(training, seed=seed)))
                    progress.tell({kind[0]: 100 * rows[-1]["test accuracy"]})
    return {
        "rows": rows,
        "means": [_mean(rows[first : first + seeds]) for first in range(0, len(rows), seeds)],
        "settings": {"classes": asdict(ClassSettings()), "head": asdict(HEAD), "training": asdict(training)},
        "environment": describe_environment("cpu"),
    }


def format_table(report: dict[str, Any]) -> str:
    """Return the means over the seeds as a Markdown table."""
    rows = report["means"]
    names = [name for name in rows[0] if name not in ("head", "copies")]
    cells = [[row["head"], *(number(row[name], 3) for name in names)] for row in rows]
    return markdown(["head", *names], cells)


def make_samples(settings: ClassSettings, seed: int) -> Samples:
    """Draw classes and their samples."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    means = normal(settings.classes, settings.latent)
    mixing = normal(settings.latent, settings.inputs) / settings.latent**0.5

    def draw(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(settings.classes).repeat_interleave(count)
        values = means[labels] + settings.spread * normal(len(labels), settings.latent)
        return (values @ mixing).tanh() + settings.noise * normal(len(labels), settings.inputs), labels

    return Samples(*draw(settings.train_samples), *draw(settings.test_samples))


def make_net(settings: ClassSettings, copies: int, head: MultiverseSettings, seed: int) -> MultiverseNet:
    """Return an untrained network of two hidden layers with one multiverse head behind its representation."""
    hidden, features = settings.hidden, settings.features
    # The same trunk for any number of copies: drawn before the head.
    torch.manual_seed(seed)
    trunk = nn.Sequential(
        nn.Linear(settings.inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, features),
    )  # fmt: skip
    return MultiverseNet(trunk, {"4": MultiverseHead(features, settings.classes, copies, head)})


def _row(name: str, copies: int, head: MultiverseSettings, training: NetTrainSettings) -> dict[str, Any]:
    settings = ClassSettings()
    samples = make_samples(settings, training.seed)
    net = make_net(settings, copies, head, training.seed)
    start = time.perf_counter()
    train_net(net, samples.train_inputs, samples.train_labels, training)
    seconds = time.perf_counter() - start
    labels = {"head": name, "copies": copies, "seed": training.seed}
    return labels | _figures(net, samples) | {"seconds": seconds}


@torch.no_grad()
def _figures(net: MultiverseNet, samples: Samples) -> dict[str, float]:
    (head,) = net.heads.values()
    assert isinstance(head, MultiverseHead)  # noqa: S101 - type
    seen, held_out = net(samples.train_inputs), net(samples.test_inputs)
    values = singular_values(held_out)
    found = asdict(diagnose(head, held_out))
    return {
        **{f"{kind} rank": effective_rank(values, kind=kind) for kind in EFFECTIVE_RANKS},
        "train accuracy": _accuracy(head.predict(seen), samples.train_labels),
        "test accuracy": _accuracy(head.predict(held_out), samples.test_labels),
        **{name.replace("_", " "): value for name, value in found.items()},
    }


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).double().mean())


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of rows of one kind, and how far the entropy rank spreads."""
    labels = ("head", "copies", "seed")
    means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0] if name not in labels}
    spread = statistics.pstdev(row["entropy rank"] for row in rows)
    return {"head": rows[0]["head"], "copies": rows[0]["copies"], "spread": spread, **means}
