import numpy as np
import pytest

from tests.zoo.rvgp.toys import FIELD, GEOMETRY, LABELLED, UNLABELLED, VECTORS
from zoo.rvgp.sparse_precision import SparsePrecision, _incidence

TANGENT = np.einsum("npd,np->nd", GEOMETRY.frames, VECTORS)
ROWS = (2 * LABELLED[:, None] + np.arange(2)).ravel()


def dense(nu, tau=0.3, gamma=0.05, noise=0.01):
    prior = gamma * np.linalg.inv(np.linalg.matrix_power(GEOMETRY.matrix.toarray() + tau * np.eye(440), nu))
    gram = prior[np.ix_(ROWS, ROWS)] + noise * np.eye(140)
    values = TANGENT[LABELLED].ravel()
    weights = np.linalg.solve(gram, values)
    nll = (140 * np.log(2 * np.pi) + np.linalg.slogdet(gram)[1] + values @ weights) / 2
    covariance = prior - prior[:, ROWS] @ np.linalg.solve(gram, prior[ROWS])
    return nll, (prior[:, ROWS] @ weights).reshape(-1, 2), covariance


@pytest.mark.parametrize("nu", [1, 2, 3])
def test_posterior_is_that_of_the_dense_kernel(nu):
    process = SparsePrecision(GEOMETRY, nu).condition(TANGENT[LABELLED], LABELLED, 0.3, 0.05, 0.01)
    nll, mean, _ = dense(nu)
    assert process.negative_log_evidence == pytest.approx(nll, rel=1e-10)
    np.testing.assert_allclose(process.mean, mean, atol=1e-10)


@pytest.mark.parametrize("nu", [1, 2])
def test_samples_have_the_moments_of_the_posterior(nu):
    process = SparsePrecision(GEOMETRY, nu).condition(TANGENT[LABELLED], LABELLED, 0.3, 0.05, 0.01)
    samples = process.sample(6000, seed=1).reshape(6000, -1)
    _, mean, covariance = dense(nu)
    np.testing.assert_allclose(samples.mean(0), mean.ravel(), atol=5 * np.sqrt(covariance.max() / 6000))
    np.testing.assert_allclose(samples.var(0), np.diag(covariance), rtol=0.12)


def test_incidence_is_a_root():
    root = _incidence(GEOMETRY, 0.3)
    expected = GEOMETRY.matrix.toarray() + 0.3 * np.eye(440)
    np.testing.assert_allclose((root.T @ root).toarray(), expected, atol=1e-12)


def test_fit_finds_more_evidence_and_predicts():
    process = SparsePrecision(GEOMETRY, 2).fit(TANGENT[LABELLED], LABELLED)
    assert process.negative_log_evidence < dense(2)[0] - 5
    truth = np.einsum("npd,np->nd", GEOMETRY.frames, FIELD)[UNLABELLED]
    assert np.linalg.norm(process.mean[UNLABELLED] - truth) < 0.2 * np.linalg.norm(truth)
    nearby = process.condition(TANGENT[LABELLED], LABELLED, process.tau * 1.5, process.gamma, process.noise)
    assert nearby.negative_log_evidence > -np.inf


def test_bad_arguments_are_named():
    process = SparsePrecision(GEOMETRY, 2)
    with pytest.raises(ValueError, match="nu="):
        SparsePrecision(GEOMETRY, 1.5)
    with pytest.raises(ValueError, match="different points"):
        process.fit(TANGENT[[0, 0]], np.array([0, 0]))
    with pytest.raises(ValueError, match="all 0"):
        process.fit(np.zeros((2, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match="a vector for each label"):
        process.fit(TANGENT, np.array([0, 1]))
