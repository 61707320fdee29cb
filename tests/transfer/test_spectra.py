"""Singular values, effective ranks, Fisher spectrum and their picture: closed forms and malformed input."""

import sys

import numpy as np
import pytest
import torch

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.spectra import (
    EFFECTIVE_RANKS,
    effective_rank,
    fisher_ratio,
    fisher_spectrum,
    plot_spectra,
    scatter_matrices,
    singular_values,
)

LABELS = np.repeat(np.arange(3), 4)


@pytest.fixture
def samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 5))[LABELS] + rng.normal(size=(12, 5))


def test_singular_values_of_a_centred_diagonal() -> None:
    samples = np.array([[3.0, 0], [-3, 0], [0, 1], [0, -1]]) + np.array([100.0, -50])
    assert np.allclose(singular_values(samples), [np.sqrt(18), np.sqrt(2)])


def test_singular_values_of_a_tensor_that_learns(samples: np.ndarray) -> None:
    tensor = torch.tensor(samples, requires_grad=True)
    assert np.array_equal(singular_values(tensor), singular_values(samples))


@pytest.mark.parametrize("kind", EFFECTIVE_RANKS)
@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_equal_values_count_fully_at_any_scale(kind: str, scale: float) -> None:
    assert effective_rank([0.0, *[scale] * 7, 0.0], kind) == pytest.approx(7)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("stable", 5 / 4),
        ("participation", 25 / 17),
        ("entropy", np.exp(-0.8 * np.log(0.8) - 0.2 * np.log(0.2))),
        ("roy-vetterli", np.exp(-2 / 3 * np.log(2 / 3) - 1 / 3 * np.log(1 / 3))),
        ("energy", 2),
    ],
)
def test_definitions_on_two_values(kind: str, expected: float) -> None:
    assert effective_rank([1.0, 2.0], kind) == pytest.approx(expected)  # λ = 4, 1


@pytest.mark.parametrize(("energy", "expected"), [(0.5, 1), (0.8, 1), (0.81, 2), (0.96, 3), (1.0, 4)])
def test_energy_counts_the_largest_values_up_to_the_share(energy: float, expected: int) -> None:
    values = np.sqrt([0.05, 0.80, 0.03, 0.12])
    assert effective_rank(values, "energy", energy=energy) == expected


def test_all_zero_is_rank_zero() -> None:
    assert [effective_rank(np.zeros(3), kind) for kind in EFFECTIVE_RANKS] == [0.0] * 5


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0], {"kind": "numeric"}, "choose one of stable"),
        ([1.0], {"energy": 0.0}, "energy is a share"),
        ([1.0], {"energy": 1.5}, "energy is a share"),
        ([], {}, "at least one"),
        ([1.0, -1.0], {}, "not negative"),
        ([1.0, np.nan], {}, "finite"),
    ],
)
def test_effective_rank_refuses(values: list[float], options: dict, message: str) -> None:
    with pytest.raises(PatchBatchError, match=message):
        effective_rank(values, **options)


def test_scatter_matrices_are_the_written_sums(samples: np.ndarray) -> None:
    keep = [0, 1, 2, 3, 4, 5, 8]  # classes of 4, 2 and 1
    samples, labels = samples[keep], LABELS[keep] * 7 - 3
    mean, between, within = samples.mean(axis=0), np.zeros((5, 5)), np.zeros((5, 5))
    for name in np.unique(labels):
        members = samples[labels == name]
        centre = members.mean(axis=0)
        between += len(members) * np.outer(centre - mean, centre - mean) / len(samples)
        within += sum(np.outer(d - centre, d - centre) for d in members) / len(samples)
    found = scatter_matrices(samples, labels)
    assert np.allclose(found[0], between)
    assert np.allclose(found[1], within)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_fisher_spectrum_solves_its_equation(samples: np.ndarray, shrinkage: float) -> None:
    between, within = scatter_matrices(samples, LABELS)
    found = fisher_spectrum(samples, LABELS, shrinkage)
    regularised = within + shrinkage * np.trace(within) / 5 * np.eye(5)
    assert found.shrinkage == shrinkage
    assert np.allclose(between @ found.directions, regularised @ found.directions * found.values)
    assert np.allclose(found.directions.T @ regularised @ found.directions, np.eye(5))
    assert (np.diff(found.values) <= 0).all()
    assert np.allclose(fisher_ratio(found.directions, between, regularised), found.values)
    total = np.linalg.eigvals(np.linalg.solve(between + regularised, between)).real
    assert np.allclose(np.sort(total)[::-1], found.share_of_total)


def test_shrinkage_lowers_every_value_and_mends_dead_features(samples: np.ndarray) -> None:
    weak, strong = (fisher_spectrum(samples, LABELS, t).values for t in (0.01, 1.0))
    assert (strong <= weak + 1e-12).all()
    dead = np.hstack([samples, np.zeros((12, 2))])
    with pytest.raises(PatchBatchError, match="singular; give shrinkage"):
        fisher_spectrum(dead, LABELS)
    assert np.isfinite(fisher_spectrum(dead, LABELS, 1e-3).values).all()


def test_fisher_ratio_of_one_direction_is_a_number() -> None:
    ratio = fisher_ratio([2.0, 0.0], np.diag([3.0, 1.0]), np.diag([1.5, 1.0]))
    assert ratio.shape == ()
    assert ratio == pytest.approx(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(12, int)}, "one class"),
        ({"labels": np.arange(12)}, "one sample"),
        ({"labels": LABELS[:-1]}, "12 samples"),
        ({"labels": LABELS + 0.5}, "not integers"),
        ({"representation": np.full((12, 5), np.nan)}, "NaN"),
        ({"representation": np.zeros(12)}, "shape"),
        ({"representation": np.eye(3)[LABELS], "shrinkage": 0.1}, "singular"),
        ({"shrinkage": -1.0}, "shrinkage"),
        ({"shrinkage": np.nan}, "shrinkage"),
    ],
)
def test_fisher_spectrum_refuses(samples: np.ndarray, change: dict, message: str) -> None:
    with pytest.raises(PatchBatchError, match=message) as caught:
        fisher_spectrum(**{"representation": samples, "labels": LABELS} | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("direction", "within", "message"),
    [([1.0, 0.0, 0.0], np.eye(2), "does not fit"), ([1.0, 0.0], np.diag([0.0, 1.0]), "unbounded")],
)
def test_fisher_ratio_refuses(direction: list[float], within: np.ndarray, message: str) -> None:
    with pytest.raises(PatchBatchError, match=message):
        fisher_ratio(direction, np.eye(2), within)


def test_picture_has_the_talks_lines() -> None:
    pytest.importorskip("matplotlib")
    axes = plot_spectra(
        {"M5": [1, 3, 2], "M3": [2, 1], "M1": [1, 1, 0]}, ylabel="Fisher ratio", logarithmic=True
    )
    styles = [(line.get_label(), line.get_color(), line.get_linestyle()) for line in axes.get_lines()]
    assert styles == [("M5", "blue", "-"), ("M3", "red", ":"), ("M1", "magenta", "--")]
    assert list(axes.get_lines()[0].get_ydata()) == [3, 2, 1]
    assert (axes.get_ylabel(), axes.get_yscale()) == ("Fisher ratio", "log")


def test_nine_models_look_different_and_share_given_axes() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    assert plot_spectra({str(i): [i, 1] for i in range(9)}, axes=axes) is axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}) == 9


def test_a_picture_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PatchBatchError, match=r"pip install 'patchbatch\[plots\]'"):
        plot_spectra({"M1": [1.0]})
