"""Samples to learn from: the choices of a pair with the truth, in memory, in a file, and cut to windows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.completion.choices import Choices
from flow.completion.evidence import CANDIDATE_NUMBERS, NODE_NUMBERS, Evidence
from flow.completion.nodes import Nodes
from flow.completion.train.losses import Truth
from patchbatch.data.files import atomic_path
from patchbatch.data.npz import array_names, read_array
from patchbatch.errors import PatchBatchError

_MOST_ROWS = 100_000_000  # of a table of candidates
_MODEL = 10  # numbers of a motion: centre and model


@dataclass(frozen=True)
class Sample:
    """A pair's choices and their truth; R C nodes, N of them open, with T candidates of M motions in all.

    Attributes
    ----------
    xs, ys
        `(C,)` and `(R,)` int32: column and row in px of the grid's columns and rows.
    open
        `(R, C)` bool.
    counts
        `(N,)` int32, how many candidates each open node has.
    candidates, flows, motion
        `(T, 34)` float16, `(T, 2)` float32 in px and `(T,)` int32, node by node; see `Choices`.
    motions
        `(M, 10)` float32.
    numbers
        `(31, R, C)` float16.
    models
        `(R, C, 10)` float32, what each node starts from.
    today
        `(R, C, 2)` float32, px: the interpolated flow.
    truth, valid
        `(R, C, 2)` float32, px, and `(R, C)` bool, where it is known.
    visible
        `(R, C)` bool, whether the point is seen in image 2; None where that is not known.
    """

    xs: NDArray[np.int32]
    ys: NDArray[np.int32]
    open: NDArray[np.bool_]
    counts: NDArray[np.int32]
    candidates: NDArray[np.float16]
    flows: NDArray[np.float32]
    motion: NDArray[np.int32]
    motions: NDArray[np.float32]
    numbers: NDArray[np.float16]
    models: NDArray[np.float32]
    today: NDArray[np.float32]
    truth: NDArray[np.float32]
    valid: NDArray[np.bool_]
    visible: NDArray[np.bool_] | None = None

    @property
    def known(self) -> int:
        """How many open nodes have a truth."""
        return int((self.open & self.valid).sum())

    def window(self, top: int, left: int, rows: int, columns: int) -> Sample:
        """Return a part of the grid, from row `top` and column `left` on; motions are kept."""
        part = np.s_[top : top + rows, left : left + columns]
        inside = np.zeros(self.open.shape, np.bool_)
        inside[part] = True
        nodes = inside[self.open]
        rows_kept = np.repeat(nodes, self.counts)
        return replace(
            self, xs=self.xs[part[1]], ys=self.ys[part[0]], open=self.open[part], counts=self.counts[nodes],
            candidates=self.candidates[rows_kept], flows=self.flows[rows_kept], motion=self.motion[rows_kept],
            numbers=self.numbers[:, part[0], part[1]], models=self.models[part], today=self.today[part],
            truth=self.truth[part], valid=self.valid[part],
            visible=None if self.visible is None else self.visible[part],
        )  # fmt: skip

    def choices(self, device: str | torch.device = "cpu") -> Choices:
        """Return what the network reads."""
        there = np.arange(max(self.counts.max(initial=1), 1)) < self.counts[:, None]
        flows = np.zeros((*there.shape, 2), np.float32)
        flows[there] = self.flows
        places = np.stack(np.meshgrid(self.xs, self.ys), axis=-1).reshape(-1, 2)
        arrays = (
            np.flatnonzero(self.open), there, self.candidates.astype(np.float32), flows,
            self.motion.astype(np.int64), self.motions, self.numbers.astype(np.float32),
            self.models.reshape(-1, _MODEL), places.astype(np.float32),
        )  # fmt: skip
        return Choices(*(_tensor(array, device) for array in arrays))

    def answers(self, device: str | torch.device = "cpu") -> Truth:
        """Return what the network should say."""
        visible = None if self.visible is None else _tensor(self.visible.ravel(), device)
        today, truth = (_tensor(each.reshape(-1, 2), device) for each in (self.today, self.truth))
        return Truth(truth, _tensor(self.valid.ravel(), device), today, visible)


def _tensor(array: NDArray[Any], device: str | torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def sample_of(
    nodes: Nodes, evidence: Evidence, today: NDArray[np.float32], truth: NDArray[np.float32],
    valid: NDArray[np.bool_], visible: NDArray[np.bool_] | None,
) -> Sample:  # fmt: skip
    """Bring nodes, evidence and truth together.

    Parameters
    ----------
    nodes, evidence
        Of a pair.
    today, truth
        `(H, W, 2)` float32, px: the interpolated flow and the true one.
    valid, visible
        `(H, W)` bool, where the truth is known and what image 2 shows; None where that is not known.
    """
    there, at = nodes.ids >= 0, np.ix_(nodes.ys, nodes.xs)
    known = np.where(valid[at][..., None], truth[at], np.float32(0))
    used, motion = np.unique(nodes.ids[there], return_inverse=True)
    table = np.concatenate([nodes.motions.centres[used], nodes.motions.models[used]], axis=1)
    return Sample(
        nodes.xs.astype(np.int32), nodes.ys.astype(np.int32), nodes.open, there.sum(1).astype(np.int32),
        evidence.candidates[there].astype(np.float16), evidence.flows[there], motion.astype(np.int32), table,
        evidence.nodes.astype(np.float16), nodes.models, today[at], known, valid[at],
        None if visible is None else visible[at],
    )  # fmt: skip


def random_window(sample: Sample, rows: int, columns: int, generator: np.random.Generator) -> Sample:
    """Return a window of at most so many rows and columns of nodes."""
    height, width = sample.open.shape
    rows, columns = min(rows, height), min(columns, width)
    top, left = generator.integers(height - rows + 1), generator.integers(width - columns + 1)
    return sample.window(int(top), int(left), rows, columns)


def write_sample(path: Path, sample: Sample) -> None:
    """Write a sample as `.npz`, whole or not at all; it is not compressed, because it is read often.

    Raises
    ------
    PatchBatchError
        If that fails.
    """
    arrays = {one.name: getattr(sample, one.name) for one in fields(Sample)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        known = {name: array for name, array in arrays.items() if array is not None}
        np.savez(file, allow_pickle=False, **known)


def read_sample(path: Path) -> Sample:
    """Read what `write_sample` wrote.

    Raises
    ------
    PatchBatchError
        If the file is missing, damaged, or no sample.
    """
    mend = "delete it and run the command again"
    try:
        there = array_names(path)
        names = [one.name for one in fields(Sample) if one.name != "visible" or "visible" in there]
        arrays = {name: read_array(path, name, least_side=0, max_side=_MOST_ROWS) for name in names}
    except PatchBatchError as error:
        raise PatchBatchError(f"{path} is no sample to learn from, or damaged; {mend}") from error
    sample = Sample(**arrays)
    if not _fits(sample):
        raise PatchBatchError(f"{path} holds arrays that do not fit each other; {mend}")
    return sample


def _fits(sample: Sample) -> bool:
    """Whether all shapes and indices are those that `Sample` promises."""
    grid, total = (len(sample.ys), len(sample.xs)), len(sample.motion)
    shapes = {
        "open": grid, "counts": (int(sample.open.sum()),), "candidates": (total, CANDIDATE_NUMBERS),
        "flows": (total, 2), "motion": (total,), "motions": (len(sample.motions), _MODEL),
        "numbers": (NODE_NUMBERS, *grid), "models": (*grid, _MODEL), "today": (*grid, 2),
        "truth": (*grid, 2), "valid": grid, "visible": grid,
    }  # fmt: skip
    if any(getattr(getattr(sample, name), "shape", shape) != shape for name, shape in shapes.items()):
        return False
    masks = (sample.open, sample.valid, sample.open if sample.visible is None else sample.visible)
    in_table = not total or (sample.motion.min() >= 0 and sample.motion.max() < len(sample.motions))
    return bool(in_table and sample.counts.sum() == total and all(mask.dtype == np.bool_ for mask in masks))
