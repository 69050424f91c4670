import numpy as np
import pytest
import torch

from tests.zoo.rvgp.toys import BASIS, moments, observations
from zoo.rvgp.inference import Moments
from zoo.rvgp.kernels import KINDS, KNOTS, unconstrained
from zoo.rvgp.optimization import objective
from zoo.rvgp.single_evidence import SingleEvidence

VALUES = {"matern": [1.5, 5.0], "se": [2.0], "free": np.linspace(0.2, 2, KNOTS).tolist()}


def by_torch(kernel, problem, free):
    point = torch.from_numpy(free).requires_grad_()
    value = objective(kernel, problem, point)
    return value.item(), torch.autograd.grad(value, point)[0].numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalization", ["variance", "reference"])
@pytest.mark.parametrize("fields", [1, 40])
def test_value_and_gradient_are_those_of_torch(kind, normalization, fields):
    rows, values = observations()
    generator = torch.Generator().manual_seed(0)
    values = values + 0.1 * torch.randn(len(rows), fields, dtype=torch.float64, generator=generator)
    problem = Moments(BASIS.size, fields).update(rows, values).problem()
    kernel = BASIS.kernel(kind, normalization)
    for sigma_f, noise in ((1.0, 1.0), (1e-3, 3e-3)):
        free = unconstrained(torch.tensor([*VALUES[kind], sigma_f, noise], dtype=torch.float64)).numpy()
        value, gradient = SingleEvidence(kernel, problem)(free)
        expected, derivative = by_torch(kernel, problem, free)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, derivative, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("free", [[800.0, 1e300, -800.0], [1.0, 1e308, -50.0], [np.inf, 1.0, 1.0]])
def test_overflow_is_infinite(free):
    value, gradient = SingleEvidence(BASIS.kernel("se"), moments().problem())(np.array(free))
    assert value == np.inf or np.isfinite(value)
    assert np.isfinite(gradient).all()
