"""Known covariances come back: EM and the closed form find them, the shortcut does not.

`pytest tests/transfer/joint_bayesian/test_recovery.py -s` prints the tables of docs/joint_bayesian.md.
"""

import numpy as np
import pytest
from made_classes import (
    density_ratio,
    draw_classes,
    equal_error_rate,
    log_density,
    random_covariance,
    relative_error,
)

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.joint_bayesian import em
from patchbatch.transfer.joint_bayesian import fit as fitting
from patchbatch.transfer.joint_bayesian.fit import ClassStatistics, Covariances
from patchbatch.transfer.joint_bayesian.model import JointBayesian

CLASSES, D = 4000, 10
GAMMA = np.geomspace(4, 0.05, D)
SHORTCUT_STEPS = 20  # the shortcut is not yet still there; its fixed point is worse

# Relative errors of S_mu and S_eps that one draw of these sizes gave elsewhere, for EM and for the shortcut.
REFERENCE = {
    "2": ((0.056, 0.053), (0.211, 0.359)),
    "5": ((0.037, 0.023), (0.147, 0.166)),
    "20": ((0.039, 0.011), (0.067, 0.058)),
    "1 to 15": ((0.037, 0.019), (0.152, 0.141)),
    "long tail": ((0.041, 0.024), (0.230, 0.278)),
}


def class_sizes(name, rng):
    if name == "1 to 15":
        return rng.integers(1, 16, CLASSES)
    if name == "long tail":
        return np.minimum(1 + 4 * rng.pareto(2.0, CLASSES), 100).astype(int)
    return np.full(CLASSES, int(name))


def rotated(gamma, rng):
    axes = np.linalg.qr(rng.normal(size=(len(gamma), len(gamma))))[0]
    return (axes * gamma) @ axes.T


def recover(name, seed):
    """Errors of S_mu and S_eps, and the log-likelihood, of every estimator on one draw; `(methods, 3)`."""
    rng = np.random.default_rng(seed)
    sizes, S_mu = class_sizes(name, rng), rotated(GAMMA, rng)
    X, labels = draw_classes(rng, sizes, S_mu, np.eye(D))
    models = (
        JointBayesian("em", tol=1e-6).fit(X, labels),
        JointBayesian().fit(X, labels),
        JointBayesian("shortcut", tol=0, max_iter=SHORTCUT_STEPS).fit(X, labels),
        JointBayesian("shortcut", tol=1e-6, max_iter=2000).fit(X, labels),
        plain_model(X, labels),
        JointBayesian.from_covariances(X.mean(0), S_mu, np.eye(D)),
    )
    return np.array(
        [
            (relative_error(m.S_mu_, S_mu), relative_error(m.S_eps_, np.eye(D)), m.log_likelihood(X, labels))
            for m in models
        ]
    )


METHODS = ("em", "closed form", "shortcut, 20 steps", "shortcut", "cov of means", "truth")


@pytest.fixture(scope="module")
def table():
    """Mean of three draws, for every kind of class sizes and every estimator."""
    means = {name: np.mean([recover(name, seed) for seed in range(3)], axis=0) for name in REFERENCE}
    print(f"\n| class sizes | {' | '.join(METHODS)} |\n|---|{'---|' * len(METHODS)}")
    for name, rows in means.items():
        print(f"| {name} | {' | '.join(f'{mu:.3f} / {eps:.3f}, {value:.3f}' for mu, eps, value in rows)} |")
    return {name: dict(zip(METHODS, rows, strict=True)) for name, rows in means.items()}


def plain_model(X, labels):
    """Covariance of the class means, and SSW / N, as they stand."""
    means = np.array([X[labels == label].mean(0) for label in np.unique(labels)])
    rest = X - means[labels]
    return JointBayesian.from_covariances(X.mean(0), np.cov(means.T, bias=True), rest.T @ rest / len(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "1 to 15"])
def test_em_recovers_known_covariances_in_one_draw(name):
    em, closed, _, shortcut, plain, truth = recover(name, 0)
    assert (em[:2] < 0.06).all()
    assert (shortcut[:2] > 2.5 * em[:2]).all()
    assert (plain[:2] > 2.5 * em[:2]).all()
    assert em[2] > max(closed[2], truth[2]) - 1e-6
    assert max(shortcut[2], plain[2]) < truth[2] - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_recovery_table(table, name):
    row, (em, shortcut) = table[name], REFERENCE[name]
    assert (row["em"][:2] < 0.06).all()
    assert row["em"][:2] == pytest.approx(em, rel=0.3)
    assert row["shortcut, 20 steps"][:2] == pytest.approx(shortcut, rel=0.2)
    assert row["shortcut"][1] > 2 * row["em"][1]
    assert row["shortcut"][2] < row["truth"][2] - 0.04


