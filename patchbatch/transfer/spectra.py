"""Spectra of a representation: how many directions it uses, and how well they tell classes apart.

Samples are rows everywhere, `(n, d)`; the talk writes the transpose, a representation D of d × n.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.checks import Floats, as_labels, as_numpy, as_samples, index_classes

# Solid blue, dotted red, dashed magenta as in the talk; six more combinations for further models.
_COLOURS = ("blue", "red", "magenta")
_LINES = ("-", ":", "--")
_SINGULAR = 1e-12  # smallest eigenvalue of S_w against its largest, below which S_w counts as singular


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
    samples = as_samples(representation, "representation")
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
    spectrum = as_numpy(values, "values").astype(np.float64).ravel()
    if not spectrum.size or not np.isfinite(spectrum).all() or spectrum.min() < 0:
        raise PatchBatchError("singular values must be finite and not negative, and at least one")
    largest = spectrum.max()
    if largest == 0:
        return 0.0
    scaled = np.sort(spectrum / largest)[::-1]  # scaled first: squares of huge values would overflow
    return _energy(scaled**2, energy) if kind == "energy" else _DEFINITIONS[kind](scaled)


def _exp_entropy(weights: Floats) -> float:
    share = weights / weights.sum()
    share = share[share > 0]  # 0 log 0 = 0
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


def scatter_matrices(representation: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    """Return the between-class and the within-class scatter of labelled samples.

    S_b = Σ_j n_j (μ_j − μ)(μ_j − μ)ᵀ / n and S_w = Σ_j Σ_{i in j} (d_i − μ_j)(d_i − μ_j)ᵀ / n, as the talk
    has them; their sum is the covariance of all samples.

    Parameters
    ----------
    representation
        `(n, d)` numbers, one sample in a row.
    labels
        `(n,)` whole numbers, the class of each sample; at least two classes, one of them with two samples.

    Returns
    -------
    between, within : ndarray
        Each `(d, d)` float64, symmetric.
    """
    samples = as_samples(representation, "representation")
    classes, index, counts = index_classes(as_labels(labels, len(samples)))
    means = np.zeros((len(classes), samples.shape[1]))
    np.add.at(means, index, samples)
    means /= counts[:, None]
    offsets = (means - samples.mean(axis=0)) * np.sqrt(counts / len(samples))[:, None]
    residuals = samples - means[index]
    return offsets.T @ offsets, residuals.T @ residuals / len(samples)


@dataclass(frozen=True)
class FisherSpectrum:
    """Solutions of S_b v = γ (S_w + t·tr(S_w)/d·I) v.

    Attributes
    ----------
    values
        `(d,)` float64, the γ ≥ 0, largest first; at most `classes − 1` are not 0.
    directions
        `(d, d)` float64, one v in a column, of within-class variance 1 (the regularised S_w).
    shrinkage
        The t that was added; 0 is none.
    """

    values: Floats
    directions: Floats
    shrinkage: float

    @property
    def share_of_total(self) -> Floats:
        """`(d,)` γ/(1 + γ) in [0, 1): how much of the variance along each direction lies between classes."""
        return self.values / (1 + self.values)


def fisher_spectrum(representation: ArrayLike, labels: ArrayLike, shrinkage: float = 0.0) -> FisherSpectrum:
    """Return the Fisher spectrum of labelled samples, S_b v = γ S_w v.

    Measured on the classes that trained a network, the γ flatter it; and on any finite sample they are too
    large, by about (classes − 1)/(samples − classes). Compare models on the same held-out samples.

    Parameters
    ----------
    representation, labels
        `(n, d)` samples in rows and `(n,)` their classes, as `scatter_matrices` takes them.
    shrinkage
        t ≥ 0: t·tr(S_w)/d is added to the diagonal of S_w. Larger values pull every γ down and the weak
        directions most. With 0 the spectrum does not change under any invertible linear map of the
        features, but S_w must not be singular.

    Raises
    ------
    PatchBatchError
        If S_w is singular (fewer samples than features, dead features) and `shrinkage` is 0, if no class
        varies at all, or if samples and labels are not usable.

    Examples
    --------
    >>> fisher_spectrum([[0.0], [2.0], [6.0], [8.0]], [1, 1, 2, 2]).values
    array([9.])
    """
    if not (np.isfinite(shrinkage) and shrinkage >= 0):
        raise PatchBatchError(f"shrinkage is a number of at least 0, not {shrinkage}")
    between, within = scatter_matrices(representation, labels)
    width = len(within)
    ridge = shrinkage * np.trace(within) / width
    regularised = within + ridge * np.eye(width)
    spread = np.linalg.eigvalsh(regularised)
    if spread[0] <= _SINGULAR * spread[-1]:
        raise PatchBatchError(
            f"the within-class scatter of {width} features is singular; give shrinkage (1e-3, say), "
            "or more samples that differ within their class"
        )
    gammas, directions = eigh(between, regularised)
    return FisherSpectrum(np.maximum(gammas[::-1], 0), directions[:, ::-1], shrinkage)


def fisher_ratio(direction: ArrayLike, between: ArrayLike, within: ArrayLike) -> Floats:
    """Return σ(v) = vᵀ S_b v / vᵀ S_w v, the Fisher ratio of a direction or of several.

    It lies between the smallest and the largest γ of the Fisher spectrum, and does not depend on the
    length of v.

    Parameters
    ----------
    direction
        `(d,)`, or `(d, k)` with one direction in a column.
    between, within
        `(d, d)` scatter matrices, as `scatter_matrices` gives them.

    Returns
    -------
    ndarray
        `()` for one direction, `(k,)` for several, float64.
    """
    v, sb, sw = (as_numpy(a, "direction").astype(np.float64) for a in (direction, between, within))
    if v.ndim not in (1, 2) or sb.shape != (len(v), len(v)) or sw.shape != sb.shape:
        raise PatchBatchError(f"a direction {v.shape} does not fit scatter matrices {sb.shape}, {sw.shape}")
    below = np.einsum("d...,d...->...", v, sw @ v)
    if not (below > 0).all():
        raise PatchBatchError("no variance within the classes along this direction; its ratio is unbounded")
    return np.asarray(np.einsum("d...,d...->...", v, sb @ v) / below)


def plot_spectra(
    spectra: Mapping[str, ArrayLike],
    axes: Any = None,
    ylabel: str = "singular value",
    logarithmic: bool = False,
) -> Any:
    """Draw the spectra of several models over each other, largest value first.

    The first is solid blue, the second dotted red, the third dashed magenta: the talk has M5, M3 and M1 in
    that order. Save it with `axes.figure.savefig(file)`.

    Parameters
    ----------
    spectra
        Name of a model → its values, `(k,)` in any order; the lengths may differ. Nine models at most look
        different from each other.
    axes
        Matplotlib axes to draw into; None makes a new figure.
    ylabel
        What the values are.
    logarithmic
        A logarithmic scale upwards; zeros then fall off the picture.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, not yet shown or saved.

    Raises
    ------
    PatchBatchError
        If matplotlib is not installed.
    """
    if axes is None:
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 (an optional dependency)
        except ImportError:
            raise PatchBatchError("plots need matplotlib: pip install 'patchbatch[plots]'") from None
        axes = Figure(figsize=(5, 3.5), layout="constrained").subplots()
    for place, (name, values) in enumerate(spectra.items()):
        ordered = np.sort(as_numpy(values, "values").astype(np.float64).ravel())[::-1]
        colour, line = _COLOURS[place % 3], _LINES[(place + place // 3) % 3]
        axes.plot(np.arange(1, ordered.size + 1), ordered, color=colour, linestyle=line, label=name)
    axes.set(xlabel="index", ylabel=ylabel, yscale="log" if logarithmic else "linear")
    axes.legend()
    return axes
