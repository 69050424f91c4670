import math

import numpy as np
import pytest
import torch

from tests.zoo.koopman.cmv import cmv_factors, wrapped_gaussian
from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.measures import isometry_density, wasserstein, wrap
from zoo.koopman.mpedmd import mpedmd
from zoo.koopman.resolvent import Resolvent


@pytest.fixture(scope="module")
def cmv():
    return cmv_factors(300)


def first(size):
    return torch.eye(size)[0].double()


# Largest errors of the authors' code for n = 300.
ERRORS = {0.5: [1.11, 0.69, 0.247, 0.090], 0.1: [0.462, 0.113, 5.6e-3, 2.6e-4]}


@pytest.mark.parametrize("epsilon", ERRORS)
def test_densities_converge_as_the_authors_code_does(cmv, epsilon):
    angles = torch.linspace(-math.pi, math.pi, 401).double()
    for order, expected in zip((1, 2, 4, 6), ERRORS[epsilon], strict=True):
        found = isometry_density(cmv, first(300), angles, epsilon, order)
        assert float((found - wrapped_gaussian(angles)).abs().max()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_errors_fall_with_the_order_of_the_kernel(cmv, order):
    angles = torch.linspace(-math.pi, math.pi, 101).double()
    errors = [
        float((isometry_density(cmv, first(300), angles, e, order) - wrapped_gaussian(angles)).abs().max())
        for e in (0.06, 0.03)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.45)


def matlab_isom_meas(g, a, f, angles, epsilon, order):
    """The authors' dense formula with one solve for every angle and pole."""
    j = np.arange(1, order + 1)
    delta = (2 * j / (order + 1) - 1) * 1j + 1
    sigma = -delta.conj() / (1 + epsilon * delta.conj())
    rhs = np.eye(order)[0]
    c, d = (np.linalg.solve(np.vander(z, increasing=True).T, rhs) for z in (sigma, delta))
    nu = np.zeros(len(angles))
    for k, theta in enumerate(angles):
        for jj in range(order):
            z = np.exp(1j * theta) * (1 + epsilon * delta[jj])
            i = np.linalg.solve(a - z * g, g @ f)
            term = c[jj] * np.conj(z) * (i.conj() @ g @ f) + d[jj] * ((a.conj().T @ f).conj() @ i)
            nu[k] -= np.real(term) / (2 * np.pi)
    return nu


def test_densities_are_those_of_the_formula_in_any_dictionary():
    psi_x, psi_y, weights = random_snapshots()
    factors = factorize_snapshots(psi_x, psi_y, weights)
    w = torch.diag(weights).to(psi_x.dtype)
    f = torch.randn(6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    angles = torch.linspace(-3, 3, 7).double()
    expected = matlab_isom_meas(
        (psi_x.mH @ w @ psi_x).numpy(), (psi_x.mH @ w @ psi_y).numpy(), f.numpy(), angles.numpy(), 0.7, 3
    )
    found = isometry_density(factors, f, angles, 0.7, 3)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", [1, 3, 8])
def test_the_mass_is_that_of_the_function(order):
    psi_x, _, _ = random_snapshots()
    factors = factorize_snapshots(psi_x, psi_x.roll(1, 0))
    f = torch.randn(6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    angles = torch.arange(4000).double() * 2 * math.pi / 4000
    mass = isometry_density(factors, f, angles, 0.3, order).mean() * 2 * math.pi
    assert float(mass) == pytest.approx(float((psi_x @ f).abs().square().mean()), rel=1e-10)


def test_resolvents_solve_and_bound_their_error(cmv):
    small = cmv_factors(100)
    points = torch.tensor([1.1 + 0j, 1.05j, -2.0])
    solution, bound = Resolvent(small).apply(points, first(100))
    exact, tiny = Resolvent(cmv).apply(points, first(300))
    padded = torch.cat([solution, torch.zeros(200, 3, dtype=solution.dtype)])
    error = torch.linalg.vector_norm(padded - exact, dim=0)
    assert (error <= bound + tiny + 1e-14).all()
    assert (bound < 0.1).all()
    matrix = small.compression.to(torch.complex128)
    for point, column in zip(points.to(torch.complex128), solution.T, strict=True):
        residual = matrix @ column - point * column - first(100)
        assert float(residual.abs().max()) < 1e-12
    with pytest.raises(ValueError, match="points="):
        Resolvent(small).apply(torch.tensor([0.5]), first(100))


def test_distances_between_measures():
    angles, masses = torch.tensor([0.0, 1.0]).double(), torch.tensor([0.25, 0.75]).double()
    assert wasserstein(angles, masses, angles, masses) == 0
    assert wasserstein(angles, masses, angles + 0.5, masses) == pytest.approx(0.5)
    assert wasserstein(angles, masses, torch.tensor([0.0]), torch.tensor([1.0])) == pytest.approx(0.75)
    assert wasserstein(angles + 2 * math.pi, masses, angles, masses) == pytest.approx(0, abs=1e-12)
    generator = np.random.default_rng(0)
    one, other = (torch.from_numpy(generator.uniform(-3, 3, 40)) for _ in range(2))
    uniform = torch.full((40,), 1 / 40).double()
    expected = float((one.sort().values - other.sort().values).abs().mean())
    assert wasserstein(one, uniform, other, uniform) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"other_masses=2.0"):
        wasserstein(angles, masses, angles, 2 * masses)
    with pytest.raises(ValueError, match="masses="):
        wasserstein(angles, masses[:1], angles, masses)


def test_wrapped_angles():
    values = wrap(torch.tensor([-math.pi, math.pi, 3 * math.pi, 0.5, -0.5 - 2 * math.pi], dtype=torch.float64))
    assert values.tolist() == pytest.approx([math.pi, math.pi, math.pi, 0.5, -0.5])


def test_measures_of_mpedmd_converge_weakly(cmv):
    angles = torch.linspace(-math.pi, math.pi, 20001).double()
    density = wrapped_gaussian(angles)
    density = density / density.sum()
    distances = []
    for size in (20, 40, 80):
        model = mpedmd(cmv_factors(size))
        support, masses = model.measure(first(size))
        distances.append(wasserstein(support, masses, angles, density))
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.02
