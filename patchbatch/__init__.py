"""PatchBatch: learned patch descriptors, and the dense correspondences they give.

Everything named here is loaded when it is first used, so that `import patchbatch` is quick.
"""

from importlib import import_module
from typing import Any

import lazy_loader

# The one look upward: by name only, nothing of `flow` is imported before it is called for.
_UPWARD = {
    "FlowCalculator": "flow.interfaces.calculator",
    "FlowModel": "flow.interfaces.flow_model",
    "FlowResult": "flow.results.result",
    "choose": "flow.interfaces.choose",
    "estimate_flow": "flow.pipeline",
    "interpolate": "flow.interpolation.stage",
    "judged_matches": "flow.matching.stage",
    "match": "flow.matching.stage",
    "refine": "flow.refinement.stage",
}

_own, _, _names = lazy_loader.attach(
    __name__,
    submodules=["data", "descriptors", "training", "transfer"],
    submod_attrs={
        "descriptors.description": ["describe", "describe_points", "describe_pyramid"],
        "errors": ["PatchBatchError"],
        "models": ["load_descriptor", "load_model", "model_names"],
    },
)
__all__ = [*_names, *_UPWARD, "__version__"]  # noqa: PLE0604 - they are strings


def __getattr__(name: str) -> Any:
    if name in _UPWARD:
        return getattr(import_module(_UPWARD[name]), name)
    return _version() if name == "__version__" else _own(name)


def _version() -> str:
    # Imported when asked for: it takes a third of the time of a help text.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("patchbatch")
    except PackageNotFoundError:  # used from a checkout that is not installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted(__all__)
