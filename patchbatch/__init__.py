"""PatchBatch: learned patch descriptors, and the dense correspondences they give.

Everything named here is loaded when it is first used, so that `import patchbatch` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from patchbatch.errors import PatchBatchError

if TYPE_CHECKING:
    from flow.pipeline import FlowResult, estimate_flow
    from patchbatch.zoo import load_model, model_names

try:
    __version__ = version("patchbatch")
except PackageNotFoundError:  # used from a checkout that is not installed
    __version__ = "0+unknown"

# `estimate_flow` is the one look upward: by name only, nothing of `flow` is imported before it is called for.
_HOMES = {
    "load_model": "patchbatch.zoo",
    "model_names": "patchbatch.zoo",
    "estimate_flow": "flow.pipeline",
    "FlowResult": "flow.pipeline",
}

__all__ = ["FlowResult", "PatchBatchError", "__version__", "estimate_flow", "load_model", "model_names"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'patchbatch' has no attribute {name!r}")
