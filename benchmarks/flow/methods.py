"""What the runner measures: a method turns a pair of frames into one flow field per stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import patchbatch
from patchbatch.data.datasets.pairs import FlowPair
from patchbatch.data.images import read_image

if TYPE_CHECKING:
    from flow.pipeline import FlowResult

# As EpicFlow's authors did, FlyingChairs is run with the settings for Sintel.
PRESET_OF_DATASET = {
    "kitti2012": "kitti",
    "kitti2015": "kitti",
    "sintel": "sintel",
    "middlebury": "middlebury",
    "chairs": "sintel",
}
# The work behind each field, so that a row's time is the time to get that far.
WORK_OF_STAGE = {
    "matches": ("describe", "match"),
    "interpolated": ("describe", "match", "interpolate"),
    "final": ("describe", "match", "interpolate", "refine"),
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
    """

    flow: NDArray[np.floating]
    valid: NDArray[np.bool_]
    seconds: Mapping[str, float | None]


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


@dataclass(frozen=True)
class PatchBatchSettings:
    """How the pipeline is run.

    Attributes
    ----------
    preset
        `"auto"` takes the one that belongs to the data set.
    device, precision
        As for `flow.pipeline.estimate_flow`.
    refine
        False leaves the variational refinement out.
    seed
        For the random choices of the matcher.
    """

    preset: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    refine: bool = True
    seed: int = 0

    def preset_for(self, dataset: str) -> str:
        """Return the preset for a data set, `"default"` for one without its own."""
        return PRESET_OF_DATASET.get(dataset, "default") if self.preset == "auto" else self.preset


def patchbatch_method(model: str, settings: PatchBatchSettings) -> Method:
    """Return this project's pipeline with one network, loaded here and kept for all pairs.

    Parameters
    ----------
    model
        Name of a network or a file of weights.
    settings
        How the pipeline is run.

    Raises
    ------
    PatchBatchError
        If there is no such network, or the device is missing.
    """
    # Imported late: a run of other methods does not have to wait for torch.
    from flow.pipeline import estimate_flow  # noqa: PLC0415

    network = patchbatch.load_model(model, device=settings.device)

    def run(pair: FlowPair) -> dict[str, StageResult]:
        result = estimate_flow(
            read_image(pair.image1),
            read_image(pair.image2),
            network,
            preset=settings.preset_for(pair.dataset),
            device=settings.device,
            precision=settings.precision,
            refine=settings.refine,
            seed=settings.seed,
            keep_stages=True,
        )
        return stages_of(result)

    device = str(next(network.parameters()).device)
    return Method("patchbatch", model, run, device)


def stages_of(result: FlowResult) -> dict[str, StageResult]:
    """Split a result of the pipeline into its fields, each with the time to get that far."""
    fields = {stage: result.stages[stage] for stage in ("matches", "interpolated")}
    fields["final"] = (result.flow, result.valid)
    return {
        stage: StageResult(flow, valid, _seconds_until(stage, result.seconds))
        for stage, (flow, valid) in fields.items()
    }


def _seconds_until(stage: str, seconds: Mapping[str, float]) -> dict[str, float]:
    parts = {step: seconds[step] for step in WORK_OF_STAGE[stage] if step in seconds}
    # The whole includes what lies between the steps, which their sum leaves out.
    return parts | {"total": seconds["total"] if stage == "final" else sum(parts.values())}
