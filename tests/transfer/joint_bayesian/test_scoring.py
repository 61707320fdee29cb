"""The score is the ratio of Gaussian densities, in every form in which it is computed."""

import tracemalloc

import numpy as np
import pytest
import torch
from made_classes import density_ratio, random_covariance
from scipy.stats import multivariate_normal

from patchbatch.errors import PatchBatchError
from patchbatch.threads import loops_in
from patchbatch.transfer.joint_bayesian.model import JointBayesian


def random_model(rng, d, rank=None):
    S_mu, S_eps, mean = random_covariance(rng, d, rank), random_covariance(rng, d), rng.normal(size=d)
    return JointBayesian.from_covariances(mean, S_mu, S_eps), mean, S_mu, S_eps


def quadratic_score(x1, x2, S_mu, S_eps):
    """The published form with A and G, its 1/2 and constant kept; rows against rows."""
    F = np.linalg.inv(S_eps)
    G = -np.linalg.solve(2 * S_mu + S_eps, S_mu) @ F
    A = np.linalg.inv(S_mu + S_eps) - (F + G)
    volumes = [np.linalg.slogdet(S)[1] for S in (S_mu + S_eps, S_eps, 2 * S_mu + S_eps)]
    squares = [np.einsum("ni,ij,nj->n", x, A, x) for x in (x1, x2)]
    cross = np.einsum("ni,ij,nj->n", x1, G, x2)
    return 0.5 * (squares[0] + squares[1] - 2 * cross) + volumes[0] - 0.5 * (volumes[1] + volumes[2])


def test_score_is_the_ratio_of_gaussian_densities():
    rng = np.random.default_rng(0)
    worst = 0.0
    for case in range(100):
        d = int(rng.integers(1, 15))
        rank = None if case % 2 else int(rng.integers(1, d + 1))  # singular S_mu as well
        model, mean, S_mu, S_eps = random_model(rng, d, rank)
        pair = rng.normal(size=(2, d)) * 3
        truth = density_ratio(pair[:1], pair[1:], S_mu, S_eps)
        got = model.score(mean + pair[:1], mean + pair[1:])[0]
        worst = max(worst, abs(got - truth) / max(abs(truth), 1))
    print(f"largest relative difference to the density ratio: {worst:.1e}")
    assert worst < 1e-8


def test_eigen_form_is_the_form_with_two_matrices():
    rng = np.random.default_rng(1)
    model, mean, S_mu, S_eps = random_model(rng, 40)
    x1, x2 = rng.normal(size=(2, 300, 40))
    np.testing.assert_allclose(
        model.score(mean + x1, mean + x2), quadratic_score(x1, x2, S_mu, S_eps), rtol=1e-9, atol=1e-9
    )


@pytest.mark.slow
def test_matrix_is_the_form_with_two_matrices_at_full_size():
    rng = np.random.default_rng(13)
    model, mean, S_mu, S_eps = random_model(rng, 256)
    x1, x2 = rng.normal(size=(2, 3000, 256))
    got = model.score_matrix(mean + x1, mean + x2, dtype=np.float64)
    for shift in (0, 1, 1234):
        truth = quadratic_score(x1, np.roll(x2, shift, axis=0), S_mu, S_eps)
        diagonal = got[np.arange(3000), (np.arange(3000) - shift) % 3000]
        assert np.abs(diagonal - truth).max() < 1e-11 * np.abs(truth).max()


def test_score_is_the_ratio_of_correlated_to_independent_normals():
    rng = np.random.default_rng(2)
    model, _, _, _ = random_model(rng, 6)
    y1, y2 = rng.normal(size=(2, 6))
    truth = 0.0
    for gamma, pair in zip(
        model.gamma_, np.stack((y1, y2), axis=1) / np.sqrt(1 + model.gamma_)[:, None], strict=True
    ):
        rho = gamma / (1 + gamma)
        truth += multivariate_normal(cov=[[1, rho], [rho, 1]]).logpdf(pair)
        truth -= multivariate_normal(cov=np.eye(2)).logpdf(pair)
    assert model.score_projected(y1[None], y2[None])[0] == pytest.approx(truth, rel=1e-10)


