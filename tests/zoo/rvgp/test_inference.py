import pytest
import torch

from tests.zoo.rvgp.toys import BASIS, FIELD, LABELLED, UNLABELLED, VECTORS, dense_posterior, moments, observations
from zoo.rvgp.inference import Moments, Posterior

WEIGHTS = BASIS.kernel().weights(torch.tensor([1.5, 5.0, 1.0, 0.1], dtype=torch.float64))
CLOSE = {"rtol": 1e-8, "atol": 1e-8}
EXACT = {"rtol": 1e-11, "atol": 1e-11}


@pytest.mark.parametrize("observation", ["ambient", "tangent"])
@pytest.mark.parametrize("noise", [1e-3, 0.1, 1.0])
def test_posterior_is_that_of_the_dense_kernel(observation, noise):
    rows, values = observations(observation=observation)
    features = BASIS.ambient
    nll, mean, covariance = dense_posterior(rows, values, features.flatten(0, 1), WEIGHTS, noise)
    sums = moments(observation=observation)
    log_noise = torch.tensor(noise, dtype=torch.float64).log()
    torch.testing.assert_close(sums.problem().negative_log_evidence(WEIGHTS.log(), log_noise), nll, **CLOSE)
    posterior = Posterior(sums, WEIGHTS, noise)
    torch.testing.assert_close(posterior.mean(features).flatten(0, 1), mean, **CLOSE)
    blocks = covariance.reshape(220, 3, 220, 3).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    torch.testing.assert_close(posterior.covariance(features), blocks, **CLOSE)


def test_tangent_observations_lose_the_normal_part_alone():
    ambient, tangent = moments(), moments(observation="tangent")
    torch.testing.assert_close(tangent.gram, ambient.gram, **EXACT)
    torch.testing.assert_close(tangent.projections, ambient.projections, **EXACT)
    assert (tangent.count, ambient.count) == (140, 210)
    assert tangent.squares < ambient.squares


