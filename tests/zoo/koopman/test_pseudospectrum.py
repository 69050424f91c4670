import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.gram import select
from zoo.koopman.pseudospectrum import (
    grid,
    pseudoeigenfunctions,
    smallest_residuals,
)
from zoo.koopman.residuals import pair_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def matlab_tau(psi_x, psi_y, weights, points):
    """QR form of the authors' code: the smallest eigenvalue of L - zA* - conj(z)A + |z|^2, and R \\ V, for each z."""
    root = np.sqrt(weights.numpy())[:, None]
    q, r = np.linalg.qr(root * psi_x.numpy())
    c = np.linalg.solve(r.T, (root * psi_y.numpy()).T).T
    a, el = q.conj().T @ c, c.conj().T @ c
    values, vectors = [], []
    for z in points:
        eigvals, eigvecs = np.linalg.eigh(el - z * a.conj().T - np.conj(z) * a + abs(z) ** 2 * np.eye(len(a)))
        values.append(np.sqrt(eigvals[0].real))
        vectors.append(np.linalg.solve(r, eigvecs[:, 0]))
    return np.array(values), np.stack(vectors, axis=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_tau_and_its_functions_are_those_of_the_authors_code(dtype):
    data = random_snapshots(dtype=dtype)
    factors = factorize_snapshots(*data)
    points = grid((-1.0, 1.0), (-1.0, 1.0), 0.4)
    values, vectors = matlab_tau(*data, points.flatten().numpy())
    found = smallest_residuals(factors, points)
    assert found.shape == points.shape
    torch.testing.assert_close(found.flatten(), torch.from_numpy(values), rtol=0, atol=1e-13)
    tau, functions = pseudoeigenfunctions(factors, points.flatten())
    torch.testing.assert_close(tau, found.flatten(), rtol=0, atol=1e-13)
    gram = (data[0].mH @ (data[2][:, None] * data[0])).to(torch.complex128)
    products = (torch.from_numpy(vectors).to(torch.complex128).conj() * (gram @ functions)).sum(dim=0)
    torch.testing.assert_close(products.abs(), torch.ones(36).double(), **EXACT)
    torch.testing.assert_close(pair_residuals(factors, points.flatten(), functions).residual, tau, **EXACT)


def test_tau_is_accurate_where_squares_are_not():
    generator = torch.Generator().manual_seed(0)
    compression = torch.diag(torch.arange(1, 6).double())
    leak = 1e-9 * torch.randn(5, 5, dtype=torch.float64, generator=generator)
    identity = torch.eye(5).double()
    factors = factorize(torch.cat([torch.cat([identity, compression], 1), torch.cat([0 * identity, leak], 1)]))
    expected = torch.linalg.svdvals(torch.cat([compression - 3 * identity, leak]))[-1]
    assert float(smallest_residuals(factors, torch.tensor([3.0]))) == pytest.approx(float(expected), rel=1e-5)
    assert expected < 1e-8


def test_tau_is_lipschitz(oscillator):
    factors = factorize(oscillator)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(200, dtype=torch.complex128, generator=generator)
    values = smallest_residuals(factors, points)
    slopes = (values[:, None] - values).abs() - (points[:, None] - points).abs()
    assert slopes.max() < 1e-12


def test_tau_decreases_with_the_dictionary(oscillator):
    points = grid((-1.2, 1.2), (0.0, 1.2), 0.3)
    taus = [smallest_residuals(factorize(select(oscillator, torch.arange(n))), points) for n in (5, 10, 20, 30)]
    for smaller, larger in zip(taus[1:], taus, strict=False):
        assert (smaller <= larger + 1e-12).all()


def test_tau_is_symmetric_for_real_dictionaries(oscillator):
    factors = factorize(oscillator)
    points = grid((-1.0, 1.0), (0.1, 1.0), 0.3)
    assert torch.equal(smallest_residuals(factors, points), smallest_residuals(factors, points.conj()))
    complex_factors = factorize(oscillator.to(torch.complex128))
    torch.testing.assert_close(
        smallest_residuals(factors, points), smallest_residuals(complex_factors, points.conj()), rtol=0, atol=1e-12
    )


def test_tau_of_an_isometry_is_at_least_the_distance_from_the_circle():
    psi_x, _, _ = random_snapshots(5)
    factors = factorize_snapshots(psi_x, psi_x.roll(1, 0))
    points = grid((-1.5, 1.5), (-1.5, 1.5), 0.25)
    tau = smallest_residuals(factors, points)
    assert (tau >= (1 - points.abs()).abs() - 1e-12).all()
    torch.testing.assert_close(smallest_residuals(factors, points, measure_preserving=True), tau, **EXACT)
    dissipative = factorize_snapshots(psi_x, 0.5 * psi_x.roll(1, 0))
    bounded = smallest_residuals(dissipative, points, measure_preserving=True)
    assert torch.equal(
        bounded, torch.maximum(smallest_residuals(dissipative, points), (1 - points.flatten().abs()).abs().view(13, 13))
    )


def test_batches_do_not_change_tau(oscillator, monkeypatch):
    factors, points = factorize(oscillator), grid((-1.0, 1.0), (-1.0, 1.0), 0.5)
    whole = smallest_residuals(factors, points)
    monkeypatch.setattr("zoo.koopman.hermitian_forms.CPU_BATCH_BYTES", 1)
    torch.testing.assert_close(smallest_residuals(factors, points), whole, rtol=0, atol=1e-14)


def test_eigenvalues_lie_in_every_set_above_their_residual(oscillator):
    factors = factorize(oscillator)
    pairs = edmd(factors)
    residuals = pair_residuals(factors, pairs.eigenvalues, pairs.right).residual
    assert (smallest_residuals(factors, pairs.eigenvalues) <= residuals + 1e-12).all()


def test_grids_include_their_ends():
    points = grid((-1.5, 1.5), (0.0, 1.0), 0.05)
    assert points.shape == (21, 61)
    assert points[0, 0] == -1.5
    assert points[-1, -1].real == pytest.approx(1.5)
    assert points[-1, -1].imag == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: smallest_residuals(f, torch.tensor([torch.nan])), "points="),
        (lambda f: grid((0, 1), (0, 1), 0), "step=0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(factorize_snapshots(*random_snapshots()))
