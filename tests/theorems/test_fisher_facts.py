"""Facts on spectra that the theorems and their reading lean on: effective ranks in order, Fisher spectrum."""

import numpy as np
from softmax_problems import Record

from patchbatch.transfer.spectra import (
    effective_rank,
    fisher_ratio,
    fisher_spectrum,
    scatter_matrices,
    singular_values,
)


def test_effective_ranks_are_ordered(record: Record) -> None:
    """Shows stable ≤ participation ≤ entropy ≤ Roy-Vetterli ≤ rank on 2,000 spectra of all shapes."""
    rng = np.random.default_rng(40)
    for _ in range(2000):
        size = int(rng.integers(1, 40))
        values = rng.random(size) ** rng.uniform(0.1, 8)
        values[rng.random(size) < 0.1] = 0
        values[0] = max(values[0], 0.1)
        kinds = ("stable", "participation", "entropy", "roy-vetterli")
        chain = [1.0, *(effective_rank(values, kind) for kind in kinds), float((values > 0).sum())]
        assert (np.diff(chain) >= -1e-9).all()
    record("4.2a", "order of the effective ranks, 2000 spectra: 0 violations")


def test_scatters_add_up_and_ratios_stay_inside_the_spectrum(record: Record) -> None:
    """Shows S_t = S_b + S_w exactly, γ_min ≤ σ(v) ≤ γ_max, at most c − 1 values, and no change under maps."""
    rng = np.random.default_rng(41)
    labels = rng.integers(4, size=120)
    samples = rng.normal(size=(4, 7))[labels] + rng.normal(size=(120, 7)) @ rng.normal(size=(7, 7))
    between, within = scatter_matrices(samples, labels)
    total = np.cov(samples.T, bias=True)
    error = np.abs(between + within - total).max() / np.abs(total).max()
    found = fisher_spectrum(samples, labels)
    ratios = fisher_ratio(rng.normal(size=(7, 1000)), between, within)
    mapped = fisher_spectrum(samples @ rng.normal(size=(7, 7)) + 3.0, labels)
    moved = np.abs(mapped.values - found.values).max() / found.values[0]
    assert error < 1e-13
    assert ratios.max() <= found.values[0]
    assert (found.values[3:] < 1e-12).all()
    assert moved < 1e-9
    # the singular values are those of S_t, n times
    assert np.allclose(singular_values(samples) ** 2, 120 * np.linalg.eigvalsh(total)[::-1])
    record("4.2b", f"S_t - S_b - S_w {error:.0e}, spectrum under a linear map {moved:.0e}, of the largest")


def test_sample_spectra_flatter(record: Record) -> None:
    """Shows that classes without any difference get γ of about (K−1)/(N−K): use held-out samples."""
    rng = np.random.default_rng(42)
    labels = np.repeat(np.arange(40), 5)
    means = [fisher_spectrum(rng.normal(size=(200, 10)), labels).values.mean() for _ in range(50)]
    expected = 39 / 160
    assert abs(np.mean(means) / expected - 1) < 0.1
    record(
        "4.2c", f"no class differences, K = 40, N = 200: mean gamma {np.mean(means):.3f}, rule {expected:.3f}"
    )
