"""Made samples of the network that chooses: no image, no matching needed."""

import numpy as np

from flow.completion.evidence import CANDIDATE_NUMBERS, NODE_NUMBERS
from flow.completion.train.samples import Sample


def made_sample(rows=12, columns=14, seed=0, most=20, motions=9, visible=True):
    """Return a sample in which candidate number 4 tells right candidates (0) from wrong ones (1)."""
    rng = np.random.default_rng(seed)
    is_open = rng.random((rows, columns)) < 0.7
    counts = rng.integers(1, most + 1, is_open.sum()).astype(np.int32)
    total, xs, ys = int(counts.sum()), 4 * np.arange(columns) + 2, 4 * np.arange(rows) + 2
    table = np.zeros((motions, 10), np.float32)
    table[:, :2] = rng.random((motions, 2)) * (4 * columns, 4 * rows)
    table[:, 6:8] = rng.normal(0, 8, (motions, 2))
    motion = rng.integers(motions, size=total).astype(np.int32)
    ends = counts.cumsum()
    right = ends - rng.integers(1, counts + 1)
    candidates = rng.normal(0, 0.1, (total, CANDIDATE_NUMBERS)).astype(np.float16)
    candidates[:, 4] = 1
    candidates[right, 4] = 0
    truth = rng.normal(0, 8, (rows, columns, 2)).astype(np.float32)
    truth[is_open] = table[motion[right], 6:8]
    numbers = rng.random((NODE_NUMBERS, rows, columns)).astype(np.float16)
    return Sample(
        xs.astype(np.int32), ys.astype(np.int32), is_open, counts, candidates, table[motion, 6:8], motion,
        table, numbers, rng.random((rows, columns, 10)).astype(np.float32),
        truth + rng.choice([0, 9], (rows, columns, 1)).astype(np.float32), truth,
        rng.random((rows, columns)) < 0.9, rng.random((rows, columns)) < 0.8 if visible else None,
    )  # fmt: skip
