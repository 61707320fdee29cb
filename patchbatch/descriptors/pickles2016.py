"""Lists of arrays in the Python 2 pickles of 2016, read by `patchbatch.data.pickles` without running them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.pickles import PickleKind, StoredArray, read_pickle
from patchbatch.errors import PatchBatchError

MAX_BYTES = 24_000_000  # the largest model has 5.8 MB of weights, and a byte takes up to four characters
# 20 arrays take about 500 steps.
KIND = PickleKind("model of 2016", "use a published file", MAX_BYTES, max_steps=10_000)


def read_arrays(path: Path, count: int) -> list[StoredArray]:
    """Read a pickled list of `count` arrays, their values still unread.

    Raises
    ------
    PatchBatchError
        When the file is missing, too large, no pickle, or holds something else.
    """
    content = read_pickle(path, KIND)
    if not isinstance(content, list) or len(content) != count:
        raise PatchBatchError(f"{path} is not a list of {count} arrays; are weights and statistics swapped?")
    if not all(isinstance(item, StoredArray) for item in content):
        raise PatchBatchError(f"{path} holds other things than arrays; use a published file")
    return content


def float_values(array: StoredArray, path: Path) -> NDArray[np.float32]:
    """Return the values of an array as float32; raises as `StoredArray.values`."""
    return array.values(path, "<f4", KIND.mend)
