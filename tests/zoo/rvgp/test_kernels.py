import math

import pytest
import torch

from tests.zoo.rvgp.toys import BASIS, GEOMETRY
from zoo.rvgp.kernels import KINDS, KNOTS, SpectralKernel, constrained, unconstrained

EXACT = {"rtol": 1e-12, "atol": 1e-12}
EIGVALS = torch.tensor([0.0, 0.1, 0.1, 0.7, 2.0], dtype=torch.float64)


def values_of(kind, sigma_f=1.3, noise=0.1):
    shape = {"matern": [1.5, 5.0], "se": [2.0], "free": torch.linspace(0.1, 2, KNOTS).tolist()}[kind]
    return torch.tensor([*shape, sigma_f, noise], dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("matern", (EIGVALS + 2 * 1.5 / 25) ** -1.5), ("se", torch.exp(-EIGVALS * 2))],
)
def test_published_formulas(kind, expected):
    kernel = SpectralKernel(kind, EIGVALS, torch.ones(5, dtype=torch.float64), "reference", rows=60)
    expected = expected * 60 / expected.sum() * 1.3
    torch.testing.assert_close(kernel.weights(values_of(kind)), expected, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_normalisations_are_mean_prior_variances(kind):
    n, ambient, dim = 220, 3, 2
    for normalization, expected in (("variance", 1.3), ("reference", 1.3 * n * ambient)):
        weights = BASIS.kernel(kind, normalization).weights(values_of(kind))
        trace = (BASIS.ambient**2 @ weights).sum(1).mean()
        torch.testing.assert_close(trace, torch.tensor(dim * expected, dtype=torch.float64), **EXACT)
    # The published one in other words: the mean over all rows is n d sigma_f.
    assert (BASIS.ambient**2 @ weights).mean().item() == pytest.approx(n * dim * 1.3, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_do_not_increase(kind):
    weights = BASIS.kernel(kind).weights(values_of(kind))
    assert (weights.diff() <= 1e-15).all() and weights[0] > 10 * weights[-1]


def test_free_spectrum_contains_the_exponential():
    # Log g of the squared exponential is linear, and a free spectrum linear between quantiles.
    kernel = SpectralKernel("free", EIGVALS, torch.ones(5, dtype=torch.float64))
    knots = torch.quantile(EIGVALS, torch.linspace(0, 1, KNOTS + 1, dtype=torch.float64))
    values = torch.cat([2 * knots.diff(), torch.tensor([1.3, 0.1], dtype=torch.float64)])
    expected = SpectralKernel("se", EIGVALS, torch.ones(5, dtype=torch.float64)).weights(values_of("se"))
    torch.testing.assert_close(kernel.weights(values), expected, **EXACT)


@pytest.mark.parametrize("values", [[300.0, 0.01, 1.0, 1.0], [1.5, 1e6, 1.0, 1.0], [80.0, 1e8, 1e-4, 1.0]])
def test_extreme_hyper_parameters_stay_finite(values):
    free = unconstrained(torch.tensor(values, dtype=torch.float64)).requires_grad_()
    weights = SpectralKernel("matern", EIGVALS, torch.ones(5, dtype=torch.float64)).log_weights(constrained(free))
    weights.sum().backward()
    assert torch.isfinite(weights).all() and torch.isfinite(free.grad).all()


def test_a_large_kappa_leaves_the_lowest_mode_alone():
    kernel = SpectralKernel("se", EIGVALS, torch.ones(5, dtype=torch.float64))
    weights = kernel.weights(torch.tensor([1e3, 1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.eye(5, dtype=torch.float64)[0], **EXACT)


def test_many_hyper_parameters_at_once():
    many = torch.stack([values_of("matern"), 2 * values_of("matern")])
    kernel = BASIS.kernel()
    expected = torch.stack([kernel.weights(values) for values in many])
    torch.testing.assert_close(kernel.weights(many), expected, **EXACT)


def test_constraints_are_inverse_to_each_other():
    values = torch.tensor([[1e-3, 5.0, 4000.0, 2e-6], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(constrained(unconstrained(values)), values, **EXACT)
    assert constrained(torch.tensor([-800.0, -800.0]))[1] >= 1e-6
    assert constrained(torch.zeros(1)).item() == pytest.approx(math.log(2) + 1e-6, rel=1e-6)


def test_bad_arguments_are_named():
    ones = torch.ones(5, dtype=torch.float64)
    with pytest.raises(ValueError, match="kind='rbf'"):
        SpectralKernel("rbf", EIGVALS, ones)
    with pytest.raises(ValueError, match="normalization='none'"):
        SpectralKernel("se", EIGVALS, ones, "none")
    with pytest.raises(ValueError, match="eigvals=-1"):
        SpectralKernel("se", EIGVALS - 1, ones)
    assert GEOMETRY.dim == 2
