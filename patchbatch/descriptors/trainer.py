"""The training loop: updates, validation, checkpoints, resuming."""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from patchbatch.descriptors.network import PatchNet
from patchbatch.descriptors.objectives import ObjectiveSettings, grid_matches, pair_loss
from patchbatch.descriptors.sampling import PairSource
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to learn.

    Attributes
    ----------
    steps, batch
        Number of updates, and pairs per update.
    learning_rate
        Peak of the AdamW step size; it rises linearly over `warmup` steps and falls as a cosine.
    weight_decay
        Of AdamW.
    clip
        Largest gradient norm; longer gradients are shortened.
    seed
        Of the initial weights and of the samples.
    bfloat16
        Whether products are computed in bfloat16 (weights and statistics stay float32).
    validate_every, save_every
        Steps between validations and between checkpoints.
    """

    steps: int = 5000
    batch: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    clip: float = 5.0
    seed: int = 0
    bfloat16: bool = True
    validate_every: int = 250
    save_every: int = 100


def rate_at(step: int, settings: TrainSettings) -> float:
    """Learning rate of a step: linear rise, then half a cosine down to 1 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, settings.steps))))
    return settings.learning_rate * rise * (0.01 + 0.99 * fall)


def describe_crops(net: PatchNet, images: Tensor, stride: int, bfloat16: bool) -> Tensor:
    """Describe crops `(N, H, W)` on a grid of every `stride`-th pixel -> `(N, D, rows, columns)`."""
    batch = images[:, None].contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        return net.dense(batch, stride)


def batch_loss(
    net: PatchNet, batch: Batch, objective: ObjectiveSettings, bfloat16: bool, generator: torch.Generator
) -> Tensor:
    """Mean loss over the pairs of a batch that have enough matches; both images pass in one batch."""
    image1, image2, flow, visible = batch
    count = len(image1)
    described = describe_crops(net, torch.cat([image1, image2]), objective.stride, bfloat16)
    grid = (int(described.shape[2]), int(described.shape[3]))
    losses = []
    # Unbound once: the gradient of an index is a whole zero batch, that of unbind is not.
    each = described.unbind()
    for index in range(count):
        matches = grid_matches(flow[index], visible[index], grid, net.patch_size // 2, objective, generator)
        if len(matches.source) >= 16:
            losses.append(pair_loss(each[index], each[count + index], matches, objective, generator))
    return torch.stack(losses).mean() if losses else described.sum() * 0.0


@torch.inference_mode()
def rank1(net: PatchNet, batches: Iterator[Batch], objective: ObjectiveSettings, bfloat16: bool) -> float:
    """Return the share (percent) of grid points whose nearest descriptor lies within 3 px of the truth."""
    net.eval()
    generator = torch.Generator().manual_seed(0)
    hits, total = 0, 0
    for image1, image2, flow, visible in batches:
        described = describe_crops(net, torch.cat([image1, image2]), objective.stride, bfloat16)
        grid = (int(described.shape[2]), int(described.shape[3]))
        for index in range(len(image1)):
            matches = grid_matches(
                flow[index], visible[index], grid, net.patch_size // 2, objective, generator
            )
            flat1 = described[index].flatten(1).T[matches.source].float()
            found = torch.cdist(flat1, described[len(image1) + index].flatten(1).T.float()).argmin(dim=1)
            place = torch.stack([found % grid[1], found // grid[1]], dim=1) * objective.stride
            hits += int(((place - matches.target).square().sum(dim=1) <= 9).sum())
            total += len(found)
    net.train()
    return 100.0 * hits / max(1, total)


class Trainer:
    """One training run in one folder: `checkpoint.pt`, `log.csv`, `settings.json`.

    Parameters
    ----------
    net
        The network to train, changed in place.
    source, validation
        Training samples, one batch after the other by number, and held-out ones.
    settings, objective
        See their classes.
    folder
        Where the run lives; an unfinished run found there is resumed.
    """

    def __init__(
        self,
        net: PatchNet,
        source: PairSource,
        validation: PairSource,
        settings: TrainSettings,
        objective: ObjectiveSettings,
        folder: Path,
    ):
        self.net, self.source, self.validation = net, source, validation
        self.settings, self.objective, self.folder = settings, objective, folder
        self.optimizer = torch.optim.AdamW(
            net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.step = 0

    def run(self, workers: int = 1) -> None:
        """Train to the last step, from the last checkpoint if there is one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        self.net.train()
        progress = tqdm(
            total=self.settings.steps, initial=self.step, disable=not sys.stderr.isatty(), unit="step"
        )
        mean_loss, since, first = 0.0, time.perf_counter(), self.step
        for batch in self._batches(workers):
            loss = self.update(batch)
            mean_loss += (loss - mean_loss) / min(self.step, 50)
            progress.update()
            progress.set_postfix(loss=f"{mean_loss:.4f}")
            if self.step % 50 == 0:
                self._report_rate(mean_loss, time.perf_counter() - since, self.step - first)
            last = self.step == self.settings.steps
            if self.step % self.settings.validate_every == 0 or last:
                score = rank1(self.net, self._validation_batches(), self.objective, self.settings.bfloat16)
                self._log(mean_loss, score, time.perf_counter() - since)
            if self.step % self.settings.save_every == 0 or last:
                self.save()
        progress.close()
        self.net.eval()

    def update(self, batch: Batch) -> float:
        """Take one step; return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.settings)
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        loss = batch_loss(self.net, batch, self.objective, self.settings.bfloat16, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def save(self) -> None:
        """Write `checkpoint.pt` under a temporary name and move it."""
        part = self.folder / "checkpoint.part"
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from `checkpoint.pt` if it is there and was made with the same settings."""
        settings = json.dumps(
            {
                "train": asdict(self.settings),
                "objective": asdict(self.objective),
                "source": asdict(self.source.settings),
                "network": self.net.config.to_dict(),
            },
            indent=1,
        )
        record, checkpoint = self.folder / "settings.json", self.folder / "checkpoint.pt"
        if checkpoint.exists():
            if record.read_text() != settings:
                raise PatchBatchError(
                    f"{self.folder} holds a run with other settings; choose another --output"
                )
            state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            log.info("going on from step %d of %s", self.step, self.folder)
        record.write_text(settings)

    def _batches(self, workers: int) -> Iterator[Batch]:
        first = self.step * self.settings.batch
        rest = Subset(self.source, range(first, self.settings.steps * self.settings.batch))
        # Not forked: a forked child inherits the locks of OpenCV's and torch's threads and can wait for ever.
        context = "spawn" if workers else None
        return iter(
            DataLoader(
                rest,
                self.settings.batch,
                num_workers=workers,
                multiprocessing_context=context,
                prefetch_factor=4 if workers else None,
            )
        )

    def _validation_batches(self) -> Iterator[Batch]:
        return iter(DataLoader(self.validation, batch_size=4))

    def _report_rate(self, loss: float, seconds: float, steps: int) -> None:
        rest = seconds / steps * (self.settings.steps - self.step)
        log.info(
            "step %d  loss %.4f  %.2f steps/s  %.0f min to go", self.step, loss, steps / seconds, rest / 60
        )

    def _log(self, loss: float, score: float, seconds: float) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "loss", "rank1_3px_percent", "seconds"])
            writer.writerow([self.step, f"{loss:.5f}", f"{score:.2f}", f"{seconds:.0f}"])
        log.info("step %d  loss %.4f  rank-1 at 3 px %.2f %%  %.0f s", self.step, loss, score, seconds)
