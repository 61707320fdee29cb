"""Theorem 6: S_w-orthogonal classifiers of high Fisher ratio force a high Fisher spectrum."""

import numpy as np
from scipy.linalg import eigh
from softmax_problems import Floats, Record

from patchbatch.transfer.spectra import fisher_ratio, fisher_spectrum, scatter_matrices


def scatters(rng: np.random.Generator, d: int) -> tuple[Floats, Floats]:
    """Random S_b and S_w; S_b has any rank, and some spectra are steep."""
    inner, outer = rng.normal(size=(d, 3 * d)), rng.normal(size=(d, int(rng.integers(1, 2 * d))))
    steep = 10 ** rng.uniform(-1.5, 1.5, size=d)
    return (outer * steep[:, None]) @ (outer * steep[:, None]).T, inner @ inner.T


def spectrum(Sb: Floats, Sw: Floats) -> tuple[Floats, Floats]:
    """γ, largest first, and S_w^(1/2)."""
    gammas = eigh(Sb, Sw, eigvals_only=True)[::-1]
    values, V = np.linalg.eigh(Sw)
    return gammas, (V * np.sqrt(values)) @ V.T


def test_ky_fan_bound_for_orthogonal_classifiers(record: Record) -> None:
    """Shows Σ_{k≤m} γ_k ≥ Σ σ(f^r) ≥ m θ on 2,000 cases, and so the weaker printed √m θ."""
    rng = np.random.default_rng(30)
    closest = closest_printed = np.inf
    for _ in range(2000):
        d = int(rng.integers(2, 9))
        m = int(rng.integers(1, d + 1))
        Sb, Sw = scatters(rng, d)
        gammas, root = spectrum(Sb, Sw)
        Q = np.linalg.qr(rng.normal(size=(d, m)))[0]
        f = np.linalg.solve(root, Q) * 10 ** rng.uniform(-2, 2, size=m)  # lengths do not matter
        ratios = np.sort(fisher_ratio(f, Sb, Sw))[::-1]
        assert (
            np.cumsum(gammas[:m]) >= np.cumsum(ratios) * (1 - 1e-9)
        ).all()  # Schur-Horn: every partial sum
        assert gammas[:m].sum() >= m * ratios.min() * (1 - 1e-9)
        closest = min(closest, gammas[:m].sum() / (m * ratios.min()))
        closest_printed = min(closest_printed, gammas.sum() / (np.sqrt(m) * ratios.min()))
    assert closest_printed >= 1 - 1e-9
    record("6a", f"2000 orthogonal cases: 0 violations, closest spectrum / m theta is 1 + {closest - 1:.0e}")


def test_bound_for_almost_orthogonal_classifiers(record: Record) -> None:
    """Shows Σ_{k≤m} γ_k ≥ m θ/λ_max(Gram) ≥ m θ/(1+(m−1)δ) on 2,000 nearly orthogonal cases."""
    rng = np.random.default_rng(31)
    closest = np.inf
    for _ in range(2000):
        d = int(rng.integers(2, 9))
        m = int(rng.integers(2, d + 1))
        Sb, Sw = scatters(rng, d)
        gammas, root = spectrum(Sb, Sw)
        u = np.linalg.qr(rng.normal(size=(d, m)))[0] + 10 ** rng.uniform(-3, 0) * rng.normal(size=(d, m))
        u /= np.linalg.norm(u, axis=0)
        theta = fisher_ratio(np.linalg.solve(root, u), Sb, Sw).min()
        gram = u.T @ u
        delta = np.abs(gram - np.eye(m)).max()
        bound = m * theta / np.linalg.eigvalsh(gram)[-1]
        assert m * theta / (1 + (m - 1) * delta) <= bound * (1 + 1e-9)
        assert gammas[:m].sum() >= bound * (1 - 1e-9)
        closest = min(closest, gammas[:m].sum() / bound)
    record(
        "6b", f"2000 almost orthogonal cases: 0 violations, closest spectrum / bound is 1 + {closest - 1:.0e}"
    )


def test_bound_is_reached_by_a_flat_spectrum() -> None:
    """Shows that m θ cannot be improved: γ_1 = .. = γ_m = θ reaches it."""
    Sw = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 3.0]])
    gammas, root = spectrum(1.5 * Sw, Sw)
    f = np.linalg.solve(root, np.eye(3)[:, :2])
    assert np.isclose(gammas[:2].sum(), 2 * fisher_ratio(f, 1.5 * Sw, Sw).min())


def test_plain_orthogonality_is_not_enough(record: Record) -> None:
    """Shows why S_w stands in the theorem: plainly orthogonal, both of ratio 1, above a spectrum of sum 1."""
    Sw, Sb = np.array([[1, 0.999], [0.999, 1]]), np.ones((2, 2))
    gammas, _ = spectrum(Sb, Sw)
    ratios = fisher_ratio(np.eye(2), Sb, Sw)
    assert np.allclose(ratios, 1)
    assert gammas.sum() < np.sqrt(2)
    record("6c", f"plain orthogonality, both ratios 1: sum of the spectrum {gammas.sum():.4f} < sqrt 2")


def test_bound_on_samples() -> None:
    """Shows the theorem where users meet it: classifiers and spectrum of one labelled sample."""
    rng = np.random.default_rng(32)
    labels = np.repeat(np.arange(10), 30)
    samples = rng.normal(size=(10, 6))[labels] + rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    Sb, Sw = scatter_matrices(samples, labels)
    root = spectrum(Sb, Sw)[1]
    ratios = fisher_ratio(np.linalg.solve(root, np.linalg.qr(rng.normal(size=(6, 3)))[0]), Sb, Sw)
    assert fisher_spectrum(samples, labels).values[:3].sum() >= ratios.sum()
