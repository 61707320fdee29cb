"""Seconds, memory and share of the machine's limit, stage by stage and size by size."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import describe_environment
from benchmarks.progress import Figure, Progress
from benchmarks.report import markdown, number, significant
from benchmarks.speed.settings import SpeedSettings
from benchmarks.speed.table import PLOTTED, STAGES
from benchmarks.speed.works import Subject, Work, refusal
from flow.cost import Meter
from patchbatch.devices import resolve_device
from patchbatch.models import load_descriptor
from patchbatch.runs.journal import plain
from patchbatch.tables import Entry
from patchbatch.threads import set_threads

STATUS = Path("/proc/self/status")
# Sides of the square matrices whose product is the machine's limit.
PRODUCT_CPU, PRODUCT_DEVICE = 2048, 8192
WARM_UP_SIZE = (96, 64)
SECONDS = Figure("seconds", "s", 3)
# 4:3 frames of 0.1 to 8 megapixels.
PLOT_SIZES = ((368, 276), (576, 432), (816, 612), (1152, 864), (1632, 1224), (2312, 1734), (3264, 2448))


@dataclass(frozen=True)
class Time:
    """Seconds of one run by the wall clock and by the processor's, which counts all threads."""

    wall: float
    processor: float


class Limit:
    """The machine's own matrix product in a number type, timed between the runs it is compared with."""

    def __init__(self, dtype: torch.dtype, device: torch.device):
        side = PRODUCT_CPU if device.type == "cpu" else PRODUCT_DEVICE
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.rand(side, side, generator=generator).to(device, dtype)
        self.device = device
        self.rates: list[float] = []  # GFLOP/s by the wall clock
        timed(self._product, device)  # the first run of a number type prepares the library

    @property
    def flop(self) -> float:
        """Arithmetic of one product."""
        return 2.0 * len(self.matrix) ** 3

    def measure(self) -> Time:
        """Time one product."""
        time_of_one = timed(self._product, self.device)
        self.rates.append(self.flop / time_of_one.wall / 1e9)
        return time_of_one

    def _product(self) -> torch.Tensor:
        return self.matrix @ self.matrix