@pytest.mark.slow
@pytest.mark.parametrize("m", [2, 5, 20])
def test_covariance_of_the_means_is_biased_by_a_share_of_the_other(table, m):
    bias = np.linalg.norm(np.eye(D)) / m / np.linalg.norm(GAMMA), 1 / m
    expected = np.hypot(bias, table[str(m)]["em"][:2])  # EM has no bias: its errors are those of the draw
    assert table[str(m)]["cov of means"][:2] == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "5", "20"])
def test_closed_form_is_the_maximum_for_classes_of_one_size(table, name):
    assert table[name]["closed form"] == pytest.approx(table[name]["em"], abs=1e-3)


@pytest.mark.parametrize(("m", "limit"), [(2, 1.0), (5, 0.568), (10, 0.296), (20, 0.1495)])
def test_shortcut_loses_directions_below_its_limit(m, limit):
    """In the limit of many classes, from the truth: 3 % below the limit gamma falls to 0, above it stays."""
    assert m**2 / (4 * (m**2 - 1)) == pytest.approx(1 / (1 + m * limit), rel=0.003)
    for share, survives in ((0.97, False), (1.03, True)):
        gamma = share * limit
        stats = ClassStatistics(np.array([[m - 1.0]]), np.array([[np.sqrt(gamma + 1 / m)]]), np.array([m]))
        now = Covariances(np.array([[gamma]]), np.array([[1.0]]))
        for _ in range(600):
            now, _ = em.step(stats, now, (0.0, 1.0), posterior_covariance=False)
        left = now.S_mu[0, 0] / now.S_eps[0, 0]
        assert (left > 0.1 * gamma) == survives
        if survives:  # the larger root of (1 - k)((m + 1) k - 1) = (m - 1) / (1 + m gamma)
            k = np.roots([-(m + 1), m + 2, -1 - (m - 1) / (1 + m * gamma)]).real.max()
            assert left == pytest.approx(k / (m * (1 - k)), rel=1e-3)


def test_em_step_is_the_textbook_step():
    rng = np.random.default_rng(1)
    sizes = np.array([1, 4, 2, 1, 3, 7])
    S_mu, S_eps = random_covariance(rng, 3), random_covariance(rng, 3)
    X, labels = draw_classes(rng, sizes, S_mu, S_eps)
    new_mu, new_eps = np.zeros((3, 3)), np.zeros((3, 3))
    for label, m in enumerate(sizes):
        own = X[labels == label]
        gain = S_mu @ np.linalg.inv(m * S_mu + S_eps)
        latent, C = gain @ own.sum(0), S_mu - m * gain @ S_mu
        new_mu += (np.outer(latent, latent) + C) / len(sizes)
        new_eps += ((own - latent).T @ (own - latent) + m * C) / len(X)
    stats = fitting.class_statistics(X, labels, sizes)
    got, objective = em.step(stats, Covariances(S_mu, S_eps), (0.0, 1.0))
    np.testing.assert_allclose(got.S_mu, new_mu, rtol=1e-10)
    np.testing.assert_allclose(got.S_eps, new_eps, rtol=1e-10)
    dense = sum(log_density(X[labels == label], S_mu, S_eps) for label in range(len(sizes)))
    assert objective == pytest.approx(dense / len(X), rel=1e-12)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_em_climbs_at_every_step(shrinkage):
    rng = np.random.default_rng(2)
    X, labels = draw_classes(
        rng, rng.integers(1, 9, 300), random_covariance(rng, 6), random_covariance(rng, 6)
    )
    model = JointBayesian("em", shrinkage=shrinkage, tol=1e-6).fit(X, labels)
    assert model.n_iter_ > 10
    assert model.converged_
    rises = np.diff(model.objective_)
    assert (rises > -1e-12).all()
    assert rises[0] > 0
    if not shrinkage:
        assert model.objective_[-1] == pytest.approx(model.log_likelihood(X, labels), rel=1e-12)


def test_em_ends_where_it_may_start_from():
    """Steps from the truth and from the closed form end at one maximum."""
    rng = np.random.default_rng(3)
    S_mu, S_eps = random_covariance(rng, 4), random_covariance(rng, 4)
    X, labels = draw_classes(rng, rng.integers(1, 9, 400), S_mu, S_eps)
    model = JointBayesian("em", tol=1e-9).fit(X, labels)
    centred = X - X.mean(0)
    stats = fitting.class_statistics(centred, labels, np.bincount(labels))
    now = Covariances(S_mu, S_eps)
    for _ in range(400):
        now, _ = em.step(stats, now, (0.0, 1.0))
    np.testing.assert_allclose(model.S_mu_, now.S_mu, atol=1e-5)
    np.testing.assert_allclose(model.S_eps_, now.S_eps, atol=1e-5)


