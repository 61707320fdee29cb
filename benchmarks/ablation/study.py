"""The ablation of the talk at a small budget: spring or centrifuge, SD or not, which normalisation."""

from __future__ import annotations

import itertools
import logging
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.environment import describe_environment
from patchbatch.descriptors.network.config import PatchNetConfig
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import Batch, BatchLoss
from patchbatch.descriptors.train.objective import ObjectiveSettings, distance
from patchbatch.descriptors.train.sampling import PairSource, SourceSettings
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)

LOSSES = ("drlim", "drlim+sd", "cent", "cent+sd")
NORMALIZATIONS = ("fine-grained", "per-channel")
# A quarter of the paper's channels: twenty-four runs have to fit into half an hour of two cores.
CHANNELS = (8, 16, 32, 64, 128)
HELD_OUT_SCENES = 40
FIGURES = ("rank1", "fpr95", "near-fpr95")


@dataclass(frozen=True)
class AblationSettings:
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

    steps: int = 400
    pairs: int = 4
    points: int = 48
    seeds: int = 3
    scenes: int = 400
    margin: float = 100.0
    balance: float = 0.8

    def __post_init__(self) -> None:
        for name in ("steps", "pairs", "points", "seeds", "scenes"):
            if getattr(self, name) < 1:
                raise PatchBatchError(f"{name} is {getattr(self, name)}; give 1 or more")


def run(photos: Sequence[Path], settings: AblationSettings) -> dict[str, Any]:
    """Train and score every variant; return {"rows", "settings", "environment"}.

    A row holds "loss", "normalization", "runs" (figures of each seed), and the mean and the standard
    deviation over the seeds of each figure in percent: "rank1" (nearest of all points described in the other
    crop is the match, the higher the better), "fpr95" (non-matches from elsewhere in the crop below the
    distance that 95 % of the matches keep) and "near-fpr95" (the same for non-matches 1 to 8 px off).
    """
    look = SourceSettings(crop=160, street=0, real=0)
    scenes = _load(PairSource(photos, [], [], look, 0, settings.scenes))
    held_out = _load(PairSource(photos, [], [], look, 2**31, HELD_OUT_SCENES, held_out=True))
    rows = []
    for loss, normalization in itertools.product(LOSSES, NORMALIZATIONS):
        runs = []
        for seed in range(settings.seeds):
            trained = _train(loss, normalization, seed, scenes, settings)
            runs.append(_score(trained, held_out))
            log.info("%s, %s, seed %d: %s", loss, normalization, seed, runs[-1])
        rows.append({"loss": loss, "normalization": normalization, "runs": runs} | _summary(runs))
    return {"rows": rows, "settings": asdict(settings), "environment": describe_environment("cpu")}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, mean ± standard deviation."""
    lines = [f"| loss | normalisation | {' | '.join(FIGURES)} |", "| --- | --- |" + " ---: |" * len(FIGURES)]
    for row in rows:
        cells = [f"{row[name]['mean']:.1f} ± {row[name]['deviation']:.1f}" for name in FIGURES]
        lines.append(f"| {row['loss']} | {row['normalization']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "mean": statistics.fmean(run[name] for run in runs),
            "deviation": statistics.stdev(run[name] for run in runs) if len(runs) > 1 else 0.0,
        }
        for name in FIGURES
    }


def _load(source: PairSource) -> list[tuple[Tensor, ...]]:
    return [tuple(torch.from_numpy(part) for part in source[index]) for index in range(len(source))]


def _batch(scenes: Sequence[tuple[Tensor, ...]], numbers: Sequence[int]) -> Batch:
    image1, image2, flow, visible = (
        torch.stack(parts) for parts in zip(*(scenes[n] for n in numbers), strict=True)
    )
    return image1, image2, flow, visible


def _train(
    loss: str, normalization: str, seed: int, scenes: Sequence[tuple[Tensor, ...]], settings: AblationSettings
) -> BatchLoss:
    torch.manual_seed(seed)
    net = PatchNet(PatchNetConfig(channels=CHANNELS, normalization=normalization))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    options: dict[str, float] = {"margin": settings.margin}
    if loss.endswith("+sd"):
        options["balance"] = settings.balance
    objective = ObjectiveSettings(loss=loss, options=tuple(options.items()), points=settings.points)
    model = BatchLoss(net, objective, bfloat16=True, seed=seed)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, settings.steps, pct_start=0.1)
    order = np.random.default_rng(seed)
    for step in range(settings.steps):
        chosen = order.choice(len(scenes), min(settings.pairs, len(scenes)), replace=False).tolist()
        numbers = list(range(step * settings.pairs, step * settings.pairs + len(chosen)))
        value = model(_batch(scenes, chosen), numbers)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    net.eval()
    return model


@torch.inference_mode()
def _score(model: BatchLoss, held_out: Sequence[tuple[Tensor, ...]]) -> dict[str, float]:
    hits, matching, elsewhere, near = [], [], [], []
    for number in range(0, len(held_out), 4):
        rows = range(number, min(number + 4, len(held_out)))
        for set1, set2, matches in model.described(_batch(held_out, rows), list(rows)):
            queries = set1.descriptors[matches.source]
            hits.append(torch.cdist(queries, set2.descriptors).argmin(dim=1) == matches.match)
            matching.append(distance(queries, set2.descriptors[matches.match]))
            near.append(distance(queries, set2.descriptors[matches.wrong]))
            elsewhere.append(distance(queries, set2.descriptors[matches.match.roll(1)]))
    limit = torch.cat(matching).quantile(0.95)
    shares = (torch.cat(hits), torch.cat(elsewhere) <= limit, torch.cat(near) <= limit)
    return {name: 100 * float(share.float().mean()) for name, share in zip(FIGURES, shares, strict=True)}
