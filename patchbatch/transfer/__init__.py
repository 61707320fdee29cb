"""Transfer: what a learned embedding is worth on new classes, for faces, thumbnails and patches alike."""

from patchbatch.transfer.constructions import OrthogonalCopies, orthogonal_copies
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

__all__ = [
    "EFFECTIVE_RANKS",
    "FisherSpectrum",
    "OrthogonalCopies",
    "effective_rank",
    "fisher_ratio",
    "fisher_spectrum",
    "orthogonal_copies",
    "plot_spectra",
    "scatter_matrices",
    "singular_values",
]
