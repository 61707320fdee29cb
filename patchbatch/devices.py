"""Where and how precisely to compute: the one place that decides."""

from __future__ import annotations

import torch

from patchbatch.errors import PatchBatchError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str = "auto") -> torch.device:
    """Turn "auto" or a torch device name into a device that is there.

    "auto" takes CUDA when a GPU is usable, else Apple's MPS, else the CPU.

    Raises
    ------
    PatchBatchError
        For a name torch does not know, or a device this machine does not have.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise PatchBatchError(f"unknown device {device!r}; use auto, cpu, cuda or mps") from error
    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not usable.get(resolved.type, False):
        raise PatchBatchError(f"this machine has no usable {resolved.type} device; use cpu or auto")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise PatchBatchError(
            f"there are {torch.cuda.device_count()} CUDA devices, so no {device!r}; use a lower number"
        )
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Turn "auto" or a name into the number type of the products.

    "auto" is float16 on CUDA, bfloat16 on CPUs that multiply it in hardware, and float32 elsewhere.

    Raises
    ------
    PatchBatchError
        For an unknown name, and for float16 on the CPU, where it is slower than float32.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if device.type == "cpu" and multiplies_bfloat16(device) else torch.float32
    if precision not in PRECISIONS:
        raise PatchBatchError(f"unknown precision {precision!r}; use auto, {', '.join(PRECISIONS)}")
    if precision == "float16" and device.type == "cpu":
        raise PatchBatchError("float16 is not worth having on a CPU; use bfloat16, float32 or auto")
    return PRECISIONS[precision]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware: elsewhere it is several times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False))


def resolve_training_precision(precision: str, device: torch.device) -> torch.dtype:
    """Turn "auto" or a name into the number type of the products of a training.

    "auto" is bfloat16 on devices that multiply it in hardware, and float32 elsewhere. float16 is none of
    them: its gradients need scaling.

    Raises
    ------
    PatchBatchError
        For an unknown name, and for float16.
    """
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise PatchBatchError(f"a training computes in auto, float32 or bfloat16, not {precision!r}")
    return PRECISIONS[precision]