def test_one_dimension_by_hand():
    # gamma = 1: a/2 = -1/12, h = 1/3, constant log 2 - log(3) / 2.
    model = JointBayesian.from_covariances([5.0], [[2.0]], [[2.0]])
    y = 1 / np.sqrt(2)  # one away from the mean, in within-class deviations
    expected = -(y**2 + y**2) / 12 + y * y / 3 + np.log(2) - np.log(3) / 2
    assert model.score([[6.0]], [[6.0]])[0] == pytest.approx(expected, rel=1e-14)


def test_directions_without_variance_between_classes_drop_out():
    rng = np.random.default_rng(3)
    model, mean, _, _ = random_model(rng, 10, rank=3)
    assert model.project(mean[None]).shape == (1, 3)
    one = model.score(mean[None] + 1, mean[None] - 1)
    silent = np.linalg.svd(model.eigen_.projection.T)[2][3:]  # moves that the three directions do not see
    assert model.score(mean[None] + 1 + silent[:1], mean[None] - 1)[0] == pytest.approx(one[0], abs=1e-9)


def test_matrix_is_the_score_of_every_pair_in_every_way_of_asking():
    rng = np.random.default_rng(4)
    model, _, _, _ = random_model(rng, 7)
    a, b = rng.normal(size=(23, 7)), rng.normal(size=(11, 7))
    truth = np.array([[model.score(x[None], z[None])[0] for z in b] for x in a])
    np.testing.assert_allclose(
        model.score_matrix(a, b, dtype=np.float64, rows=5), truth, rtol=1e-11, atol=1e-11
    )
    single = model.score_matrix(a, b)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, truth, rtol=1e-4, atol=1e-4)
    blocks = list(model.iter_score_matrix(a, b, rows=4))
    assert [part.start for part, _ in blocks] == [0, 4, 8, 12, 16, 20]
    np.testing.assert_allclose(np.concatenate([rows for _, rows in blocks]), truth, rtol=1e-4, atol=1e-4)
    own = model.score_matrix(a, dtype=np.float64)
    np.testing.assert_allclose(own, own.T, rtol=1e-11, atol=1e-11)


def test_matrix_into_a_memory_map(tmp_path):
    rng = np.random.default_rng(5)
    model, _, _, _ = random_model(rng, 4)
    a = rng.normal(size=(9, 4))
    out = np.lib.format.open_memmap(tmp_path / "scores.npy", mode="w+", dtype=np.float32, shape=(9, 9))
    assert model.score_matrix(a, out=out, rows=4) is out
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), model.score_matrix(a, rows=4))


def test_matrix_holds_no_second_matrix():
    rng = np.random.default_rng(6)
    model, _, _, _ = random_model(rng, 8)
    a, out = rng.normal(size=(2500, 8)), np.empty((2500, 2500), np.float32)
    tracemalloc.start()
    model.score_matrix(a, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    for _ in model.iter_score_matrix(a, rows=64):
        pass
    tracemalloc.stop()
    assert peak < out.nbytes / 10


def test_pairs_of_rows_and_precision():
    rng = np.random.default_rng(7)
    model, _, _, _ = random_model(rng, 12)
    y = model.project(rng.normal(size=(50, 12)))
    pairs = rng.integers(0, 50, (200, 2))
    truth = model.score_projected(y[pairs[:, 0]], y[pairs[:, 1]])
    np.testing.assert_array_equal(model.score_projected(y, y, pairs), truth)
    single = model.score_projected(y.astype(np.float32), y.astype(np.float32), pairs)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, truth, rtol=1e-4, atol=1e-4)
    assert model.score_projected(y[:0], y[:0]).shape == (0,)


