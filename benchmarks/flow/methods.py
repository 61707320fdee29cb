"""What the runner measures: a method turns a pair of frames into one flow field per stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.flow.names import FINAL, result_file
from benchmarks.flow.table import OWN, Label
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.images import read_image
from patchbatch.errors import PatchBatchError
from patchbatch.models import load_descriptor
from patchbatch.progress import in_time

if TYPE_CHECKING:
    from benchmarks.flow.settings import FlowBenchmark
    from flow.results.result import Field, FlowResult
    from flow.settings import FlowSettings
    from patchbatch.descriptors.protocol import Descriptor

LONG_GFLOP = 1000.0
"""Describing that takes more is announced, as `patchbatch-flow` does."""
# The work behind each field, so that a row's time is the time to get that far.
WORK_OF_STAGE = {
    "matches": ("describe", "match"),
    "interpolated": ("describe", "match", "interpolate"),
    "chosen": ("describe", "match", "interpolate", "complete"),
    "final": ("describe", "match", "interpolate", "complete", "refine"),
}


@dataclass(frozen=True)
class StageResult:
    """A flow field and what it cost.

    Attributes
    ----------
    flow
        `(H, W, 2)`, pixels.
    valid
        `(H, W)` bool, pixels with a value.
    seconds
        Wall time of each step up to this field and their `"total"`; None where it was not measured.
    confidence
        `(H, W)` in [0, 1], higher is surer; None where the method gives none.
    occluded
        `(H, W)` in [0, 1], how likely the second frame does not show the pixel; None likewise.
    """

    flow: NDArray[np.floating]
    valid: NDArray[np.bool_]
    seconds: Mapping[str, float | None]
    confidence: NDArray[np.floating] | None = None
    occluded: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Method:
    """Something that computes flow.

    Attributes
    ----------
    name
        As in the table.
    model
        Name or file of the network, None for methods without one.
    run
        Gives the fields of a pair by stage; the last one is `"final"`.
    device
        Where it runs, in words.
    """

    name: str
    model: str | None
    run: Callable[[FlowPair], dict[str, StageResult]]
    device: str = "cpu"

    @property
    def label(self) -> Label:
        """What it is told apart by."""
        return Label(self.name, self.model)


def patchbatch_method(model: str, benchmark: FlowBenchmark) -> Method:
    """Return this project's pipeline with one model, loaded here and kept for all pairs.

    Parameters
    ----------
    model
        A shipped model's name, a weights file, or package.module:factory.
    benchmark
        How the pipeline is run.

    Raises
    ------
    PatchBatchError
        If there is no such model, or the device is missing.
    """
    # Imported late: a run of other methods does not have to wait for torch.
    from flow.pipeline import estimate_flow  # noqa: PLC0415

    descriptor = load_descriptor(model, benchmark.device)
    preset, settings = benchmark.resolved_preset, benchmark.flow_settings()
    announced = False

    def run(pair: FlowPair) -> dict[str, StageResult]:
        nonlocal announced
        image1, image2 = read_image(pair.image1), read_image(pair.image2)
        if not announced:
            _announce(descriptor, image1.shape[:2], settings, benchmark.precision)
            announced = True
        result = estimate_flow(
            image1,
            image2,
            descriptor,
            preset=preset,
            settings=settings,
            precision=benchmark.precision,
            refine=benchmark.refine,
            keep_stages=True,
        )
        return stages_of(result)

    return Method(OWN, model, run, str(descriptor.device))


def _announce(descriptor: Descriptor, shape: tuple[int, ...], settings: FlowSettings, precision: str) -> None:
    """Say before the first pair how long describing one takes, where that is long and can be known."""
    # Imported late, as above.
    from flow.cost import expected_seconds  # noqa: PLC0415
    from flow.pipeline import describing_gflop  # noqa: PLC0415
    from patchbatch.devices import resolve_precision  # noqa: PLC0415

    gflop = describing_gflop(descriptor, (shape[0], shape[1]), settings)
    if gflop is not None and gflop >= LONG_GFLOP:
        seconds = expected_seconds(gflop, descriptor.device, resolve_precision(precision, descriptor.device))
        print(f"describing a pair by {descriptor.name} takes about {in_time(seconds)} here", file=sys.stderr)


def matches_method(name: str, folder: Path, benchmark: FlowBenchmark) -> Method:
    """Return the dense stages of this project on match lists of another program.

    Parameters
    ----------
    name
        For the table.
    folder
        Text files `x1 y1 x2 y2 [score]` a line, with the suffix .txt and the names of `result_names`.
    benchmark
        Whose settings of the dense stages count.

    Raises
    ------
    PatchBatchError
        When run, if a pair has no file, or one without matches.
    """
    from flow.pipeline import estimate_flow  # noqa: PLC0415 (as above)

    preset, settings = benchmark.resolved_preset, benchmark.flow_settings()

    def run(pair: FlowPair) -> dict[str, StageResult]:
        file = result_file(folder, pair, (".txt",))
        result = estimate_flow(
            read_image(pair.image1),
            read_image(pair.image2),
            preset=preset,
            settings=settings,
            refine=benchmark.refine,
            matches=file,
            keep_stages=True,
        )
        if not result.stages["matches"][1].any():
            raise PatchBatchError(f"{file} holds no matches, so there is nothing to score")
        return stages_of(result)

    return Method(name, None, run)


def stages_of(result: FlowResult) -> dict[str, StageResult]:
    """Split a result of the pipeline into its fields, each with the time to get that far."""
    kept = [stage for stage in ("matches", "interpolated", "chosen") if stage in result.stages]
    fields: dict[str, Field] = {stage: result.stages[stage] for stage in kept}
    stages = {
        stage: StageResult(flow, valid, _seconds_until(stage, result.seconds))
        for stage, (flow, valid) in fields.items()
    }
    seconds = _seconds_until(FINAL, result.seconds)
    final = StageResult(result.flow, result.valid, seconds, result.confidence, result.occluded)
    return stages | {FINAL: final}


def _seconds_until(stage: str, seconds: Mapping[str, float]) -> dict[str, float]:
    parts = {step: seconds[step] for step in WORK_OF_STAGE[stage] if step in seconds}
    # The whole includes what lies between the steps, which their sum leaves out.
    return parts | {"total": seconds["total"] if stage == "final" else sum(parts.values())}