def run(settings: SpeedSettings) -> dict[str, Any]:
    """Time the rows; return {"rows", "peak-GFLOPs", "environment"}.

    A row holds "stage", "model", "size" (width, height), "seconds" (median, of the whole image),
    "share-of-peak" (None where the arithmetic is not known), "extra-MB" (peak beyond what was held before,
    results included; None where the system does not tell), "part" (share of the arithmetic that was run), or
    "refused" with the reason and no figures. On a CPU "share-by-processor-time" is the same share by the
    time that the process had on the cores, which others who use them change little. "peak-GFLOPs" is the
    best matrix product of the run by type.
    """
    device = resolve_device(settings.device)
    # Compiled loops and matrix products on the same number of cores.
    set_threads(torch.get_num_threads())
    precise = torch.float16 if device.type == "cuda" else torch.bfloat16
    limits = {dtype: Limit(dtype, device) for dtype in (torch.float32, precise)}
    rows: list[dict[str, Any]] = []
    staged = [STAGES[stage] for stage in settings.stages if stage != "jb"]
    total = len(settings.models) * len(settings.sizes) * len(staged) + len(PLOT_SIZES) * settings.plot
    with Progress(total + ("jb" in settings.stages), "row", SECONDS, strict=True) as progress:
        for model in settings.models if staged else ():
            rows += _rows_of_model(model, staged, settings, limits, progress)
        if settings.plot:
            rows += _plot_rows(settings, limits, progress)
        if "jb" in settings.stages:
            with progress.trying("jb"):
                rows += [{"stage": "jb", **row} for row in STAGES["jb"].load()(settings.repeats)]
    for limit in limits.values():
        limit.measure()
    peaks = {str(dtype).removeprefix("torch."): max(limit.rates) for dtype, limit in limits.items()}
    environment = describe_environment(str(device)) | {"settings": asdict(settings)}
    environment["flow-settings"] = plain(settings.flow_settings().to_table())
    return {"rows": rows, "peak-GFLOPs": peaks, "environment": environment}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, other figures than the common ones by name."""
    header = ["stage", "model", "size", "seconds", "share of peak", "extra MB", "remarks"]
    return markdown(header, [_cells(row) for row in rows], labels=3)


def _cells(row: dict[str, Any]) -> list[str]:
    size = "x".join(str(side) for side in row.get("size") or ())
    figures = [
        significant(row.get("seconds")), number(row.get("share-of-peak"), 2), number(row.get("extra-MB"), 0)
    ]  # fmt: skip
    return [row["stage"], row.get("model") or "", size, *figures, _remark(row)]


def _remark(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"refused: {row['refused']}"
    common = ("stage", "model", "size", "seconds", "share-of-peak", "extra-MB", "part")
    remarks = [f"{100 * row['part']:.2g} % of it run"] if row.get("part", 1.0) < 1 else []
    for name, value in row.items():
        if name not in common:
            remarks.append(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(remarks)


Limits = dict[torch.dtype, Limit]


def _rows_of_model(
    model: str, stages: Sequence[Entry], settings: SpeedSettings, limits: Limits, progress: Progress
) -> list[dict[str, Any]]:
    device = resolve_device(settings.device)
    descriptor, flow = load_descriptor(model, str(device)), settings.flow_settings()
    for stage in stages:  # compiles the loops and fills the caches of libraries
        stage.load()(Subject(descriptor, WARM_UP_SIZE, settings.limit, flow)).run()
    rows = []
    for size in settings.sizes:
        subject = Subject(descriptor, size, settings.limit, flow)
        for stage in stages:
            rows.append(_told(stage, model, subject, settings.repeats, limits, progress))
    return rows


def _plot_rows(settings: SpeedSettings, limits: Limits, progress: Progress) -> list[dict[str, Any]]:
    model, flow = settings.models[0], settings.flow_settings()
    descriptor = load_descriptor(model, str(resolve_device(settings.device)))
    PLOTTED.load()(Subject(descriptor, WARM_UP_SIZE, settings.limit, flow)).run()
    return [
        _told(
            PLOTTED,
            model,
            Subject(descriptor, size, settings.limit, flow),
            settings.repeats,
            limits,
            progress,
        )
        for size in PLOT_SIZES
    ]


def _told(
    stage: Entry, model: str, subject: Subject, repeats: int, limits: Limits, progress: Progress
) -> dict[str, Any]:
    width, height = subject.size
    with progress.trying(f"{stage.name} {width}x{height}, {model}"):
        row = _row(stage, model, subject, repeats, limits)
        progress.tell({f"{model} {stage.name}": row["seconds"]})
    return row


def _row(stage: Entry, model: str, subject: Subject, repeats: int, limits: Limits) -> dict[str, Any]:
    row: dict[str, Any] = {"stage": stage.name, "model": model, "size": list(subject.size)}
    nothing = {"seconds": None, "share-of-peak": None, "extra-MB": None}
    reason = refusal(subject, stage.name)
    if reason is not None:
        return row | nothing | {"refused": reason}
    try:
        return row | _figures(stage.load()(subject), subject, repeats, limits)
    except (MemoryError, torch.OutOfMemoryError) as error:
        return row | nothing | {"refused": f"out of memory: {str(error).splitlines()[0]}"}


def _figures(work: Work, subject: Subject, repeats: int, limits: Limits) -> dict[str, Any]:
    limit = limits.get(subject.dtype, limits[torch.float32])
    extra = extra_mb(work.run, subject.device)  # warms up as well
    runs, products = [], []
    for _ in range(repeats):
        products.append(limit.measure())
        runs.append(timed(work.run, subject.device))
    wall = statistics.median(run.wall for run in runs)
    figures: dict[str, Any] = {
        "seconds": wall / work.part, "share-of-peak": None, "extra-MB": extra, "part": work.part,
    }  # fmt: skip
    if work.flop is not None:
        rate = work.flop / wall
        figures["share-of-peak"] = rate / (limit.flop / statistics.median(run.wall for run in products))
    if work.flop is not None and subject.device.type == "cpu":
        rate = work.flop / statistics.median(run.processor for run in runs)
        most = limit.flop / statistics.median(run.processor for run in products)
        figures["share-by-processor-time"] = rate / most
    return figures


def timed(run: Callable[[], object], device: torch.device) -> Time:
    """Time a call, with all that it started on the device."""
    _wait(device)
    start, processor = time.perf_counter(), time.process_time()
    run()
    _wait(device)
    return Time(time.perf_counter() - start, time.process_time() - processor)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def extra_mb(run: Callable[[], object], device: torch.device) -> float | None:
    """Return the peak memory of a call in MB beyond what was held before it, on a GPU that of the GPU.

    None where the system does not tell.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with suppress(OSError, AttributeError):  # glibc keeps what was freed, and would hide what is used again
        ctypes.CDLL(None).malloc_trim(0)
    held = _resident_mb()
    meter = Meter(per_stage_memory=True)
    with meter.stage("run") as cost:
        run()
    return None if held is None else max(0.0, cost.peak_mb - held)


def _resident_mb() -> float | None:
    """MB of this process in memory now (Linux)."""
    try:
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    except OSError:  # another system
        pass
    return None
