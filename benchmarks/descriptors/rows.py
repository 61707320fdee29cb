"""Score descriptors over the pairs of data sets and gather their figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np
from torch import Tensor

from benchmarks.datasets import Frames, load_frames
from benchmarks.descriptors.metrics import Samples, draw_samples, score_descriptors
from benchmarks.descriptors.settings import DescriptorBenchmark, Row
from benchmarks.descriptors.summary import PairScore, all_wrong, by_motion, per_pair, summary_rows
from benchmarks.descriptors.table import BASELINES, TFEAT
from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.given.images import Image
from patchbatch.descriptors.adapters import Points
from patchbatch.descriptors.description import describe_points
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.devices import resolve_device
from patchbatch.models import load_descriptor, load_model

log = logging.getLogger(__name__)

RAW_ERROR = Figure("raw-error")


@dataclass(frozen=True)
class Contender:
    """A descriptor as it is compared.

    Attributes
    ----------
    name
        Of its row.
    descriptor
        What describes.
    precision
        Number type of its products.
    """

    name: str
    descriptor: Descriptor
    precision: str = "float32"

    def whole(self, image: Image) -> Tensor:
        """Describe every pixel of an image `(H, W)` -> `(H, W, D)`."""
        return self.descriptor.describe_pyramid(image, 1, self.precision)[0]

    def at(self, image: Image, points: Points) -> Tensor:
        """Describe `(N, 2)` pixels, x then y, of an image -> `(N, D)`, as `whole` has them there."""
        if isinstance(self.descriptor, PatchNet):
            if not self.descriptor.is_dense:  # patch by patch a whole image takes minutes
                return describe_points(image, self.descriptor, points, self.precision, context=True)
        elif hasattr(self.descriptor, "at"):
            found: Tensor = self.descriptor.at(image, points)
            return found
        described = self.whole(image)
        return described[points[:, 1], points[:, 0]]


def run(benchmark: DescriptorBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `benchmark`, `root`, `environment` (with the `settings`), `rows` (one per data set and descriptor:
        means over its pairs, `points` their sum), `all_wrong` (by data set: points at which every descriptor
        has a raw error, percent), `by_motion` (raw errors by length of the true motion), `per_pair` and
        `failed`, pairs that could not be scored, ready for JSON.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or descriptors, or every pair fails.
    """
    device = str(resolve_device(benchmark.device))
    pairs, contenders = benchmark.pairs(), load_contenders(benchmark, device)
    with Progress(len(pairs), figure=RAW_ERROR) as progress:
        scores = list(evaluate(pairs, contenders, benchmark, device, progress))
    return {
        "benchmark": "descriptors",
        "root": benchmark.root,
        "environment": describe_environment(device) | {"settings": asdict(benchmark)},
        "rows": summary_rows(scores),
        "all_wrong": all_wrong(scores),
        "by_motion": by_motion(scores),
        "per_pair": per_pair(scores),
        "failed": progress.failed,
    }


def load_contenders(benchmark: DescriptorBenchmark, device: str = "cpu") -> list[Contender]:
    """Make the descriptors ready: the models first, then the baselines, then the user's own.

    Raises
    ------
    PatchBatchError
        For an unknown or repeated name, or one that cannot be loaded.
    """
    rows = benchmark.rows()
    if not benchmark.only and TFEAT.name not in [row.kind for row in rows]:
        log.warning("no row tfeat: there is no %s; give its weights with --tfeat", benchmark.tfeat_file)
    return [load_contender(row, benchmark, device) for row in rows]


def load_contender(row: Row, benchmark: DescriptorBenchmark, device: str = "cpu") -> Contender:
    """Load the descriptor of a row.

    Raises
    ------
    PatchBatchError
        If it cannot be loaded.
    """
    match row.kind:
        case "model":
            return Contender(row.name, load_descriptor(row.spec, device), benchmark.precision)
        case "alone":
            net = load_model(row.spec, device).seen_as(single_scale=True)
            return Contender(row.name, net, benchmark.precision)
        case "baseline":
            return Contender(row.name, BASELINES[row.spec].load()(benchmark.cell_px))
        case "tfeat":
            return Contender(row.name, TFEAT.load()(row.spec, device))
    return Contender(row.name, load_descriptor(row.spec, device))


def evaluate(
    pairs: Sequence[FlowPair],
    contenders: Sequence[Contender],
    benchmark: DescriptorBenchmark,
    device: str,
    progress: Progress,
) -> Iterator[PairScore]:
    """Score every descriptor on every pair, one pair after the other.

    A pair that is damaged, or on which a descriptor fails, is told by `progress` and left out by all, unless
    it is strict.
    """
    for pair in pairs:
        with progress.trying(f"{pair.dataset} {pair.name}"):
            scores = list(_pair_scores(pair, contenders, benchmark, device))
            progress.tell({score.descriptor: score.scored.figures["raw-error"] for score in scores})
            yield from scores


def _pair_scores(
    pair: FlowPair, contenders: Sequence[Contender], benchmark: DescriptorBenchmark, device: str
) -> Iterator[PairScore]:
    frames = load_frames(pair)
    image1, image2 = frames.grey()
    samples = _samples(pair, frames, benchmark)
    motion = np.linalg.norm(samples.targets - samples.points, axis=1)
    for contender in contenders:
        described1 = contender.at(image1, samples.points).to(device)
        described2, seconds = _timed(contender, image2)
        scored = score_descriptors(samples, described1, described2.to(device), benchmark.window)
        dimension = described2.shape[2]
        del described1, described2  # the next ones need the room
        yield PairScore(contender.name, pair.dataset, pair.name, dimension, scored, motion, seconds)


def _samples(pair: FlowPair, frames: Frames, benchmark: DescriptorBenchmark) -> Samples:
    # Each pair has draws of its own, which do not depend on what else is measured; both renderings of a
    # scene have the same.
    seed = crc32(f"{DATASETS[pair.dataset].judged_as} {pair.name} {benchmark.seed}".encode())
    return draw_samples(frames.truth, benchmark.points, seed)


def _timed(contender: Contender, image: Image) -> tuple[Tensor, float]:
    start = time.perf_counter()
    described = contender.whole(image)
    described[-1, -1, -1].item()  # waits for a GPU
    return described, time.perf_counter() - start
