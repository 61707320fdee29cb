"""What the speed benchmark runs: each stage on a made scene, and the arithmetic that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flow.interpolation.stage import interpolate
from flow.matching.exact.search import nearest_neighbours
from flow.matching.matches import Matches
from flow.matching.stage import match
from flow.pipeline import estimate_flow, pyramid_levels
from flow.refinement.stage import refine
from flow.synthetic import demo_scene
from patchbatch.data.images import to_grey
from patchbatch.data.scenes.render import ScenePair
from patchbatch.descriptors.cost import describing_flop
from patchbatch.descriptors.description import describe_pyramid
from patchbatch.descriptors.patch_net import PatchNet
from patchbatch.devices import resolve_precision

MEMINFO = Path("/proc/meminfo")
LEAST_ROWS = 8


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
    """A network and two frames of a size; what the later stages start from is made when first asked for.

    Parameters
    ----------
    net
        The network, on the device that is timed.
    size
        Width and height in px.
    limit
        Arithmetic of one run in FLOP; 0: none.
    """

    def __init__(self, net: PatchNet, size: tuple[int, int], limit: float):
        self.net, self.size, self.limit = net, size, limit
        self.device = next(net.parameters()).device
        self.dtype = resolve_precision("auto", self.device)

    @cached_property
    def pair(self) -> ScenePair:
        """The two frames, in colour."""
        return demo_scene(self.size[1], self.size[0])

    @cached_property
    def pyramids(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Both frames, described at all levels."""
        levels = pyramid_levels((self.size[1], self.size[0]))
        first, second = (
            describe_pyramid(to_grey(image), self.net, levels)
            for image in (self.pair.image1, self.pair.image2)
        )
        return first, second

    @cached_property
    def matches(self) -> Matches:
        """Matches of the default path."""
        return match(*self.pyramids)

    @cached_property
    def dense_flow(self) -> NDArray[np.float32]:
        """The interpolated matches."""
        return interpolate(self.matches, self.pair.image1)[0]

    def rows_within(self, flop_of_rows: Callable[[int], float]) -> int:
        """Return how many rows of the frames keep within the limit, at least `LEAST_ROWS`."""
        height = self.size[1]
        if not self.limit or flop_of_rows(height) <= self.limit:
            return height
        rows = height
        while rows > LEAST_ROWS and flop_of_rows(rows) > self.limit:
            rows -= 1
        return rows


def describe_work(subject: Subject) -> Work:
    """Describe one frame at all levels; a network that sees patch by patch may get the upper rows only."""
    net, (width, height) = subject.net, subject.size
    levels = pyramid_levels((height, width))
    whole = describing_flop(net.config, (height, width), levels)
    rows = height
    if not net.is_dense:
        rows = subject.rows_within(lambda some: describing_flop(net.config, (some, width), 1))
        levels = levels if rows == height else 1
    grey = to_grey(subject.pair.image1)[:rows]
    flop = describing_flop(net.config, (rows, width), levels)
    return Work(
        lambda: describe_pyramid(grey, net, levels), flop, flop / whole, descriptors_mb(subject, rows) / 2
    )


def exact_work(subject: Subject) -> Work:
    """Match all pixels, or those of the upper rows of both frames, both ways."""
    net, (width, height) = subject.net, subject.size
    length = net.config.dimension

    def product(rows: int) -> float:
        return 2.0 * (rows * width) ** 2 * length

    rows = subject.rows_within(product)
    if not net.is_dense:  # the descriptors have to be had as well
        rows = min(rows, subject.rows_within(lambda some: describing_flop(net.config, (some, width), 1)))
    first, second = (
        describe_pyramid(to_grey(image)[:rows], net, 1)[0]
        for image in (subject.pair.image1, subject.pair.image2)
    )
    return Work(
        lambda: nearest_neighbours(first, second), product(rows), product(rows) / product(height),
        descriptors_mb(subject, rows),
    )  # fmt: skip


def match_work(subject: Subject) -> Work:
    """Match by the default path."""
    first, second = subject.pyramids
    return Work(lambda: match(first, second), held_mb=descriptors_mb(subject, subject.size[1]))


def interpolate_work(subject: Subject) -> Work:
    """Interpolate the matches of the default path."""
    matches, image = subject.matches, subject.pair.image1
    return Work(lambda: interpolate(matches, image))


def refine_work(subject: Subject) -> Work:
    """Refine the interpolated flow."""
    start, pair = subject.dense_flow, subject.pair
    return Work(lambda: refine(start, pair.image1, pair.image2))


def total_work(subject: Subject) -> Work:
    """Estimate the flow from the two frames."""
    pair, net = subject.pair, subject.net
    return Work(lambda: estimate_flow(pair.image1, pair.image2, net))


def path_work(subject: Subject) -> Work:
    """Describe both frames and match them by the default path."""
    pair, net = subject.pair, subject.net
    levels = pyramid_levels((subject.size[1], subject.size[0]))

    def describe_and_match() -> Matches:
        first, second = (
            describe_pyramid(to_grey(image), net, levels) for image in (pair.image1, pair.image2)
        )
        return match(first, second)

    return Work(describe_and_match)


WORKS: dict[str, Callable[[Subject], Work]] = {
    "describe": describe_work, "match-exact": exact_work, "match": match_work,
    "interpolate": interpolate_work, "refine": refine_work, "total": total_work,
    "describe-and-match": path_work,
}  # fmt: skip


def descriptors_mb(subject: Subject, rows: int) -> float:
    """MB of the descriptors of all levels of both frames, and of one level's scales side by side."""
    config = subject.net.config
    pixels = rows * subject.size[0]
    numbers = pixels * 8 / 3 * config.dimension
    if config.context:
        numbers += pixels * config.patch_dimension * (2 * len(config.context) + 1)
    return numbers * subject.dtype.itemsize / 2**20


def refusal(subject: Subject, stage: str) -> str | None:
    """Tell why a stage is not run: the arithmetic of patch by patch, or the memory of the descriptors."""
    net, (width, height) = subject.net, subject.size
    if not net.is_dense and stage in ("describe", "match-exact"):
        return None  # on a strip of the image where need be
    levels = pyramid_levels((height, width))
    flop = 2 * describing_flop(net.config, (height, width), levels)
    if not net.is_dense and subject.limit and flop > subject.limit:
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