def test_likelihood_has_no_maximum_with_singular_scatter():
    """20 differences for 30 dimensions: EM drives a variance to 0 while the likelihood soars."""
    rng = np.random.default_rng(5)
    X, labels = draw_classes(rng, np.full(20, 2), np.eye(30), np.eye(30))
    stats = fitting.class_statistics(X - X.mean(0), labels, np.full(20, 2))
    now, objective = Covariances(np.eye(30), np.eye(30)), []
    for _ in range(300):
        try:
            now, value = em.step(stats, now, (0.0, 1.0))
        except PatchBatchError:  # rounding level is reached
            break
        objective.append(value * len(X))
    print(f"log-likelihood {objective[0]:.0f} -> {objective[-1]:.0f} in {len(objective)} steps")
    assert objective[-1] > objective[0] + 1000
    assert np.linalg.eigvalsh(now.S_eps)[0] < 1e-6 * np.linalg.eigvalsh(now.S_eps)[-1]


@pytest.fixture(scope="module")
def verification():
    """Equal error rates, and accuracy at log-likelihood ratio 0, on pairs of new classes."""
    results = {}
    for m in (2, 5, 20):
        rng = np.random.default_rng(6)
        gamma = np.geomspace(2, 0.05, 40)
        X, labels = draw_classes(rng, np.full(2000, m), np.diag(gamma), np.eye(40))
        new, _ = draw_classes(rng, np.full(15000, 2), np.diag(gamma), np.eye(40))
        a, b = new[0::2], new[1::2]
        models = {
            "truth": JointBayesian.from_covariances(np.zeros(40), np.diag(gamma), np.eye(40)),
            "em": JointBayesian("em").fit(X, labels),
            "shortcut": JointBayesian("shortcut").fit(X, labels),
            "cov of means": plain_model(X, labels),
        }
        for name, model in models.items():
            same, other = model.score(a, b), model.score(a, np.roll(b, 1, axis=0))
            right = ((same > 0).mean() + (other <= 0).mean()) / 2
            results[name, m] = (equal_error_rate(same, other), right)
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b)]
        cosine = [np.sum(unit[0] * other, axis=1) for other in (unit[1], np.roll(unit[1], 1, axis=0))]
        results["cosine", m] = (equal_error_rate(*cosine), np.nan)
    print("\n| model | m | EER | accuracy at 0 |\n|---|---|---|---|")
    for (name, m), (rate, right) in results.items():
        print(f"| {name} | {m} | {rate:.3f} | {right:.3f} |")
    return results


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "at_two", "at_five"),
    [
        ("truth", 0.108, 0.107), ("em", 0.117, 0.109), ("shortcut", 0.179, 0.130),
        ("cov of means", 0.137, 0.115),
    ],
)  # fmt: skip
def test_equal_error_rates(verification, name, at_two, at_five):
    assert verification[name, 2][0] == pytest.approx(at_two, abs=0.012)
    assert verification[name, 5][0] == pytest.approx(at_five, abs=0.012)


@pytest.mark.slow
def test_the_better_an_estimate_the_lower_its_error_rate(verification):
    rates = [verification[name, 2][0] for name in ("truth", "em", "cov of means", "shortcut")]
    assert (np.diff(rates) > (0.005, 0.01, 0.02)).all()


@pytest.mark.slow
def test_cosine_is_behind_the_truth(verification):
    """By how much depends on the axes of the covariances, unlike for the models."""
    for m in (2, 5):
        assert verification["cosine", m][0] > verification["truth", m][0] + 0.02


@pytest.mark.slow
def test_models_agree_for_large_classes_and_only_em_is_calibrated_for_small_ones(verification):
    rates = [verification[name, 20][0] for name in ("truth", "em", "shortcut", "cov of means")]
    assert max(rates) - min(rates) < 0.005
    for name, expected in (("em", 0.88), ("shortcut", 0.77), ("cov of means", 0.63)):
        assert verification[name, 2][1] == pytest.approx(expected, abs=0.025)


def test_estimate_follows_the_features_through_any_map():
    rng = np.random.default_rng(7)
    X, labels = draw_classes(rng, np.full(40, 3), random_covariance(rng, 6, 2), random_covariance(rng, 6))
    M = rng.normal(size=(6, 6))
    model, mapped = JointBayesian().fit(X, labels), JointBayesian().fit(X @ M.T + 5, labels)
    assert len(model.gamma_) < 6  # some directions were clipped, so this tests the clipping
    np.testing.assert_allclose(mapped.S_mu_, M @ model.S_mu_ @ M.T, atol=1e-9)
    np.testing.assert_allclose(
        mapped.score(X[:9] @ M.T + 5, X[9:18] @ M.T + 5), model.score(X[:9], X[9:18]), atol=1e-9
    )


def test_score_of_a_fitted_model_is_the_density_ratio_of_its_covariances():
    rng = np.random.default_rng(8)
    X, labels = draw_classes(rng, rng.integers(1, 6, 60), np.eye(5), np.eye(5), mean=3)
    for method in ("closed_form", "em", "shortcut"):
        model = JointBayesian(method).fit(X, labels)
        pair = X[[0, -1]]
        truth = density_ratio(*(pair - model.mean_)[:, None], model.S_mu_, model.S_eps_)
        assert model.score(pair[:1], pair[1:])[0] == pytest.approx(truth, rel=1e-8)