def test_pair_scores_do_not_depend_on_threads():
    rng = np.random.default_rng(8)
    model, _, _, _ = random_model(rng, 16)
    y = model.project(rng.normal(size=(999, 16)))
    with loops_in(1):
        one = model.score_projected(y, y[::-1])
    with loops_in(3):
        np.testing.assert_array_equal(model.score_projected(y, y[::-1]), one)


def test_enrolment_is_the_ratio_of_gaussian_densities():
    rng = np.random.default_rng(9)
    model, mean, S_mu, S_eps = random_model(rng, 5, rank=3)
    images, labels = rng.normal(size=(9, 5)), np.array([7, 3, 3, 7, 3, 3, 40, 3, 7])
    probes = rng.normal(size=(4, 5))
    enrolment = model.enrol(mean + images, labels)
    assert enrolment.labels.tolist() == [3, 7, 40]
    assert enrolment.counts.tolist() == [5, 3, 1]
    truth = [
        [density_ratio(images[labels == label], probe[None], S_mu, S_eps) for probe in probes]
        for label in (3, 7, 40)
    ]
    np.testing.assert_allclose(model.score_enrolled(enrolment, mean + probes), truth, rtol=1e-9, atol=1e-9)


def test_enrolment_with_one_image_is_the_pair_score():
    rng = np.random.default_rng(10)
    model, mean, _, _ = random_model(rng, 6)
    x = mean + rng.normal(size=(2, 6))
    assert model.score_enrolled(model.enrol(x[:1]), x[1:])[0, 0] == pytest.approx(
        model.score(x[:1], x[1:])[0], rel=1e-10
    )


def test_torch_and_lists_are_taken():
    rng = np.random.default_rng(11)
    model, _, _, _ = random_model(rng, 3)
    a = rng.normal(size=(4, 3)).astype(np.float32)
    expected = model.score(a, a[::-1])
    tensor = torch.tensor(a, requires_grad=True)
    np.testing.assert_array_equal(model.score(tensor, torch.tensor(a[::-1].copy())), expected)
    np.testing.assert_array_equal(model.score(a.tolist(), a[::-1].tolist()), expected)
    half = torch.tensor(a).bfloat16()
    np.testing.assert_array_equal(model.project(half), model.project(half.float()))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda m: m.score(np.ones((2, 4)), np.ones((2, 3))), "4 features"),
        (lambda m: m.score(np.ones((2, 3)), np.ones((1, 3))), "2 samples against 1"),
        (lambda m: m.score(np.full((1, 3), np.nan), np.ones((1, 3))), "NaN"),
        (lambda m: m.project(np.ones(3)), "reshape"),
        (lambda m: m.score_projected(np.ones((1, 2)), np.ones((1, 2))), "from project"),
        (lambda m: m.score_projected(np.ones((2, 3)), np.ones((2, 3)), [[0, 2]]), "outside"),
        (lambda m: m.score_projected(np.ones((2, 3)), np.ones((2, 3)), [[-1, 0]]), "outside"),
        (lambda m: m.score_projected(np.ones((2, 3)), np.ones((2, 3)), [[0.5, 0]]), "integers"),
        (lambda m: m.score_matrix(np.ones((2, 3)), out=np.empty((2, 3), np.float32)), "out has shape"),
        (lambda m: m.score_matrix(np.ones((2, 3)), out=np.empty((2, 2), np.int32)), "float32 or float64"),
        (lambda m: m.score_matrix(np.ones((2, 3)), rows=0), "rows is 0"),
        (lambda m: m.enrol(np.ones((2, 3)), [0.5, 1.0]), "not integers"),
        (lambda m: m.enrol(np.ones((0, 3))), "0 samples"),
        (lambda m: m.projection(4), "1 to 3 directions"),
    ],
)
def test_bad_input_is_one_line(call, word):
    model, _, _, _ = random_model(np.random.default_rng(12), 3)
    with pytest.raises(PatchBatchError) as caught:
        call(model)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
