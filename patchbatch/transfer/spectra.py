"""Spectra of a representation: singular values and how many of them count.

Samples are rows everywhere, `(n, d)`; the talk writes the transpose, a representation D of d × n.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchbatch.errors import PatchBatchError

Floats = NDArray[np.float64]


def singular_values(representation: ArrayLike) -> Floats:
    """Return the singular values of a centred representation.

    Parameters
    ----------
    representation
        `(n, d)` numbers, one sample in a row. The mean row is taken away first: otherwise a common offset,
        which no classifier with a bias can see, would count as the strongest direction.

    Returns
    -------
    ndarray
        `(min(n, d),)` float64, largest first, in the units of the representation times √n.
    """
    samples = np.asarray(representation, dtype=np.float64)
    if samples.ndim != 2 or min(samples.shape) == 0:
        raise PatchBatchError(f"a representation is (samples, features), this one is {samples.shape}")
    if not np.isfinite(samples).all():
        raise PatchBatchError("the representation holds NaN or infinite numbers; leave those samples out")
    values: Floats = np.linalg.svd(samples - samples.mean(axis=0), compute_uv=False)
    return values


def effective_rank(values: ArrayLike, kind: str = "entropy", energy: float = 0.99) -> float:
    """Say in one number how many directions a spectrum really uses.

    Every kind lies between 1 and the number of non-zero values, does not depend on scale, and equals k
    for k equal values. They are ordered: stable ≤ participation ≤ entropy ≤ roy-vetterli ≤ rank.

    Parameters
    ----------
    values
        `(k,)` singular values s ≥ 0, in any order, as `singular_values` gives them. Below, λ = s².
    kind
        - `"stable"`: Σλ / max λ;
        - `"participation"`: (Σλ)² / Σλ²;
        - `"entropy"`: exp of the entropy of λ/Σλ;
        - `"roy-vetterli"`: exp of the entropy of s/Σs, of the values themselves (Roy and Vetterli,
          EUSIPCO 2007);
        - `"energy"`: the least k whose largest λ hold the share `energy` of Σλ.
    energy
        The share for `"energy"`, in (0, 1]; 0.99 is the usual one. The other kinds do not use it.

    Returns
    -------
    float
        The effective rank; 0 if all values are 0.

    Raises
    ------
    PatchBatchError
        For an unknown kind, no values, or values that are negative or not finite.

    Examples
    --------
    >>> effective_rank([3.0, 3.0, 0.0], kind="stable")
    2.0
    """
    if kind not in EFFECTIVE_RANKS:
        raise PatchBatchError(f"unknown effective rank {kind!r}; choose one of {', '.join(EFFECTIVE_RANKS)}")
    if not 0 < energy <= 1:
        raise PatchBatchError(f"energy is a share in (0, 1], not {energy}")
    spectrum = np.asarray(values, dtype=np.float64).ravel()
    if not spectrum.size or not np.isfinite(spectrum).all() or spectrum.min() < 0:
        raise PatchBatchError("singular values must be finite and not negative, and at least one")
    largest = spectrum.max()
    if largest == 0:
        return 0.0
    scaled = np.sort(spectrum / largest)[::-1]  # scaled first: squares of huge values would overflow
    return _energy(scaled**2, energy) if kind == "energy" else _DEFINITIONS[kind](scaled)


def _exp_entropy(weights: Floats) -> float:
    share = weights[weights > 0] / weights.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _energy(energies: Floats, share: float) -> float:
    cumulative = np.cumsum(energies)
    # the total of the same running sum, so that share = 1 is reached whatever the rounding
    return float(np.searchsorted(cumulative, share * cumulative[-1]) + 1)


_DEFINITIONS: dict[str, Callable[[Floats], float]] = {
    "stable": lambda s: float((s**2).sum()),
    "participation": lambda s: float((s**2).sum() ** 2 / (s**4).sum()),
    "entropy": lambda s: _exp_entropy(s**2),
    "roy-vetterli": _exp_entropy,
}

EFFECTIVE_RANKS = (*_DEFINITIONS, "energy")
"""The kinds that `effective_rank` knows."""
