"""Matches a second that the trainer learns from, beside a plain loop and the limit of the convolutions."""

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
from benchmarks.report import markdown, number
from patchbatch.descriptors.losses.drlim import CentDrLIMSD
from patchbatch.descriptors.network.config import PRESETS
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.train.batch import Batch, BatchLoss
from patchbatch.descriptors.train.objective import distance
from patchbatch.descriptors.train.settings import ObjectiveSettings, SourceSettings

# The trainer's own: pairs of an update, matches of a pair (dense and patch by patch).
PAIRS, DENSE_POINTS, PATCH_POINTS = 3, 400, 64
NAIVE_MATCHES = 64


def run(presets: Sequence[str], repeats: int) -> dict[str, Any]:
    """Time updates; return {"rows", "environment"}.

    A row holds "preset", "matches/s" of the trainer, "naive matches/s", their "ratio", "GFLOP/s" of the
    trainer, "convolution GFLOP/s" of the machine in the same run, and the "share" of that in percent.
    """
    rows = [_row(preset, repeats) for preset in presets]
    return {"rows": rows, "environment": describe_environment("cpu")}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    names = [name for name in rows[0] if name != "preset"]
    cells = [[row["preset"], *(number(row[name], 1) for name in names)] for row in rows]
    return markdown(["preset", *names], cells)


def _row(preset: str, repeats: int) -> dict[str, Any]:
    torch.manual_seed(0)
    ours, matches = _trainer_update(preset)
    naive = _naive_update(preset)
    limit, limit_flops = _large_convolution()
    with FlopCounterMode(display=False) as counter:
        ours()
    naive()
    limit()
    seconds: dict[str, list[float]] = {"ours": [], "naive": [], "limit": []}
    for _ in range(repeats):
        for name, update in (("ours", ours), ("naive", naive), ("limit", limit)):
            seconds[name].append(_timed(update))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rate, plain = matches / median["ours"], NAIVE_MATCHES / median["naive"]
    reached = counter.get_total_flops() / median["ours"] / 1e9
    most = limit_flops / median["limit"] / 1e9
    return {
        "preset": preset, "matches/s": rate, "naive matches/s": plain, "ratio": rate / plain,
        "GFLOP/s": reached, "convolution GFLOP/s": most, "share": 100 * reached / most,
    }  # fmt: skip


def _timed(update: Callable[[], None]) -> float:
    start = time.perf_counter()
    update()
    return time.perf_counter() - start


def _trainer_update(preset: str) -> tuple[Callable[[], None], int]:
    """Return an update as the trainer takes it, and the matches it learns from."""
    config = PRESETS[preset]
    net = PatchNet(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    points = DENSE_POINTS if net.is_dense else PATCH_POINTS
    objective = ObjectiveSettings(loss="softmax", points=points)
    loss = BatchLoss(net, objective, bfloat16=True, seed=0)
    batch = _still_scenes(SourceSettings().crop)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def update() -> None:
        value = loss(batch, list(range(PAIRS)))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    with torch.no_grad():
        matches = sum(len(found.source) for _, _, found in loss.described(batch, list(range(PAIRS))))
    return update, matches


def _still_scenes(crop: int) -> Batch:
    images = torch.rand(PAIRS, crop, crop)
    flow, visible = torch.zeros(PAIRS, crop, crop, 2), torch.ones(PAIRS, crop, crop, dtype=torch.bool)
    return images, images + 0.05 * torch.rand_like(images), flow, visible


def _naive_update(preset: str) -> Callable[[], None]:
    """Return an update of the plain loop: three patches a match, no sharing, float32."""
    net = PatchNet(PRESETS[preset])
    patches = torch.rand(3 * NAIVE_MATCHES, 1, net.patch_size, net.patch_size)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def update() -> None:
        one, match, wrong = net(patches).chunk(3)
        value = CentDrLIMSD(margin=1.0)(distance(one, match), distance(one, wrong))
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return update


def _large_convolution() -> tuple[Callable[[], None], int]:
    """Return a bfloat16 convolution forward and backward, of the widest 3x3 layer, and its arithmetic."""
    layout = torch.channels_last
    x: Tensor = torch.rand(4, 128, 96, 96).bfloat16().to(memory_format=layout).requires_grad_()
    weight = torch.rand(256, 128, 3, 3).bfloat16().to(memory_format=layout).requires_grad_()

    def update() -> None:
        y = F.conv2d(x, weight)
        y.backward(torch.ones_like(y))  # type: ignore[no-untyped-call]

    return update, 3 * 2 * 4 * 94 * 94 * 256 * 128 * 9
