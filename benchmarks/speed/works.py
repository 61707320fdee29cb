"""What the speed benchmark runs: each stage on a made scene, and the arithmetic that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow.cost import product_flop
from flow.interpolation.stage import interpolate
from flow.matching.exact.search import nearest_neighbours
from flow.matching.matches import Matches
from flow.matching.search_settings import ExactMatcherSettings
from flow.matching.settings import MatchingSettings
from flow.matching.stage import match
from flow.matching.table import MATCHERS
from flow.pipeline import estimate_flow
from flow.refinement.stage import refine
from flow.settings import FlowSettings
from flow.synthetic import demo_scene
from patchbatch.data.images import to_grey
from patchbatch.data.scenes.render import ScenePair
from patchbatch.descriptors.adapters import PatchDescriptor
from patchbatch.descriptors.description import pyramid_levels
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.descriptors.protocol import Descriptor
from patchbatch.devices import resolve_precision

MEMINFO = Path("/proc/meminfo")
LEAST_ROWS = 8
EVERY_PIXEL = MatchingSettings("exact", ExactMatcherSettings(step=1))


@dataclass(frozen=True)
class Work:
    """One run of a stage.

    Attributes
    ----------
    run
        Does it; the result is thrown away.
    flop
        Arithmetic of the run; None where it is not known.
    part
        Share of the whole image's arithmetic that the run does.
    held_mb
        MB that descriptors and maps of the run are known to take; 0 where nobody knows.
    """

    run: Callable[[], object]
    flop: float | None = None
    part: float = 1.0
    held_mb: float = 0.0


class Subject:
    """A descriptor and two frames of a size; what later stages start from is made when first asked for.

    Parameters
    ----------
    descriptor
        On the device that is timed.
    size
        Width and height in px.
    limit
        Arithmetic of one run in FLOP; 0: none.
    settings
        Of every stage; None takes those of the preset "default".
    """

    def __init__(
        self,
        descriptor: Descriptor,
        size: tuple[int, int],
        limit: float,
        settings: FlowSettings | None = None,
    ):
        self.descriptor, self.size, self.limit = descriptor, size, limit
        self.settings = settings or FlowSettings()
        self.device = descriptor.device
        self.dtype = resolve_precision("auto", self.device)

    @property
    def levels(self) -> int:
        """Levels of the frames that the matcher wants."""
        wanted = MATCHERS[self.settings.matching.method].pyramid
        return pyramid_levels((self.size[1], self.size[0])) if wanted else 1

    @property
    def patchwise(self) -> bool:
        """Whether the descriptor sees patch by patch, which takes long."""
        dense = getattr(self.descriptor, "is_dense", None)
        return isinstance(self.descriptor, PatchDescriptor) if dense is None else not dense

    def described(self, rows: int | None = None, levels: int = 1) -> tuple[list[Tensor], list[Tensor]]:
        """Describe both frames, or their upper rows."""
        first, second = (
            self.descriptor.describe_pyramid(to_grey(image)[:rows], levels)
            for image in (self.pair.image1, self.pair.image2)
        )
        return first, second

    @cached_property
    def pair(self) -> ScenePair:
        """The two frames, in colour."""
        return demo_scene(self.size[1], self.size[0])

    @cached_property
    def pyramids(self) -> tuple[list[Tensor], list[Tensor]]:
        """Both frames, described at all levels."""
        return self.described(levels=self.levels)

    @cached_property
    def matches(self) -> Matches:
        """The matches that are believed."""
        return match(*self.pyramids, self.settings.matching)

    @cached_property
    def dense_flow(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The interpolated matches, and the confidence."""
        return interpolate(self.matches, self.pair.image1, None, self.settings.interpolation)

    def rows_within(self, flop_of_rows: Callable[[int], float | None]) -> int:
        """Return how many rows of the frames keep within the limit, at least `LEAST_ROWS`."""
        rows = height = self.size[1]
        if not self.limit:
            return height
        while rows > LEAST_ROWS and (flop_of_rows(rows) or 0.0) > self.limit:
            rows -= 1
        return rows


