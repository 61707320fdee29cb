"""Teach the edge network the boundaries of BSDS500, and score it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from flow.edges.gradient import gradient_edges
from flow.edges.network import EdgeNetwork, network_edges, save_edge_network
from flow.edges.score import best_f_measure
from flow.edges.train.settings import EdgeTraining, boundary_pairs
from patchbatch.data.images import load_image
from patchbatch.devices import resolve_training_precision
from patchbatch.errors import PatchBatchError
from patchbatch.training.folder import locked
from patchbatch.training.logs import CSV
from patchbatch.training.runlog import Record, Row, RunLog
from patchbatch.training.stopping import asked_to_stop

_LOG = logging.getLogger(__name__)
# Of the annotators: drawn by fewer, a pixel teaches neither way (Liu et al., CVPR 2017, have the same rule).
_AGREED = 0.3
_RECORD = RunLog("", "", "crops")
Sample = tuple[NDArray[np.float32], NDArray[np.uint16]]


def read_sample(photo: Path, boundary: Path) -> Sample:
    """Return a photograph `(H, W, 3)` in [0, 1] and the drawings `(H, W)`, bit k of annotator k."""
    bits = cv2.imread(str(boundary), cv2.IMREAD_UNCHANGED)
    image = load_image(photo)
    if bits is None or bits.shape != image.shape[:2]:
        raise PatchBatchError(f"{boundary} is no map of the size of {photo.name}; copy it again")
    return image, bits.astype(np.uint16)


def drawings_of(bits: NDArray[np.uint16]) -> list[NDArray[np.bool_]]:
    """Return the drawing of each annotator who drew anything, `(H, W)` bool."""
    planes = [(bits >> k & 1).astype(np.bool_) for k in range(16)]
    return [plane for plane in planes if plane.any()]


def boundary_loss(logits: Tensor, agreement: Tensor) -> Tensor:
    """Return the cross-entropy with borders and the rest weighing the same in every image.

    Parameters
    ----------
    logits
        `(N, H, W)`.
    agreement
        `(N, H, W)`, the share of annotators who drew a border here, in [0, 1].
    """
    border, empty = (agreement >= _AGREED).float(), (agreement == 0).float()
    drawn, blank = (part.sum(dim=(1, 2), keepdim=True) for part in (border, empty))
    total = (drawn + blank).clamp(min=1)
    weight = border * blank / total + empty * drawn / total
    loss = binary_cross_entropy_with_logits(logits, border, weight, reduction="sum")
    return loss / (2 * drawn * blank / total).sum().clamp(min=1)


def random_crop(sample: Sample, side: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a crop, turned, mirrored, dimmed or brightened: `(3, side, side)`; and its agreement."""
    image, bits = sample
    drawings = drawings_of(bits)
    agreement = np.mean(drawings, axis=0, dtype=np.float32) if drawings else np.zeros(bits.shape, np.float32)
    pad = [(0, max(0, side - size)) for size in bits.shape]
    both = np.pad(np.dstack([image, agreement]), (*pad, (0, 0)), mode="reflect")
    y, x = (int(generator.integers(size - side + 1)) for size in both.shape[:2])
    both = np.rot90(both[y : y + side, x : x + side], int(generator.integers(4)))
    both = both[:, ::-1] if generator.random() < 0.5 else both
    stack = torch.from_numpy(np.ascontiguousarray(both.transpose(2, 0, 1)))
    gain, power = generator.uniform(0.7, 1.3), generator.uniform(0.7, 1.4)
    return (stack[:3].clamp(min=0) ** power * gain).clamp(max=1), stack[3]


def train(
    samples: list[Sample], training: EdgeTraining, record: Record | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> EdgeNetwork:  # fmt: skip
    """Return a network taught on the samples; the same seed and number of steps give the same weights.

    Parameters
    ----------
    samples
        As `read_sample` reads them.
    training
        How it is taught.
    record
        Where the loss goes, every 100 steps; None: nowhere.
    stop
        Asked after every step whether that was the last one.
    """
    torch.manual_seed(training.seed)
    generator = np.random.default_rng(training.seed)
    network = EdgeNetwork()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=1e-4)
    began, running = time.monotonic(), 0.0
    for step in range(training.steps):
        passed = (time.monotonic() - began) / (60 * training.minutes)
        progress = max(passed, step / training.steps)
        if progress >= 1:
            break
        warm_up = min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * warm_up * 0.5 * (1 + np.cos(np.pi * progress))
        value = _step(network, optimizer, samples, training, generator)
        running = value if not step else 0.98 * running + 0.02 * value
        if step % 100 == 0:
            _LOG.info("step %d, %.0f %% done, loss %.4f", step, 100 * progress, running)
            if record is not None:
                rate = (step + 1) * training.batch / (time.monotonic() - began)
                record.add(Row(step, running, None, rate))
        if stop():
            break
    network.eval()
    return network


def train_and_save(data: Path, training: EdgeTraining, output: Path, log: str = CSV) -> Path:
    """Train on the images of `train` and `val`, write the weights and return their file.

    Parameters
    ----------
    data
        The folder of BSDS500.
    training
        How it is taught.
    output
        The weights. The loss goes into a file beside it, `.log.csv`.
    log
        What else it goes into, a name of `patchbatch.training.logs.LOGS`; into the folder `.events`.

    Raises
    ------
    PatchBatchError
        If an image is missing or damaged, another program trains into this file, or it cannot be written.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, when what was learned so far is written.
    """
    pairs = [pair for split in ("train", "val") for pair in boundary_pairs(data, split)]
    _LOG.info(
        "learning from %d images: at most %g minutes and %d steps of %d crops of %d px", len(pairs),
        training.minutes, training.steps, training.batch, training.crop,
    )  # fmt: skip
    record = Record(_RECORD, output.with_suffix(".log.csv"), log, output.with_suffix(".events"))
    record.begin(-1)
    samples = [read_sample(*pair) for pair in pairs]
    with closing(record), locked(output.with_suffix(".lock")), asked_to_stop() as stop:
        save_edge_network(train(samples, training, record, stop), output)
        if stop():
            _LOG.info("stopped; %s has what was learned so far", output)
            raise KeyboardInterrupt
    return output


def _step(
    network: EdgeNetwork, optimizer: torch.optim.Optimizer, samples: list[Sample], training: EdgeTraining,
    generator: np.random.Generator,
) -> float:  # fmt: skip
    chosen = generator.integers(len(samples), size=training.batch)
    crops = [random_crop(samples[k], training.crop, generator) for k in chosen]
    images, agreement = (torch.stack(part) for part in zip(*crops, strict=True))
    half = resolve_training_precision("auto", torch.device("cpu")) is torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = network(images.to(memory_format=torch.channels_last))
    loss = boundary_loss(logits.float(), agreement)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def score(data: Path, weights: Path, limit: int | None = None) -> dict[str, float]:
    """Return the best F-measure of network and gradient on the test images (ODS), and their thresholds."""
    figures = {}
    finders = {"network": lambda image: network_edges(image, weights), "gradient": gradient_edges}
    for name, find in finders.items():
        pairs = boundary_pairs(data, "test")[:limit]
        samples = (read_sample(*pair) for pair in pairs)
        best = best_f_measure((find(image), drawings_of(bits)) for image, bits in samples)
        figures[f"{name} ODS"], figures[f"{name} threshold"] = best
        _LOG.info("%s: F-measure %.4f at threshold %.2f", name, *best)
    return figures
