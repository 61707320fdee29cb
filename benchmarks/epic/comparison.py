"""The interpolation and the refinement beside the original EpicFlow program, on equal input."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import describe_environment
from benchmarks.epic.settings import EpicBenchmark
from benchmarks.metrics import endpoint_error, is_outlier
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown, number
from flow.edges.gradient import gradient_edges
from flow.edges.network import SHIPPED, network_edges
from flow.interpolation.stage import interpolate
from flow.matching.matches import Matches
from flow.refinement.stage import refine
from patchbatch.data.datasets.pairs import FlowPair, Truth, find_pairs, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.images import load_image
from patchbatch.data.matches_io import read_matches
from patchbatch.errors import PatchBatchError

# The flow of the original program before and after its variational step.
FLOW_FILES = {False: "flow_epic_novar.npz", True: "flow_epic.npz"}


@dataclass(frozen=True)
class ReferencePair:
    """Input and output of the original program on one pair.

    Attributes
    ----------
    name, preset
        Of the folder; and the settings the original was run with.
    image1, image2
        `(H, W, 3)` RGB float32 in [0, 1].
    truth
        Ground truth.
    matches
        As the original was given them, with equal confidence.
    edges
        `(H, W)` float32 in [0, 1].
    flows, seconds
        By whether the variational step was made: `(H, W, 2)` in px, and the processor time up to there.
    """

    name: str
    preset: str
    image1: NDArray[np.float32]
    image2: NDArray[np.float32]
    truth: Truth
    matches: Matches
    edges: NDArray[np.float32]
    flows: dict[bool, NDArray[np.float32]]
    seconds: dict[bool, float]


def run(benchmark: EpicBenchmark) -> dict[str, Any]:
    """Compare, and return the report.

    Returns
    -------
    dict
        `benchmark`, `root`, `environment` (with the `settings`), `rows` and `failed`, pairs that could not be
        read, ready for JSON. A row holds `pair`, `variational` (after refinement or before),
        `median-difference` (px, to the original's flow), `EPE` and `Fl-all` with the original's as
        `-reference`; `seconds`, wall time up to there after a warm-up, `seconds-cpu`, processor time of all
        threads, and `seconds-reference`, the original's processor time as its figures give it.

    Raises
    ------
    PatchBatchError
        For a folder without references, or if every pair fails.
    """
    root, frames = benchmark.folder(), benchmark.frames_folder()
    rows: list[dict[str, Any]] = []
    references = benchmark.figures()
    with Progress(len(references), figure=Figure("EPE", "px", 3)) as progress:
        for name, figures in references.items():
            with progress.trying(name):
                pair = load_pair(root / name, figures, frames)
                if not rows:
                    _compare(pair, benchmark)  # compiles, and touches the memory
                found = _compare(pair, benchmark)
                progress.tell({"here": found[-1]["EPE"], "original": found[-1]["EPE-reference"]})
                rows += found
    environment = describe_environment("cpu") | {"settings": asdict(benchmark)}
    return {
        "benchmark": "epic", "root": benchmark.root, "environment": environment, "rows": rows,
        "failed": progress.failed,
    }  # fmt: skip


def load_pair(folder: Path, figures: dict[str, Any], frames: Path) -> ReferencePair:
    """Read one reference pair.

    Parameters
    ----------
    folder
        With matches, edge map and both flows.
    figures
        Its entry in `figures.json`: `frames`, `preset`, and `sec` (`epic_interp`, `epic_var`).
    frames
        The folder that holds the data sets.

    Raises
    ------
    PatchBatchError
        If a file is missing or damaged; it is named.
    """
    try:
        first, second = (frames / name for name in figures["frames"])
        preset = str(figures["preset"]).lstrip("-")
        interpolation, variational = (float(figures["sec"][key]) for key in ("epic_interp", "epic_var"))
    except (KeyError, TypeError, ValueError) as error:
        raise PatchBatchError(f"{folder.name}: its figures lack frames, preset or seconds") from error
    points1, points2, score = read_matches(folder / "matches.txt")
    return ReferencePair(
        name=folder.name,
        preset=preset,
        image1=load_image(first),
        image2=load_image(second),
        truth=_truth_of(first, frames),
        matches=Matches(points1, points2, np.zeros_like(score), np.ones_like(score)),
        edges=_read_array(folder / "edges.npz", "edges"),
        flows={variational: _read_array(folder / file, "flow") for variational, file in FLOW_FILES.items()},
        seconds={False: interpolation, True: interpolation + variational},
    )


def _truth_of(first: Path, frames: Path) -> Truth:
    for pair in _pairs_of(frames):
        if pair.image1.resolve() == first.resolve():
            return load_truth(pair)
    raise PatchBatchError(f"no pair with ground truth starts with {first}: give the right --frames")


def _pairs_of(frames: Path) -> Iterator[FlowPair]:
    for dataset in DATASETS:
        with suppress(PatchBatchError):  # not every data set is there
            yield from find_pairs(dataset, frames)


def _read_array(path: Path, key: str) -> NDArray[np.float32]:
    # Not by the reader of flow files: the references are stored in half precision, without a mask.
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[key], np.float32)
    except Exception as error:  # numpy and zipfile raise a dozen kinds between them
        raise PatchBatchError(f"{path} holds no array named {key}; copy it again") from error


def _compare(pair: ReferencePair, benchmark: EpicBenchmark) -> list[dict[str, Any]]:
    """Return the rows of a pair: interpolated, and refined if wanted."""
    interpolation, refinement = benchmark.stage_settings(pair.preset)
    edges = _edges(pair, benchmark.edges)
    clock = _Clock()
    flow, confidence = interpolate(pair.matches, pair.image1, edges, interpolation)
    rows = [_row(pair, False, flow, clock.read())]
    if benchmark.refine:
        clock.resume()
        flow = refine(flow, pair.image1, pair.image2, refinement, confidence)
        rows.append(_row(pair, True, flow, clock.read()))
    return rows


def _edges(pair: ReferencePair, kind: str) -> NDArray[np.float32]:
    """Return the edge map; it is not timed, as the original's is not."""
    if kind == "given":
        return pair.edges
    if kind == "gradient":
        return gradient_edges(pair.image1)
    return network_edges(pair.image1, SHIPPED if kind == "network" else kind)


class _Clock:
    """Wall and processor seconds spent so far, scoring left out."""

    def __init__(self) -> None:
        self.seconds = self.processor_seconds = 0.0
        self.resume()

    def resume(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        self.seconds += time.perf_counter() - self._wall
        self.processor_seconds += time.process_time() - self._processor
        return {"seconds": round(self.seconds, 3), "seconds-cpu": round(self.processor_seconds, 3)}


def _row(
    pair: ReferencePair, variational: bool, flow: NDArray[np.float32], seconds: dict[str, float]
) -> dict[str, Any]:
    original = pair.flows[variational]
    row: dict[str, Any] = {"pair": pair.name, "variational": variational}
    row["median-difference"] = float(np.median(np.linalg.norm(flow - original, axis=2)))
    for ending, field in (("", flow), ("-reference", original)):
        error = endpoint_error(field, pair.truth.flow)
        row[f"EPE{ending}"] = float(error[pair.truth.valid].mean())
        outlier = is_outlier(error, pair.truth.flow)[pair.truth.valid]
        row[f"Fl-all{ending}"] = float(100 * outlier.mean())
    return row | seconds | {"seconds-reference": round(pair.seconds[variational], 3)}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of a report as a Markdown table."""
    names = [name for name in rows[0] if name not in ("pair", "variational")]
    cells = [
        [row["pair"], "yes" if row["variational"] else "no", *(_figure(name, row[name]) for name in names)]
        for row in rows
    ]
    return markdown(["pair", "refined", *names], cells, labels=2)


def _figure(name: str, value: float) -> str:
    return number(value, 2 if "Fl" in name else 3)