def test_gradients_are_those_of_differentiation():
    problem = moments().problem()
    arguments = (WEIGHTS.log().requires_grad_(), torch.tensor(-1.0, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(problem.negative_log_evidence, arguments)

    def plain(log_weights, log_noise):
        rows, values = observations()
        return dense_posterior(rows, values, rows[:1], log_weights.exp(), log_noise.exp())[0]

    expected = torch.autograd.grad(plain(*arguments), arguments)
    found = torch.autograd.grad(problem.negative_log_evidence(*arguments), arguments)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_many_fields_are_one_evidence_or_many():
    generator = torch.Generator().manual_seed(0)
    rows, _ = observations()
    values = torch.randn(len(rows), 60, dtype=torch.float64, generator=generator)  # more than eigenfields
    sums = Moments(BASIS.size, 60).update(rows, values)
    log_noise = torch.tensor(-1.0, dtype=torch.float64)
    singles = [Moments(BASIS.size).update(rows, column[:, None]).problem() for column in values.T]
    expected = torch.stack([single.negative_log_evidence(WEIGHTS.log(), log_noise) for single in singles])
    joint = sums.problem().negative_log_evidence(WEIGHTS.log(), log_noise)
    torch.testing.assert_close(joint, expected.sum(), **EXACT)
    many = sums.problem(separate=True)
    separate = many.negative_log_evidence(WEIGHTS.log().expand(60, -1), log_noise.expand(60))
    torch.testing.assert_close(separate, expected, **EXACT)
    weights = (WEIGHTS.log() + 0.1).requires_grad_()
    torch.testing.assert_close(
        torch.autograd.grad(sums.problem().negative_log_evidence(weights, log_noise), weights)[0],
        sum(torch.autograd.grad(single.negative_log_evidence(weights, log_noise), weights)[0] for single in singles),
        **CLOSE,
    )


def test_sums_of_parts_are_those_of_the_whole():
    whole, first, second = moments(), moments(LABELLED[:30]), moments(LABELLED[30:])
    twin = first.copy()
    first.merge(second)
    for name in ("gram", "projections", "squares"):
        torch.testing.assert_close(getattr(first, name), getattr(whole, name), **EXACT)
    assert first.count == whole.count and twin.count == 90
    loaded = Moments(BASIS.size)
    loaded.load_state_dict(whole.state_dict())
    torch.testing.assert_close(loaded.gram, whole.gram, rtol=0, atol=0)
    assert loaded.count == whole.count


def test_all_labelled_is_a_spectral_filter():
    everyone = range(220)
    rows, values = observations(list(everyone))
    posterior = Posterior(moments(list(everyone)), WEIGHTS, 0.3)
    strength = 220 * 2
    factor = strength * WEIGHTS / (strength * WEIGHTS + 0.3)
    expected = rows @ (factor[:, None] * (rows.T @ values)) / strength
    torch.testing.assert_close(posterior.mean(rows), expected, rtol=1e-10, atol=1e-10)


def test_limits_of_the_noise():
    features = BASIS.ambient
    assert Posterior(moments(), WEIGHTS, 1e9).mean(features).abs().max() < 1e-5
    # A field in the span of the eigenfields, with more labels than eigenfields, is recovered.
    coefficients = torch.randn(BASIS.size, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows, _ = observations()
    sums = Moments(BASIS.size).update(rows, rows @ coefficients)
    error = Posterior(sums, WEIGHTS, 1e-9).mean(features) - features @ coefficients
    assert error.abs().max() < 1e-6


def test_variance_falls_with_labels():
    features = BASIS.ambient
    prior = (features**2 * WEIGHTS).sum(-1)
    few, many = Posterior(moments(LABELLED[:20]), WEIGHTS, 0.1), Posterior(moments(), WEIGHTS, 0.1)
    variances = [posterior.covariance(features).diagonal(dim1=1, dim2=2) for posterior in (few, many)]
    assert (variances[0] <= prior + 1e-12).all() and (variances[1] <= variances[0] + 1e-12).all()


def test_predictions_are_tangent():
    posterior, features = Posterior(moments(), WEIGHTS, 0.1), BASIS.ambient
    mean = posterior.mean(features)[..., 0]
    normal = mean - torch.einsum("npd,nqd,nq->np", BASIS.frames, BASIS.frames, mean)
    assert normal.abs().max() < 1e-12
    assert torch.linalg.eigvalsh(posterior.covariance(features))[:, 0].abs().max() < 1e-12


def test_leaving_one_out_is_fitting_without_it():
    rows, values = observations(observation="tangent")
    features, vectors = rows.reshape(70, 2, -1), values.reshape(70, 2)
    posterior = Posterior(moments(observation="tangent"), WEIGHTS, 0.1)
    mean, covariance, density = posterior.leave_one_out(features, vectors)
    for left_out in (0, 13, 69):
        rest = [index for index in range(70) if index != left_out]
        without = Posterior(moments(LABELLED[rest], "tangent"), WEIGHTS, 0.1)
        expected = without.mean(features[left_out])[:, 0], without.covariance(features[left_out])
        torch.testing.assert_close((mean[left_out], covariance[left_out]), expected, **CLOSE)
        noisy = expected[1] + 0.1 * torch.eye(2, dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal(expected[0], noisy)
        torch.testing.assert_close(density[left_out], normal.log_prob(vectors[left_out]), **CLOSE)


def test_samples_have_the_moments_of_the_posterior():
    posterior = Posterior(moments(), WEIGHTS, 0.1)
    features = BASIS.ambient[UNLABELLED[:3]]
    samples = posterior.sample(features, 20000, torch.Generator().manual_seed(2)).reshape(20000, -1)
    torch.testing.assert_close(samples.mean(0), posterior.mean(features).flatten(), rtol=0, atol=0.02)
    flat = features.flatten(0, 1)
    covariance = posterior.covariance(flat[None])[0]
    assert (torch.cov(samples.T) - covariance).abs().max() < 0.05 * covariance.abs().max()


def test_posterior_does_not_depend_on_the_basis_of_eigenspaces():
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))).Q
    rotation = torch.eye(BASIS.size, dtype=torch.float64)
    rotation[:2, :2] = turn  # the first two eigenvalues are one
    rows, values = observations()
    turned = Posterior(Moments(BASIS.size).update(rows @ rotation, values), WEIGHTS, 0.1)
    expected = Posterior(moments(), WEIGHTS, 0.1).mean(BASIS.ambient)
    torch.testing.assert_close(turned.mean(BASIS.ambient @ rotation), expected, **EXACT)


def test_prediction_beats_the_mean():
    mean = Posterior(moments(), WEIGHTS, 0.0025).mean(BASIS.ambient)[..., 0][UNLABELLED]
    truth = torch.from_numpy(FIELD[UNLABELLED])
    trivial = truth - torch.from_numpy(VECTORS[LABELLED].mean(0))
    assert (mean - truth).norm() < 0.2 * trivial.norm()


def test_bad_rows_are_refused():
    sums = Moments(3)
    with pytest.raises(ValueError, match="values"):
        sums.update(torch.ones(4, 3), torch.ones(3, 1))
    with pytest.raises(ValueError, match="NaN or infinity"):
        sums.update(torch.ones(1, 3), torch.full((1, 1), torch.nan))
    with pytest.raises(ValueError, match="other="):
        sums.merge(Moments(4))
    assert sums.count == 0
