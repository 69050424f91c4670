import pytest
import torch

from tests.zoo.rvgp.toys import BASIS, moments, observations
from zoo.rvgp.inference import Moments
from zoo.rvgp.kernels import KINDS, KNOTS, unconstrained
from zoo.rvgp.optimization import minimize, minimize_many, objective

STARTS = {"matern": [1.5, 5.0, 1.0, 1.0], "se": [1.5, 1.0, 0.1], "free": [1.0] * KNOTS + [1.0, 1.0]}


def start_of(kind):
    return torch.tensor(STARTS[kind], dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_stationary(kind):
    kernel, problem = BASIS.kernel(kind), moments().problem()
    found = minimize(kernel, problem, start_of(kind))
    assert found.objective < objective(kernel, problem, unconstrained(start_of(kind))) - 50
    free = unconstrained(found.values).requires_grad_()
    (gradient,) = torch.autograd.grad(objective(kernel, problem, free), free)
    assert gradient.abs().max() < 0.02


@pytest.mark.parametrize("kind", ["matern", "se"])
def test_many_searches_agree_with_one(kind):
    kernel, problem = BASIS.kernel(kind), moments().problem()
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(7, len(STARTS[kind]), dtype=torch.float64, generator=generator).mul(0.3).exp()
    starts = start_of(kind) * factors  # near each other: far away there are other optima
    many = minimize_many(kernel, problem, starts)
    best = minimize(kernel, problem, start_of(kind)).objective
    torch.testing.assert_close(many.objective, best.expand(7), rtol=0, atol=1e-2)


def test_fields_have_optima_of_their_own():
    rows, values = observations()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(len(rows), 3, dtype=torch.float64, generator=generator)
    fields = values + torch.tensor([0.01, 0.1, 0.5], dtype=torch.float64) * noise
    kernel = BASIS.kernel("se")
    starts = start_of("se").repeat(3, 1)
    many = minimize_many(kernel, Moments(BASIS.size, 3).update(rows, fields).problem(separate=True), starts)
    for index in range(3):
        single = Moments(BASIS.size).update(rows, fields[:, index : index + 1]).problem()
        expected = minimize(kernel, single, start_of("se")).objective
        torch.testing.assert_close(many.objective[index], expected, rtol=0, atol=1e-2)
    assert (many.values[:, -1].diff() > 0).all()


def test_a_search_that_overflows_turns_back():
    kernel, problem = BASIS.kernel("se"), moments().problem()
    absurd = torch.tensor([1.0, 1e308, 1e-3], dtype=torch.float64)
    free = unconstrained(absurd).requires_grad_()
    value = objective(kernel, problem, free)
    assert value == torch.inf and torch.isfinite(torch.autograd.grad(value, free)[0]).all()


def test_bad_arguments_are_named():
    kernel, problem = BASIS.kernel(), moments().problem()
    with pytest.raises(ValueError, match="numbers > 0 for nu, kappa, sigma_f, noise"):
        minimize(kernel, problem, -start_of("matern"))
    with pytest.raises(ValueError, match="iterations=0"):
        minimize(kernel, problem, start_of("matern"), 0)
