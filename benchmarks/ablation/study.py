"""The ablation of the talk at a small budget: spring or centrifuge, SD or not, which normalisation."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown
from benchmarks.scenes import Shuffled, in_memory
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import BatchLoss
from patchbatch.descriptors.train.loop import Trainer
from patchbatch.descriptors.train.objective import distance
from patchbatch.descriptors.train.samples.sources import PairSource, Sample
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings, TrainSettings
from patchbatch.settings import Settings, setting

LOSSES = ("drlim", "drlim+sd", "cent", "cent+sd")
NORMALIZATIONS = ("fine-grained", "per-channel")
# A quarter of the paper's channels: twenty-four runs have to fit into half an hour of two cores.
CHANNELS = (8, 16, 32, 64, 128)
HELD_OUT_SCENES = 40
FIGURES = ("rank1", "fpr95", "near-fpr95")


@dataclass(frozen=True)
class AblationSettings(Settings):
    """Budget and options that all variants share.

    Attributes
    ----------
    steps, pairs, points
        Updates, crop pairs per update, and matches per crop pair (each with one non-match).
    seeds
        Runs of each variant; the seed sets weights, order of scenes and points.
    scenes
        Made crop pairs, the same for all runs.
    margin, balance
        m and λ.
    """

    steps: int = setting(400, least=1)
    pairs: int = setting(4, least=1)
    points: int = setting(48, least=1)
    seeds: int = setting(3, least=1)
    scenes: int = setting(400, least=1)
    margin: float = setting(100.0, above=0)
    balance: float = setting(0.8, least=0, most=1)


def run(photos: Sequence[Path], settings: AblationSettings) -> dict[str, Any]:
    """Train and score every variant; return {"rows", "settings", "environment"}.

    A row holds "loss", "normalization", "runs" (figures of each seed), and the mean and the standard
    deviation over the seeds of each figure in percent: "rank1" (nearest of all points described in the other
    crop is the match, the higher the better), "fpr95" (non-matches from elsewhere in the crop below the
    distance that 95 % of the matches keep) and "near-fpr95" (the same for non-matches 1 to 8 px off).
    """
    look = SourceSettings(crop=160, street=0, real=0)
    scenes = in_memory(PairSource(photos, [], [], look, 0, settings.scenes))
    held_out = in_memory(PairSource(photos, [], [], look, 2**31, HELD_OUT_SCENES, held_out=True))
    rows, kinds = [], list(itertools.product(LOSSES, NORMALIZATIONS))
    rank = Figure("rank1", decimals=1, higher=True)
    with Progress(len(kinds) * settings.seeds, "run", rank, strict=True, lines=True) as progress:
        for loss, normalization in kinds:
            runs = []
            for seed in range(settings.seeds):
                with progress.trying(f"{loss} {normalization} seed {seed}"):
                    trained = _train(loss, normalization, seed, scenes, settings)
                    runs.append(_score(trained, held_out))
                    progress.tell({f"{loss} {normalization}": runs[-1]["rank1"]})
            rows.append({"loss": loss, "normalization": normalization, "runs": runs} | _summary(runs))
    return {"rows": rows, "settings": settings.to_table(), "environment": describe_environment("cpu")}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, mean ± standard deviation."""
    cells = [
        [row["loss"], row["normalization"]]
        + [f"{row[name]['mean']:.1f} ± {row[name]['deviation']:.1f}" for name in FIGURES]
        for row in rows
    ]
    return markdown(["loss", "normalisation", *FIGURES], cells, labels=2)


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "mean": statistics.fmean(run[name] for run in runs),
            "deviation": statistics.stdev(run[name] for run in runs) if len(runs) > 1 else 0.0,
        }
        for name in FIGURES
    }


def _train(
    loss: str, normalization: str, seed: int, scenes: Sequence[Sample], settings: AblationSettings
) -> BatchLoss:
    torch.manual_seed(seed)
    net = PatchNet(PatchNetConfig(channels=CHANNELS, normalization=normalization))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    options: dict[str, float] = {"margin": settings.margin}
    if loss.endswith("+sd"):
        options["balance"] = settings.balance
    objective = ObjectiveSettings(loss=loss, options=tuple(options.items()), points=settings.points)
    schedule = TrainSettings(
        steps=settings.steps, batch=settings.pairs, warmup=-(-settings.steps // 10), seed=seed,
        report_every=settings.steps, validate_every=settings.steps,
    )  # fmt: skip
    order = Shuffled(scenes, seed, settings.steps * settings.pairs)
    trainer = Trainer(net, order, None, schedule, objective)
    trainer.run(workers=0)
    return trainer.batch_loss


@torch.inference_mode()
def _score(model: BatchLoss, held_out: Sequence[Sample]) -> dict[str, float]:
    hits, matching, elsewhere, near = [], [], [], []
    batches: DataLoader[Sample] = DataLoader(held_out, batch_size=4)  # type: ignore[arg-type]
    numbers = iter(range(len(held_out)))
    for batch in batches:
        rows = [next(numbers) for _ in batch[0]]
        for set1, set2, matches in model.described(batch, rows):
            queries = set1.descriptors[matches.source]
            hits.append(torch.cdist(queries, set2.descriptors).argmin(dim=1) == matches.match)
            matching.append(distance(queries, set2.descriptors[matches.match]))
            near.append(distance(queries, set2.descriptors[matches.wrong]))
            elsewhere.append(distance(queries, set2.descriptors[matches.match.roll(1)]))
    limit = torch.cat(matching).quantile(0.95)
    shares = (torch.cat(hits), torch.cat(elsewhere) <= limit, torch.cat(near) <= limit)
    return {name: 100 * float(share.float().mean()) for name, share in zip(FIGURES, shares, strict=True)}
