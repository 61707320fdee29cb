"""Transfer: what a learned embedding is worth on new classes, for faces, thumbnails and patches alike.

Everything named here is loaded when it is first used: not all of it needs torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchbatch.transfer.constructions import OrthogonalCopies, orthogonal_copies
    from patchbatch.transfer.diagnostics import Diagnostics, diagnose
    from patchbatch.transfer.joint_bayesian import JointBayesian
    from patchbatch.transfer.multiverse import MultiverseHead, MultiverseSettings
    from patchbatch.transfer.networks import MultiverseNet, NetworkInNetwork, ScratchNet
    from patchbatch.transfer.spectra import (
        EFFECTIVE_RANKS,
        FisherSpectrum,
        effective_rank,
        fisher_ratio,
        fisher_spectrum,
        plot_spectra,
        scatter_matrices,
        singular_values,
    )
    from patchbatch.transfer.train import TrainSettings, train_net

_HOMES = {
    "EFFECTIVE_RANKS": "spectra",
    "Diagnostics": "diagnostics",
    "FisherSpectrum": "spectra",
    "JointBayesian": "joint_bayesian",
    "MultiverseHead": "multiverse",
    "MultiverseNet": "networks",
    "MultiverseSettings": "multiverse",
    "NetworkInNetwork": "networks",
    "OrthogonalCopies": "constructions",
    "ScratchNet": "networks",
    "TrainSettings": "train",
    "diagnose": "diagnostics",
    "effective_rank": "spectra",
    "fisher_ratio": "spectra",
    "fisher_spectrum": "spectra",
    "orthogonal_copies": "constructions",
    "plot_spectra": "spectra",
    "scatter_matrices": "spectra",
    "singular_values": "spectra",
    "train_net": "train",
}

__all__ = [
    "EFFECTIVE_RANKS",
    "Diagnostics",
    "FisherSpectrum",
    "JointBayesian",
    "MultiverseHead",
    "MultiverseNet",
    "MultiverseSettings",
    "NetworkInNetwork",
    "OrthogonalCopies",
    "ScratchNet",
    "TrainSettings",
    "diagnose",
    "effective_rank",
    "fisher_ratio",
    "fisher_spectrum",
    "orthogonal_copies",
    "plot_spectra",
    "scatter_matrices",
    "singular_values",
    "train_net",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
