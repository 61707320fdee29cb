"""The picture of the speed benchmark: seconds and memory against pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.table import PLOTTED
from patchbatch.errors import PatchBatchError


def draw(rows: Sequence[dict[str, Any]], file: str | Path) -> None:
    """Draw the rows of description and matching, and the straight line through each figure.

    Parameters
    ----------
    rows
        As `benchmarks.speed.measure.run` returns them; refused ones are left out.
    file
        A picture in a format that matplotlib writes.

    Raises
    ------
    PatchBatchError
        Without matplotlib, for an unknown format, or when fewer than two sizes were timed.
    """
    timed = [row for row in rows if row["stage"] == PLOTTED.name and row["seconds"] is not None]
    if len(timed) < 2:
        raise PatchBatchError(f"fewer than two sizes to draw in {file}; give a dense model, or --limit 0")
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PatchBatchError("plots need matplotlib: pip install 'patchbatch[plots]'") from error
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    megapixels = np.array([row["size"][0] * row["size"][1] / 1e6 for row in timed])
    figures = (("seconds", "seconds a pair"), ("extra-MB", "MB beyond the images"))
    for axes, (name, label) in zip(figure.subplots(1, 2), figures, strict=True):
        values = np.array([np.nan if row[name] is None else row[name] for row in timed])
        axes.plot(megapixels, values, "o")
        if np.isfinite(values).all():
            slope, start = np.polyfit(megapixels, values, 1)
            axes.plot(
                megapixels, start + slope * megapixels, label=f"{start:.3g} + {slope:.3g} per megapixel"
            )
            axes.legend()
        axes.set(xlabel="megapixels", ylabel=label, xlim=(0, None), ylim=(0, None))
    figure.suptitle(f"Description and matching, {timed[0]['model']}")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise PatchBatchError(f"{file} cannot be written: {error}; name a .png or .svg file") from error
