"""Project descriptors to fewer numbers, and count wrong nearest neighbours and seconds before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.datasets import load_frames
from benchmarks.descriptors.metrics import RAW_ERROR_PX, Samples, draw_samples
from benchmarks.environment import describe_environment
from benchmarks.metrics import endpoint_error
from benchmarks.progress import Figure, Progress
from benchmarks.projection.settings import ProjectionStudy
from benchmarks.report import markdown, number
from flow.matching.exact.search import nearest_neighbours
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.descriptors.description import describe_points
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.models import load_model
from patchbatch.transfer.joint_bayesian.model import JointBayesian
from patchbatch.transfer.verification.scorers import Projection

SHRINKAGE = 0.01  # steadies the scatter of matching pairs, which points along few directions
RAW_ERROR = Figure("raw-error")
Maps = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Task:
    """One pair to judge by: descriptors of its points and of a region of image 2, and what is true.

    `described1` is `(N, D)`, `region` `(R, R, D)`, `targets` `(N, 2)` px from the region's first pixel.
    """

    dataset: str
    described1: torch.Tensor
    region: torch.Tensor
    targets: NDArray[np.float64]


def run(study: ProjectionStudy) -> dict[str, Any]:
    """Measure, and return the report for JSON: a row per model and form with means over data sets.

    Raises
    ------
    PatchBatchError
        If no pairs are found, or a model has fewer numbers than are asked for.
    """
    rows: list[dict[str, Any]] = []
    learned, judged = study.training_pairs(), study.pairs()
    # Rows are compared, so all of them are of the same pairs: the first that fails ends the run.
    with Progress(
        len(study.models) * (len(learned) + len(judged)), figure=RAW_ERROR, strict=True
    ) as progress:
        for name in study.models:
            net = load_model(name, "cpu")
            maps = learn(net, learned, study, progress)
            tasks = []
            for pair in judged:
                with progress.trying(f"{name} on {pair.dataset} {pair.name}"):
                    tasks.append(_task(pair, net, study))
                    progress.tell({name: _search(tasks[-1], None)[0]})
            rows += [{"model": name} | row for row in judge(tasks, maps)]
    environment = describe_environment("cpu") | {"settings": asdict(study)}
    return {"benchmark": "projection", "rows": rows, "environment": environment}


def learn(net: PatchNet, pairs: Sequence[FlowPair], study: ProjectionStudy, progress: Progress) -> Maps:
    """Learn all projections `(D, numbers)` from matching and non-matching pixels of the training pairs."""
    first: list[NDArray[np.float32]] = []
    second: list[NDArray[np.float32]] = []
    others: list[NDArray[np.float32]] = []
    for seed, pair in enumerate(pairs):
        with progress.trying(f"learning from {pair.dataset} {pair.name}"):
            frames = load_frames(pair)
            samples = draw_samples(frames.truth, study.points, seed)
            image1, image2 = frames.grey()
            for image, points, found in (
                (image1, samples.points, first),
                (image2, samples.matches, second),
                (image2, samples.negatives[:, 0], others),
            ):
                found.append(describe_points(image, net, points).float().numpy())
    return projections(np.concatenate(first), np.concatenate(second), np.concatenate(others), study.numbers)


def projections(
    points: NDArray[np.float32],
    matches: NDArray[np.float32],
    others: NDArray[np.float32],
    numbers: Sequence[int],
) -> Maps:
    """Return maps `(D, numbers)` by name.

    Parameters
    ----------
    points, matches, others
        `(N, D)` each: descriptors of points, of their matches, and of pixels that are not their matches.
    numbers
        Lengths to project to.
    """
    same = np.repeat([True, False], len(points))
    model = JointBayesian(shrinkage=SHRINKAGE)
    model.fit_pairs(np.concatenate([points, points]), np.concatenate([matches, others]), same)
    both = np.concatenate([points, matches, others])
    maps: Maps = {}
    for count in numbers:
        maps[f"joint-bayesian-{count}"] = model.projection(count)
        maps[f"principal-{count}"] = Projection(count).fit(both).components.astype(np.float32)
    return maps


def _task(pair: FlowPair, net: PatchNet, study: ProjectionStudy) -> Task:
    """Put the region around the match of a drawn point, and keep the points whose matches are inside."""
    frames = load_frames(pair)
    samples = draw_samples(frames.truth, 100 * study.points, 0)
    height, width = frames.truth.valid.shape
    side = min(study.region, height, width)
    inside, corner = _region_of_most(samples, (height, width), side)
    chosen = np.random.default_rng(0).permutation(inside)[: study.points]
    image1, image2 = frames.grey()
    y, x = np.mgrid[corner[1] : corner[1] + side, corner[0] : corner[0] + side]
    pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.int64)
    return Task(
        pair.dataset,
        describe_points(image1, net, samples.points[chosen]),
        describe_points(image2, net, pixels).reshape(side, side, -1),
        samples.targets[chosen] - corner,
    )


def _region_of_most(
    samples: Samples, size: tuple[int, int], side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the points whose matches lie in a region, and its corner: of 16 regions the one with most."""
    last = np.array([size[1] - side, size[0] - side])
    centres = samples.matches[np.random.default_rng(0).integers(0, len(samples.matches), 16)]
    best: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    for corner in np.clip(centres - side // 2, 0, last):
        inside = ((samples.matches >= corner) & (samples.matches < corner + side)).all(axis=1)
        found = np.flatnonzero(inside)
        if best is None or len(found) > len(best[0]):
            best = found, corner
    assert best is not None  # noqa: S101 (there are 16 regions)
    return best


def judge(tasks: Sequence[Task], maps: Maps) -> list[dict[str, Any]]:
    """Return a row of raw error and seconds for the descriptors as they are, and for each map."""
    dimension = tasks[0].region.shape[-1]
    forms: dict[str, NDArray[np.float32] | None] = {f"none-{dimension}": None, **maps}
    rows = []
    for name, projection in forms.items():
        errors: dict[str, list[float]] = {}
        seconds = 0.0
        for task in tasks:
            wrong, spent = _search(task, projection)
            errors.setdefault(task.dataset, []).append(wrong)
            seconds += spent
        means = {dataset: statistics.fmean(values) for dataset, values in errors.items()}
        numbers = dimension if projection is None else projection.shape[1]
        rows.append(
            {
                "projection": name.rpartition("-")[0], "numbers": numbers, "pairs": len(tasks),
                "raw-error": statistics.fmean(means.values()), "seconds": seconds, "by-dataset": means,
            }
        )  # fmt: skip
    return rows


def _search(task: Task, projection: NDArray[np.float32] | None) -> tuple[float, float]:
    """Return wrong nearest neighbours in percent, and processor time to match the region with itself."""
    described1, region = task.described1, task.region
    if projection is not None:
        matrix = torch.from_numpy(projection)
        described1, region = ((part.float() @ matrix).to(part.dtype) for part in (described1, region))
    found = nearest_neighbours(described1[None], region)
    start = time.process_time()
    nearest_neighbours(region, region)
    spent = time.process_time() - start
    y, x = np.divmod(found.index12[0], region.shape[1])
    wrong = endpoint_error(np.stack([x, y], axis=1).astype(np.float64), task.targets) > RAW_ERROR_PX
    return 100 * float(wrong.mean()), spent


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    datasets = list(rows[0]["by-dataset"])
    header = ["model", "projection", "numbers", "raw-error", *datasets, "seconds"]
    return markdown(header, [_cells(row, datasets) for row in rows], labels=2)


def _cells(row: dict[str, Any], datasets: Sequence[str]) -> list[str]:
    figures = [row["raw-error"], *(row["by-dataset"][name] for name in datasets), row["seconds"]]
    return [row["model"], row["projection"], str(row["numbers"]), *(number(value, 2) for value in figures)]
