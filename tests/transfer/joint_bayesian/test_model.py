"""The estimator as its users meet it: settings, policy for singular scatter, pairs, projection, files."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from made_classes import draw_classes, random_covariance, relative_error
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.joint_bayesian.model import JointBayesian


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return draw_classes(
        rng, rng.integers(1, 8, 120), random_covariance(rng, 6), random_covariance(rng, 6), mean=2.0
    )


def same_model(one, two):
    return all(
        np.array_equal(getattr(one, name), getattr(two, name))
        for name in ("mean_", "S_mu_", "S_eps_", "gamma_", "objective_")
    )


# What scikit-learn asks of an estimator.


def test_settings_are_stored_as_given_and_round_trip():
    model = JointBayesian("em", rank=4, shrinkage=0.1, max_iter=7, tol=0.01)
    settings = {"method": "em", "rank": 4, "shrinkage": 0.1, "max_iter": 7, "tol": 0.01}
    assert model.get_params() == settings
    assert JointBayesian(**model.get_params(deep=False)).get_params() == settings  # as clone does
    assert JointBayesian().set_params(**settings).get_params() == settings
    assert repr(model) == "JointBayesian(method='em', rank=4, shrinkage=0.1, max_iter=7, tol=0.01)"


def test_unknown_setting_changes_nothing():
    model = JointBayesian()
    with pytest.raises(PatchBatchError, match="no setting 'ranks'"):
        model.set_params(shrinkage=0.5, ranks=3)
    assert model.shrinkage == 0.0


def test_fit_leaves_input_and_settings_alone(data):
    X, labels = (array.copy() for array in data)
    X.setflags(write=False)
    labels.setflags(write=False)
    model = JointBayesian("em", shrinkage=0.2)
    before = model.get_params()
    assert not [name for name in vars(model) if name.endswith("_")]
    assert model.fit(X, labels) is model
    assert model.get_params() == before
    assert (model.n_features_in_, model.rank_) == (6, 6)
    np.testing.assert_array_equal(X, data[0])


def test_fitting_again_forgets(data):
    X, labels = data
    model = JointBayesian().fit(X[:, :3], labels)
    model.calibrate([0.0, 1.0, 2.0], [0, 0, 1])
    assert same_model(model.fit(X, labels), JointBayesian().fit(X, labels))
    assert model.threshold() == 0


def test_fit_does_not_depend_on_order_type_or_names_of_classes(data):
    X, labels = data
    model = JointBayesian("em").fit(X, labels)
    order = np.random.default_rng(1).permutation(len(X))
    other = JointBayesian("em").fit(X[order].tolist(), (-5 * labels[order] + 3).astype(np.int16).tolist())
    np.testing.assert_allclose(other.S_mu_, model.S_mu_, atol=1e-10)
    np.testing.assert_allclose(other.S_eps_, model.S_eps_, atol=1e-10)
    assert same_model(JointBayesian("em").fit(torch.tensor(X), torch.tensor(labels)), model)


def test_scoring_changes_nothing_and_rows_are_independent(data):
    X, labels = data
    model = JointBayesian().fit(X, labels)
    state = copy.deepcopy(vars(model))
    whole = model.score(X[:40], X[40:80])
    parts = [model.score(X[i : i + 1], X[40 + i : 41 + i])[0] for i in range(40)]
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
    assert vars(model).keys() == state.keys()


def test_model_survives_pickle_and_copy(data):
    X, labels = data
    model = JointBayesian().fit(X, labels)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):  # noqa: S301 (our own bytes)
        np.testing.assert_array_equal(twin.score(X[:9], X[9:18]), model.score(X[:9], X[9:18]))


def test_method_of_the_call_wins(data):
    X, labels = data
    model = JointBayesian("em").fit(X, labels, method="closed_form")
    assert (model.method_, model.n_iter_, model.method) == ("closed_form", 0, "em")
    assert same_model(model, JointBayesian().fit(X, labels))


def test_log_says_when_the_steps_did_not_suffice(data, caplog):
    model = JointBayesian("em", max_iter=2).fit(*data)
    assert (model.n_iter_, model.converged_) == (2, False)
    assert "em stopped after 2 steps" in caplog.text


# Bad input.


@pytest.mark.parametrize(
    ("X", "labels", "settings", "word"),
    [
        ([[1.0, np.nan], [0, 0], [1, 1]], [0, 0, 1], {}, "NaN"),
        ([[1.0, np.inf], [0, 0], [1, 1]], [0, 0, 1], {}, "first in row 0"),
        (np.ones((4, 2)), [1, 1, 1, 1], {}, "one class"),
        (np.eye(4), [0, 1, 2, 3], {}, "every class has one sample"),
        (np.ones((4, 2)), [0, 0, 1, 1], {}, "all samples are equal"),
        (np.eye(4), [0.5, 0, 1, 1], {}, "not whole numbers"),
        (np.eye(4), None, {}, "target y is None"),
        (np.eye(4), [0, 0, 1], {}, "4 samples"),
        (np.eye(4), [[0], [0], [1], [1]], {}, "shape (4, 1)"),
        (np.ones(4), [0, 0, 1, 1], {}, "reshape"),
        (np.ones((4, 0)), [0, 0, 1, 1], {}, "0 feature(s)"),
        (np.ones((1, 3)), [0], {}, "2 or more"),
        ([[1.0], [1, 2]], [0, 0], {}, "unequal length"),
        ([["x"], ["y"]], [0, 0], {}, "not real numbers"),
        (np.eye(4) * 1j, [0, 0, 1, 1], {}, "Complex data"),
        (np.random.default_rng(0).normal(size=(8, 20)), [0, 0, 1, 1, 2, 2, 3, 3], {}, "shrinkage above 0"),
        (np.eye(4), [0, 0, 1, 1], {"method": "EM"}, "closed_form"),
        (np.eye(4), [0, 0, 1, 1], {"rank": 5}, "rank is 5"),
        (np.eye(4), [0, 0, 1, 1], {"rank": 2.5}, "rank is 2.5"),
        (np.eye(4), [0, 0, 1, 1], {"shrinkage": 1.0}, "shrinkage is 1.0"),
        (np.eye(4), [0, 0, 1, 1], {"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_input_to_fit_is_one_line(X, labels, settings, word):
    with pytest.raises(PatchBatchError) as caught:
        JointBayesian(**settings).fit(X, labels)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_that_do_not_differ_are_refused():
    X = np.array([[-1.0], [1.0], [-1.0], [1.0], [-1.1], [1.1]])
    with pytest.raises(PatchBatchError, match="no more than chance"):
        JointBayesian().fit(X, [0, 0, 1, 1, 2, 2])


def test_unfitted_model_says_so():
    for call in (lambda m: m.score([[1.0]], [[1.0]]), lambda m: m.mean_, lambda m: m.threshold()):
        with pytest.raises(PatchBatchError, match="not fitted"):
            call(JointBayesian())


@pytest.mark.parametrize(
    ("S_mu", "S_eps", "word"),
    [
        (np.eye(3), np.eye(2), "3 features"),
        (np.eye(2), [[1, 2], [0, 1]], "symmetric"),
        (-np.eye(2), np.eye(2), "eigenvalue -1"),
        (np.eye(2), np.diag([1.0, 0.0]), "positive definite"),
    ],
)
def test_bad_covariances_are_one_line(S_mu, S_eps, word):
    with pytest.raises(PatchBatchError, match=word):
        JointBayesian.from_covariances(np.zeros(2), S_mu, S_eps)


# Singular scatter.


def test_features_without_variance_are_left_out(data):
    X, labels = data
    padded = np.column_stack((X[:, :2], np.full(len(X), 7.0), X[:, 2:], X[:, 0]))  # one constant, one twice
    model, plain = JointBayesian().fit(padded, labels), JointBayesian().fit(X, labels)
    assert model.rank_ == 6
    assert model.S_eps_.shape == (8, 8)
    np.testing.assert_allclose(
        model.score(padded[:20], padded[20:40]), plain.score(X[:20], X[20:40]), atol=1e-8
    )


@pytest.mark.parametrize("settings", [{"rank": 5}, {"shrinkage": 0.2}, {"rank": 12, "shrinkage": 0.05}])
@pytest.mark.parametrize("method", ["closed_form", "em", "shortcut"])
def test_fewer_samples_than_features(settings, method):
    rng = np.random.default_rng(2)
    S_mu = 9 * random_covariance(rng, 40, 3)
    X, labels = draw_classes(rng, np.full(15, 2), S_mu, np.eye(40))
    new, _ = draw_classes(rng, np.full(200, 2), S_mu, np.eye(40))
    model = JointBayesian(method, **settings).fit(X, labels)
    assert model.rank_ == settings.get("rank", 29)  # without a limit: the rank of 30 centred samples
    a, b = new[0::2], new[1::2]
    assert model.score(a, b).mean() > model.score(a, np.roll(b, 1, axis=0)).mean() + 0.5


def test_shrinkage_is_the_stated_formula(data):
    X, labels = data
    plain, shrunk = JointBayesian().fit(X, labels), JointBayesian(shrinkage=0.3).fit(X, labels)
    expected = 0.7 * plain.S_eps_ + 0.3 * np.trace(plain.S_eps_) / 6 * np.eye(6)
    np.testing.assert_allclose(shrunk.S_eps_, expected, atol=1e-12)


def test_rank_works_in_the_leading_principal_axes(data):
    X, labels = data
    model = JointBayesian(rank=2).fit(X, labels)
    axes = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][:2]
    reduced = JointBayesian().fit(X @ axes.T, labels)
    np.testing.assert_allclose(
        model.score(X[:30], X[30:60]), reduced.score(X[:30] @ axes.T, X[30:60] @ axes.T), atol=1e-9
    )


# Pairs and short projections.


def test_matching_pairs_are_classes_of_two(data):
    rng = np.random.default_rng(3)
    X, _ = draw_classes(rng, np.full(300, 2), np.eye(4), np.eye(4))
    model = JointBayesian("em").fit_pairs(X[0::2], X[1::2])
    by_labels = JointBayesian().fit(X, np.repeat(np.arange(300), 2))
    np.testing.assert_allclose(model.S_mu_, by_labels.S_mu_, atol=1e-12)
    np.testing.assert_allclose(model.S_eps_, by_labels.S_eps_, atol=1e-12)


def test_pairs_of_both_kinds_recover_the_covariances():
    rng = np.random.default_rng(4)
    S_mu, S_eps = random_covariance(rng, 5), random_covariance(rng, 5)
    X, _ = draw_classes(rng, np.full(40000, 2), S_mu, S_eps)
    a, b, same = X[0::2], X[1::2].copy(), np.arange(40000) % 2 == 0
    b[~same] = np.roll(b[~same], 1, axis=0)
    model = JointBayesian().fit_pairs(a, b, same)
    assert model.method_ == "pairs"
    assert relative_error(model.S_mu_, S_mu) < 0.06
    assert relative_error(model.S_eps_, S_eps) < 0.03


@pytest.mark.parametrize(
    ("a", "b", "same", "word"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), None, "4 features"),
        (np.ones((3, 2)), np.ones((2, 2)), None, "as many of both"),
        (np.eye(3), np.eye(3)[::-1], [True, True, True], "one kind"),
        (np.eye(3), np.eye(3)[::-1], [0, 1, 2], "0 and 1"),
        (np.eye(3), np.eye(3)[::-1], [0, 1], "3 pairs"),
        (np.eye(3), np.eye(3)[::-1], [True, False, False], "singular"),
    ],
)
def test_bad_pairs_are_one_line(a, b, same, word):
    with pytest.raises(PatchBatchError, match=word):
        JointBayesian().fit_pairs(a, b, same)


def test_projection_ranks_like_the_score(data):
    rng = np.random.default_rng(5)
    gamma = np.geomspace(3, 0.01, 30)
    X, labels = draw_classes(rng, np.full(500, 4), np.diag(gamma), np.eye(30))
    model = JointBayesian().fit(X, labels)
    W = model.projection(16)
    assert W.shape == (30, 16)
    assert W.dtype == np.float32
    a, b = X[:1000], X[1000:]
    distance = np.linalg.norm((a - b) @ W, axis=1)
    plain = np.linalg.norm(a - b, axis=1)
    score = model.score(a, b)
    assert spearmanr(-distance, score)[0] > 0.94
    assert spearmanr(-distance, score)[0] > spearmanr(-plain, score)[0] + 0.1


def test_projected_distance_is_the_score_but_for_a_term_of_each_sample(data):
    X, labels = data
    model = JointBayesian().fit(X, labels)
    k = len(model.gamma_)
    distance = np.linalg.norm((X[:, None] - X[None]) @ model.projection(k).astype(np.float64), axis=2)
    rest = model.score_matrix(X, dtype=np.float64) + distance**2 / 2
    gamma = model.gamma_
    own = model.project(X) ** 2 @ (gamma / ((1 + gamma) * (1 + 2 * gamma))) / 2
    np.testing.assert_allclose(rest, own[:, None] + own[None] + model.eigen_.constant, atol=1e-4)


# Calibration.


def test_calibration_of_a_true_model_is_nearly_one_and_zero():
    rng = np.random.default_rng(6)
    model = JointBayesian.from_covariances(np.zeros(8), np.eye(8), np.eye(8))
    X, _ = draw_classes(rng, np.full(20000, 2), np.eye(8), np.eye(8))
    scores = model.score(np.tile(X[0::2], (2, 1)), np.concatenate((X[1::2], np.roll(X[1::2], 1, axis=0))))
    same = np.arange(len(scores)) < 20000
    raw = model.probability(scores)
    between = (raw > 0.6) & (raw < 0.8)  # of pairs given about 0.7, about 0.7 are the same
    assert same[between].mean() == pytest.approx(raw[between].mean(), abs=0.02)
    fitted = model.calibrate(scores[::2], same[::2])
    assert (fitted.scale, fitted.offset) == pytest.approx((1, 0), abs=0.06)
    stretched = model.calibrate(3 * scores + 5, same)  # undone
    assert (3 * stretched.scale, stretched.offset + 5 * stretched.scale) == pytest.approx((1, 0), abs=0.06)


def test_probability_threshold_and_prior_agree(data):
    model = JointBayesian().fit(*data)
    assert model.threshold() == 0
    model.calibrate([-3.0, -1, 0, 1, 2, 4], [0, 0, 1, 0, 1, 1])
    for prior in (0.5, 0.01, 0.9):
        assert model.probability([[model.threshold(prior)]], prior) == pytest.approx(np.array([[0.5]]))
    assert model.threshold(0.01) > model.threshold(0.5) > model.threshold(0.9)


def test_separable_scores_give_a_finite_scale(data):
    fitted = JointBayesian().fit(*data).calibrate([1.0, 2, 3, 4], [0, 0, 1, 1])
    assert 0 < fitted.scale < 10
    assert fitted.offset == pytest.approx(-2.5 * fitted.scale, rel=1e-6)


@pytest.mark.parametrize(
    ("scores", "same", "word"),
    [
        ([1.0, 2], [1, 1], "one kind"),
        ([1.0, np.nan], [0, 1], "NaN"),
        ([1.0, 1.0], [0, 1], "equal"),
        ([2.0, 1.0], [0, 1], "not higher"),
        ([2.0, 1.0], [0, 1, 1], "2 pairs"),
    ],
)
def test_bad_calibration_is_one_line(data, scores, same, word):
    with pytest.raises(PatchBatchError, match=word):
        JointBayesian().fit(*data).calibrate(scores, same)


@pytest.mark.parametrize("prior", [0, 1, -1, float("nan")])
def test_prior_outside_its_range(data, prior):
    with pytest.raises(PatchBatchError, match="prior is"):
        JointBayesian().fit(*data).probability([0.0], prior)


# Files.


def test_saved_model_gives_the_same_bits(data, tmp_path):
    X, labels = data
    model = JointBayesian("em", rank=4, shrinkage=0.1).fit(X, labels)
    model.calibrate([0.0, 1, 2], [0, 1, 1])
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = JointBayesian.load(path)
    assert same_model(loaded, model)
    assert loaded.get_params() == model.get_params()
    assert loaded.calibration_ == model.calibration_
    assert vars(loaded).keys() == vars(model).keys()
    np.testing.assert_array_equal(loaded.score(X[:20], X[20:40]), model.score(X[:20], X[20:40]))
    assert loaded.log_likelihood(X, labels) == model.log_likelihood(X, labels)


def test_damaged_and_foreign_files_are_one_line(data, tmp_path):
    path = tmp_path / "model.safetensors"
    JointBayesian().fit(*data).save(path)
    content, arrays = path.read_bytes(), load_file(path)
    header = {"kind": "patchbatch-joint-bayesian-1", "notes": json.dumps({"settings": {"speed": 3}})}

    def refused(word):
        with pytest.raises(PatchBatchError) as caught:
            JointBayesian.load(path)
        assert word in str(caught.value)
        assert "\n" not in str(caught.value)

    path.write_bytes(content[:-9])
    refused("damaged")
    path.write_bytes(b"no model")
    refused("damaged")
    save_file(arrays, path)
    refused("not a Joint Bayesian model")
    save_file(arrays, path, metadata=header)
    refused("settings")
    save_file(arrays | {"gamma": arrays["gamma"][:-1]}, path, metadata=header)
    refused("do not make a model")
    save_file(arrays | {"mean": arrays["mean"] * np.nan}, path, metadata=header)
    refused("do not make a model")
    path.unlink()
    refused("does not exist")


def test_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(PatchBatchError, match="not fitted"):
        JointBayesian().save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
