"""The machine, the versions and the commit behind a measurement."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from patchbatch.runs.fingerprint import checkout_commit


def describe_environment(device: str) -> dict[str, Any]:
    """Return what has to stand beside a figure for it to be comparable.

    Parameters
    ----------
    device
        Where the measured method ran: `"cpu"`, `"cuda:0"`; a CUDA device gets its name added.

    Returns
    -------
    dict
        `python`, `torch`, `opencv`, `numpy`, `cpu`, `threads`, `device`, `date` (UTC, ISO 8601) and, in a
        checkout, `commit`, which ends in `-dirty` if files were changed since.
    """
    environment: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": _torch_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "threads": thread_count(),
        "device": device_name(device),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    commit = checkout_commit(Path(__file__))
    return environment if commit is None else environment | {"commit": commit}


@cache
def cpu_model() -> str:
    """Return the processor's name as the system gives it, else the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _torch_version() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "unknown"


def thread_count() -> int:
    """Return the threads the run had: torch's own count if it was used, else the usable processors."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_name(device: str) -> str:
    """Return a device with the name of the GPU, if it is one."""
    if device.startswith("cuda") and "torch" in sys.modules:
        return f"{device} ({sys.modules['torch'].cuda.get_device_name(device)})"
    return device
