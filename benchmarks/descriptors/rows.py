"""Score descriptors over the pairs of data sets and gather their figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from torch import Tensor
from tqdm import tqdm

from benchmarks.arguments import DATASETS
from benchmarks.descriptors.baselines import (
    HAND_MADE,
    FieldDescriptor,
    Image,
    hand_made,
    load_custom,
    load_tfeat,
)
from benchmarks.descriptors.metrics import Samples, draw_samples, score_descriptors
from benchmarks.descriptors.summary import PairScore, all_wrong, by_motion, per_pair, summary_rows
from benchmarks.environment import describe_environment
from patchbatch.data.datasets.pairs import FlowPair, find_pairs, load_truth
from patchbatch.data.images import load_image, to_grey
from patchbatch.descriptors.description import describe, describe_points, describe_pyramid
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.devices import resolve_device
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_model, model_names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DescriptorBenchmark:
    """What is measured.

    Attributes
    ----------
    root
        The folder that holds the data sets, or one of them.
    datasets
        Names of `DATASETS`; empty = all that are there.
    models
        Shipped networks or weights files; empty = all shipped ones.
    descriptors
        More descriptors, as for `benchmarks.descriptors.baselines.load_custom`.
    only
        Names of the rows wanted; empty = all.
    tfeat
        TFeat's weights; None = where they lie beside the root, and no such row if they do not.
    cell_px
        Side of SIFT's cells in pixels.
    points
        Points of each pair.
    window
        Of the raw error, pixels on both axes from the point itself; None = the whole image.
    limit
        Only the first so many pairs of each data set; None = all.
    seed
        Of the points and negatives, which are the same for every descriptor.
    device, precision
        Of the networks; `precision` only of `models`.
    """

    root: str
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    descriptors: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    tfeat: str | None = None
    cell_px: float = 4.0
    points: int = 2000
    window: int | None = None
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"


def run(benchmark: DescriptorBenchmark) -> dict[str, Any]:
    """Measure, and return the report.

    Returns
    -------
    dict
        `benchmark`, `root`, `environment` (with the `settings`), `rows` (one per data set and descriptor:
        means over its pairs, `points` their sum), `all_wrong` (by data set: points at which every descriptor
        has a raw error, percent), `by_motion` (raw errors by length of the true motion) and `per_pair`, ready
        for JSON.

    Raises
    ------
    PatchBatchError
        If there are no such pairs or descriptors, or a pair is damaged.
    """
    device = str(resolve_device(benchmark.device))
    pairs = find_datasets(benchmark)
    scores = list(evaluate(pairs, load_descriptors(benchmark, device), benchmark, device))
    return {
        "benchmark": "descriptors",
        "root": benchmark.root,
        "environment": describe_environment(device) | {"settings": asdict(benchmark)},
        "rows": summary_rows(scores),
        "all_wrong": all_wrong(scores),
        "by_motion": by_motion(scores),
        "per_pair": per_pair(scores),
    }


def find_datasets(benchmark: DescriptorBenchmark) -> dict[str, list[FlowPair]]:
    """List the pairs of each data set asked for, or of each one found if none is.

    Raises
    ------
    PatchBatchError
        If a data set asked for is not there, or none is found.
    """
    if benchmark.datasets:
        return {name: _pairs_of(name, benchmark) for name in dict.fromkeys(benchmark.datasets)}
    if not Path(benchmark.root).is_dir():
        raise PatchBatchError(f"no folder {benchmark.root}: give the folder that holds the data sets")
    found = {}
    for name in DATASETS:
        try:
            found[name] = _pairs_of(name, benchmark)
        except PatchBatchError:
            log.debug("no %s in %s", name, benchmark.root)
    if not found:
        raise PatchBatchError(f"no pairs in {benchmark.root}: expected the folders of {', '.join(DATASETS)}")
    return found


def _pairs_of(name: str, benchmark: DescriptorBenchmark) -> list[FlowPair]:
    dataset, _, rendering = name.partition("-")
    return find_pairs(dataset, benchmark.root, rendering=rendering or "final")[: benchmark.limit]


def load_descriptors(benchmark: DescriptorBenchmark, device: str) -> list[FieldDescriptor]:
    """Make the descriptors ready: the networks first, then the baselines, then the user's own.

    Raises
    ------
    PatchBatchError
        For an unknown or repeated name, or one that cannot be loaded.
    """
    loaders = _loaders(benchmark, device)
    unknown = [name for name in benchmark.only if name not in loaders]
    if unknown:
        raise PatchBatchError(f"no descriptor {unknown[0]!r} here: there are {', '.join(loaders)}")
    return [load() for name, load in loaders.items() if not benchmark.only or name in benchmark.only]


def _loaders(benchmark: DescriptorBenchmark, device: str) -> dict[str, Callable[[], FieldDescriptor]]:
    pairs: list[tuple[str, Callable[[], FieldDescriptor]]] = []
    for spec in benchmark.models or model_names():
        name, load = _model_name(spec), partial(load_network, spec, device, benchmark.precision)
        pairs.append((name, load))
        if load_model(spec).config.context:
            pairs.append((f"{name}-alone", partial(load, alone=True)))
    pairs += [(name, partial(hand_made, name, benchmark.cell_px)) for name in HAND_MADE]
    weights = _tfeat_file(benchmark)
    if weights is not None:
        pairs.append(("tfeat", partial(load_tfeat, weights, device)))
    for spec in benchmark.descriptors:
        pairs.append((spec.partition("=")[0], partial(load_custom, spec, device)))
    names = [name for name, _ in pairs]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise PatchBatchError(f"two descriptors are called {repeated!r}; give each a name of its own")
    return dict(pairs)


def _tfeat_file(benchmark: DescriptorBenchmark) -> Path | None:
    usual = Path(benchmark.root).absolute().parent / "tfeat" / "tfeat-liberty.safetensors"
    if benchmark.tfeat is not None:
        return Path(benchmark.tfeat)
    if usual.is_file():
        return usual
    if not benchmark.only:
        log.warning("no row tfeat: there is no %s; give its weights with --tfeat", usual)
    elif "tfeat" in benchmark.only:
        raise PatchBatchError(f"no weights for tfeat: there is no {usual}; give them with --tfeat")
    return None


def _model_name(spec: str) -> str:
    return spec if spec in model_names() else Path(spec).stem


def load_network(
    spec: str, device: str = "cpu", precision: str = "auto", alone: bool = False
) -> FieldDescriptor:
    """Return the descriptor of a shipped network or of a weights file, named by its stem.

    As the matcher sees it, with the context of coarser scales that its settings ask for; or `alone`, without.

    Raises
    ------
    PatchBatchError
        As `patchbatch.models.load_model`.
    """
    name = _model_name(spec) + ("-alone" if alone else "")
    return network_descriptor(name, load_model(spec, device), precision, alone)


def network_descriptor(
    name: str, model: PatchNet, precision: str = "auto", alone: bool = False
) -> FieldDescriptor:
    """Return the descriptor of a loaded network; `precision` as for `patchbatch.descriptors.description`."""
    context = bool(model.config.context) and not alone
    whole = partial(describe, model=model, precision=precision)
    if context:
        whole = partial(_with_context, model=model, precision=precision)
    if model.is_dense:
        return FieldDescriptor(name, whole)
    # Patch by patch a whole image takes minutes, and of image 1 only the points are wanted.
    at = partial(describe_points, model=model, precision=precision, context=context)
    return FieldDescriptor(name, whole, lambda image, points: at(image, points=points))


def _with_context(image: Image, model: PatchNet, precision: str) -> Tensor:
    return describe_pyramid(image, model, 1, precision)[0]


def evaluate(
    datasets: dict[str, list[FlowPair]],
    descriptors: Sequence[FieldDescriptor],
    benchmark: DescriptorBenchmark,
    device: str = "cpu",
) -> Iterator[PairScore]:
    """Score every descriptor on every pair; the progress goes to stderr, on a terminal only.

    Raises
    ------
    PatchBatchError
        If a pair is damaged or a descriptor fails on it; names the pair.
    """
    jobs = [(name, pair) for name, pairs in datasets.items() for pair in pairs]
    with tqdm(total=len(jobs) * len(descriptors), unit="descriptor", disable=None) as progress:
        for dataset, pair in jobs:
            progress.set_postfix_str(f"{dataset} {pair.name}")
            try:
                for score in _pair_scores(dataset, pair, descriptors, benchmark, device):
                    yield score
                    progress.update()
            except PatchBatchError as error:
                raise PatchBatchError(f"{dataset} {pair.name}: {error}") from error


def _pair_scores(
    dataset: str,
    pair: FlowPair,
    descriptors: Sequence[FieldDescriptor],
    benchmark: DescriptorBenchmark,
    device: str,
) -> Iterator[PairScore]:
    samples, image1, image2 = _load(pair, benchmark)
    motion = np.linalg.norm(samples.targets - samples.points, axis=1)
    for descriptor in descriptors:
        described1 = descriptor.at(image1, samples.points).to(device)
        described2, seconds = _timed(descriptor, image2)
        scored = score_descriptors(samples, described1, described2.to(device), benchmark.window)
        dimension = described2.shape[2]
        del described1, described2  # the next ones need the room
        yield PairScore(descriptor.name, dataset, pair.name, dimension, scored, motion, seconds)


def _load(pair: FlowPair, benchmark: DescriptorBenchmark) -> tuple[Samples, Image, Image]:
    truth = load_truth(pair)
    image1, image2 = (to_grey(load_image(path)) for path in (pair.image1, pair.image2))
    if not image1.shape == image2.shape == truth.valid.shape:
        raise PatchBatchError(
            f"{pair.image1}, {pair.image2} and {pair.flow} differ in size; use files of one data set"
        )
    # Each pair has draws of its own, which do not depend on what else is measured.
    seed = crc32(f"{pair.dataset} {pair.name} {benchmark.seed}".encode())
    return draw_samples(truth, benchmark.points, seed), image1, image2


def _timed(descriptor: FieldDescriptor, image: Image) -> tuple[Tensor, float]:
    start = time.perf_counter()
    described = descriptor.describe(image)
    described[-1, -1, -1].item()  # waits for a GPU
    return described, time.perf_counter() - start
