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
    from patchbatch.transfer.lfw import Lfw, read_view1, read_view2
    from patchbatch.transfer.multiverse import MultiverseHead, MultiverseSettings
    from patchbatch.transfer.networks import MultiverseNet, NetworkInNetwork, ScratchNet
    from patchbatch.transfer.pairs import Pairs, deal_folds, make_pairs
    from patchbatch.transfer.roc import Roc, choose_threshold, equal_error_rate, roc_curve, tar_at_far
    from patchbatch.transfer.scorers import (
        Cosine,
        Projected,
        Projection,
        average_scores,
        concatenate_features,
        score_pairs,
    )
    from patchbatch.transfer.siamese import SiameseHead, SiameseSettings, SiameseVerifier
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
    from patchbatch.transfer.verification import (
        Verification,
        cross_validate,
        paired_difference,
        verify,
        verify_source,
        verify_splits,
    )

_HOMES = {
    "EFFECTIVE_RANKS": "spectra",
    "Cosine": "scorers",
    "Diagnostics": "diagnostics",
    "FisherSpectrum": "spectra",
    "JointBayesian": "joint_bayesian",
    "Lfw": "lfw",
    "MultiverseHead": "multiverse",
    "MultiverseNet": "networks",
    "MultiverseSettings": "multiverse",
    "NetworkInNetwork": "networks",
    "OrthogonalCopies": "constructions",
    "Pairs": "pairs",
    "Projected": "scorers",
    "Projection": "scorers",
    "Roc": "roc",
    "ScratchNet": "networks",
    "SiameseHead": "siamese",
    "SiameseSettings": "siamese",
    "SiameseVerifier": "siamese",
    "TrainSettings": "train",
    "Verification": "verification",
    "average_scores": "scorers",
    "choose_threshold": "roc",
    "concatenate_features": "scorers",
    "cross_validate": "verification",
    "deal_folds": "pairs",
    "diagnose": "diagnostics",
    "effective_rank": "spectra",
    "equal_error_rate": "roc",
    "fisher_ratio": "spectra",
    "fisher_spectrum": "spectra",
    "make_pairs": "pairs",
    "orthogonal_copies": "constructions",
    "paired_difference": "verification",
    "plot_spectra": "spectra",
    "read_view1": "lfw",
    "read_view2": "lfw",
    "roc_curve": "roc",
    "scatter_matrices": "spectra",
    "score_pairs": "scorers",
    "singular_values": "spectra",
    "tar_at_far": "roc",
    "train_net": "train",
    "verify": "verification",
    "verify_source": "verification",
    "verify_splits": "verification",
}

__all__ = [
    "EFFECTIVE_RANKS",
    "Cosine",
    "Diagnostics",
    "FisherSpectrum",
    "JointBayesian",
    "Lfw",
    "MultiverseHead",
    "MultiverseNet",
    "MultiverseSettings",
    "NetworkInNetwork",
    "OrthogonalCopies",
    "Pairs",
    "Projected",
    "Projection",
    "Roc",
    "ScratchNet",
    "SiameseHead",
    "SiameseSettings",
    "SiameseVerifier",
    "TrainSettings",
    "Verification",
    "average_scores",
    "choose_threshold",
    "concatenate_features",
    "cross_validate",
    "deal_folds",
    "diagnose",
    "effective_rank",
    "equal_error_rate",
    "fisher_ratio",
    "fisher_spectrum",
    "make_pairs",
    "orthogonal_copies",
    "paired_difference",
    "plot_spectra",
    "read_view1",
    "read_view2",
    "roc_curve",
    "scatter_matrices",
    "score_pairs",
    "singular_values",
    "tar_at_far",
    "train_net",
    "verify",
    "verify_source",
    "verify_splits",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