def describe_work(subject: Subject) -> Work:
    """Describe one frame at all levels; a network that sees patch by patch may get the upper rows only."""
    descriptor, levels, (width, height) = subject.descriptor, subject.levels, subject.size
    rows = height
    if subject.patchwise:
        rows = subject.rows_within(lambda some: descriptor.flop((some, width), 1))
        levels = levels if rows == height else 1
    grey = to_grey(subject.pair.image1)[:rows]
    flop, whole = descriptor.flop((rows, width), levels), descriptor.flop((height, width), subject.levels)
    return Work(
        lambda: descriptor.describe_pyramid(grey, levels), flop,
        1.0 if flop is None or whole is None else flop / whole, descriptors_mb(subject, rows) / 2,
    )  # fmt: skip


def exact_work(subject: Subject) -> Work:
    """Match all pixels, or those of the upper rows of both frames, both ways."""
    width, height = subject.size

    def product(rows: int) -> float:
        frame = torch.empty(rows, width, subject.descriptor.dimension, device="meta")
        return product_flop([frame], [frame], EVERY_PIXEL) or 0.0

    rows = subject.rows_within(product)
    if subject.patchwise:  # the descriptors have to be had as well
        rows = min(rows, subject.rows_within(lambda some: subject.descriptor.flop((some, width), 1)))
    (first,), (second,) = subject.described(rows)
    return Work(
        lambda: nearest_neighbours(first, second), product(rows), product(rows) / product(height),
        descriptors_mb(subject, rows),
    )  # fmt: skip


def match_work(subject: Subject) -> Work:
    """Match as the pipeline does."""
    first, second = subject.pyramids
    settings = subject.settings.matching
    return Work(lambda: match(first, second, settings), held_mb=descriptors_mb(subject, subject.size[1]))


def interpolate_work(subject: Subject) -> Work:
    """Interpolate the matches."""
    matches, image, settings = subject.matches, subject.pair.image1, subject.settings.interpolation
    return Work(lambda: interpolate(matches, image, None, settings))


def refine_work(subject: Subject) -> Work:
    """Refine the interpolated flow."""
    (start, confidence), pair, settings = subject.dense_flow, subject.pair, subject.settings.refinement
    return Work(lambda: refine(start, pair.image1, pair.image2, settings, confidence))


def total_work(subject: Subject) -> Work:
    """Estimate the flow from the two frames."""
    pair, descriptor, settings = subject.pair, subject.descriptor, subject.settings
    return Work(lambda: estimate_flow(pair.image1, pair.image2, descriptor, settings=settings))


def path_work(subject: Subject) -> Work:
    """Describe both frames and match them."""
    settings = subject.settings.matching
    return Work(lambda: match(*subject.described(levels=subject.levels), settings))


def descriptors_mb(subject: Subject, rows: int) -> float:
    """MB of the descriptors of all levels of both frames, and of one level's scales side by side."""
    descriptor, pixels = subject.descriptor, rows * subject.size[0]
    numbers = pixels * 8 / 3 * descriptor.dimension
    if isinstance(descriptor, PatchNet) and descriptor.config.context:
        config = descriptor.config
        numbers += pixels * config.patch_dimension * (2 * len(config.context) + 1)
    return numbers * subject.dtype.itemsize / 2**20


def refusal(subject: Subject, stage: str) -> str | None:
    """Tell why a stage is not run: the arithmetic of patch by patch, or the memory of the descriptors."""
    width, height = subject.size
    if subject.patchwise and stage in ("describe", "match-exact"):
        return None  # on a strip of the image where need be
    flop = 2 * (subject.descriptor.flop((height, width), subject.levels) or 0.0)
    if subject.patchwise and subject.limit and flop > subject.limit:
        return f"describing both frames takes {flop / 1e12:.1f} TFLOP, over the limit"
    needed, free = descriptors_mb(subject, height), free_mb(subject.device)
    if needed > free:
        return f"the descriptors take {needed:.0f} MB, free are {free:.0f} MB"
    return None


def free_mb(device: torch.device) -> float:
    """MB that a process can still get on a device; infinite where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / 2**20
    try:
        for line in MEMINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) / 1024
    except OSError:  # not Linux
        pass
    return float("inf")
