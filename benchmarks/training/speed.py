"""Patches a second that the trainer learns from, beside a plain loop and the limit of the convolutions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown, number
from patchbatch.descriptors.losses.softmax import SoftmaxMatching
from patchbatch.descriptors.losses.table import make_loss
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import Batch, BatchLoss
from patchbatch.descriptors.train.objective import distance
from patchbatch.descriptors.train.plan import fit_to_loss
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings
from patchbatch.devices import resolve_training_precision

# The trainer's own: pairs of an update, matches of a pair (dense and patch by patch).
PAIRS, DENSE_POINTS, PATCH_POINTS = 3, 400, 64
NAIVE_MATCHES = 64


def run(presets: Sequence[str], losses: Sequence[str], repeats: int) -> dict[str, Any]:
    """Time updates of every preset with every loss; return {"rows", "environment"}.

    A row holds "preset", "loss", "patches", how many of a match its loss looks at: with the softmax the
    matches of others are the non-matches, so two, else three; "patches/s" of the trainer and of the plain
    loop ("plain patches/s") with the same loss and their "ratio"; "GFLOP/s" of the trainer, "convolution
    GFLOP/s" of the machine in the same run and precision, and the "share" of that in percent. The environment
    says in which precision the trainer multiplied.
    """
    half = resolve_training_precision("auto", torch.device("cpu")) is torch.bfloat16
    rows = []
    rate = Figure("patches/s", "", 1, higher=True)
    with Progress(len(presets) * len(losses), "row", rate, strict=True) as progress:
        for preset in presets:
            for loss in losses:
                with progress.trying(f"{preset} with {loss}"):
                    rows.append(_row(preset, loss, half, repeats))
                    progress.tell({preset: rows[-1]["patches/s"]})
    products = {"products": "bfloat16" if half else "float32"}
    return {"rows": rows, "environment": describe_environment("cpu") | products}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    names = [name for name in rows[0] if name not in ("preset", "loss", "patches")]
    cells = [
        [row["preset"], row["loss"], str(row["patches"]), *(number(row[name], 1) for name in names)]
        for row in rows
    ]
    return markdown(["preset", "loss", "patches a match", *names], cells, labels=2)


def _row(preset: str, loss: str, half: bool, repeats: int) -> dict[str, Any]:
    torch.manual_seed(0)
    of_match = 2 if loss == "softmax" else 3
    ours, matches = _trainer_update(preset, loss, half)
    naive = _naive_update(preset, loss)
    limit, limit_flops = _large_convolution(half)
    with FlopCounterMode(display=False) as counter:
        ours()
    naive()
    limit()
    seconds: dict[str, list[float]] = {"ours": [], "naive": [], "limit": []}
    for _ in range(repeats):
        for name, update in (("ours", ours), ("naive", naive), ("limit", limit)):
            seconds[name].append(_timed(update))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rate, plain = of_match * matches / median["ours"], of_match * NAIVE_MATCHES / median["naive"]
    reached = counter.get_total_flops() / median["ours"] / 1e9
    most = limit_flops / median["limit"] / 1e9
    return {
        "preset": preset, "loss": loss, "patches": of_match, "patches/s": rate, "plain patches/s": plain,
        "ratio": rate / plain, "GFLOP/s": reached, "convolution GFLOP/s": most, "share": 100 * reached / most,
    }  # fmt: skip


def _timed(update: Callable[[], None]) -> float:
    start = time.perf_counter()
    update()
    return time.perf_counter() - start


def _trainer_update(preset: str, loss: str, half: bool) -> tuple[Callable[[], None], int]:
    """Return an update as the trainer takes it, and the matches it learns from."""
    net = PatchNet(fit_to_loss(PRESETS[preset], loss))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    points = DENSE_POINTS if net.is_dense else PATCH_POINTS
    judged = BatchLoss(net, ObjectiveSettings(loss=loss, points=points), bfloat16=half, seed=0)
    batch = _still_scenes(SourceSettings().crop)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def update() -> None:
        value = judged(batch, list(range(PAIRS)))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    with torch.no_grad():
        matches = sum(len(found.source) for _, _, found in judged.described(batch, list(range(PAIRS))))
    return update, matches


def _still_scenes(crop: int) -> Batch:
    images = torch.rand(PAIRS, crop, crop)
    flow, visible = torch.zeros(PAIRS, crop, crop, 2), torch.ones(PAIRS, crop, crop, dtype=torch.bool)
    return images, images + 0.05 * torch.rand_like(images), flow, visible


def _naive_update(preset: str, loss: str) -> Callable[[], None]:
    """Return an update of the plain loop: the patches of all matches in one tensor, no sharing, float32."""
    net = PatchNet(fit_to_loss(PRESETS[preset], loss))
    of_match, judge = (2, _of_all) if loss == "softmax" else (3, _of_pairs(loss))
    patches = torch.rand(of_match * NAIVE_MATCHES, 1, net.patch_size, net.patch_size)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def update() -> None:
        value = judge(*net(patches).chunk(of_match))
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return update


def _of_pairs(loss: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    compare = make_loss(loss)
    return lambda one, match, wrong: compare(distance(one, match), distance(one, wrong))


def _of_all(one: Tensor, match: Tensor) -> Tensor:
    """Return the softmax over the matches of all, both ways."""
    surprise, right = SoftmaxMatching(0.05), torch.arange(len(one))
    return 0.5 * (surprise(one @ match.T, right) + surprise(match @ one.T, right))


def _large_convolution(half: bool) -> tuple[Callable[[], None], int]:
    """Return a convolution forward and backward, of the widest 3x3 layer, and its arithmetic."""
    layout, dtype = torch.channels_last, torch.bfloat16 if half else torch.float32
    x: Tensor = torch.rand(4, 128, 96, 96).to(dtype).to(memory_format=layout).requires_grad_()
    weight = torch.rand(256, 128, 3, 3).to(dtype).to(memory_format=layout).requires_grad_()

    def update() -> None:
        y = F.conv2d(x, weight)
        y.backward(torch.ones_like(y))  # type: ignore[no-untyped-call]

    return update, 3 * 2 * 4 * 94 * 94 * 256 * 128 * 9
