import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import duffing, orthogonal_functions, quadratic, radial, random_snapshots, slow_manifold
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_gram, factorize_snapshots
from zoo.koopman.gram import assemble
from zoo.koopman.residuals import (
    data_residuals,
    gram_residuals,
    isometry_residuals,
    mean_leak,
    pair_residuals,
    verified,
)

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def gauss_map(size=40, nodes=100):
    """Return Legendre polynomials at Gauss-Legendre nodes of [-1, 0] and after F = exp(-2x^2) - 1 - exp(-2)."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    x, weights = (x - 1) / 2, weights / 2
    y = np.exp(-2 * x**2) - 1 - np.exp(-2)
    scale = np.sqrt(2 * np.arange(size) + 1)
    psi_x, psi_y = (np.polynomial.legendre.legvander(2 * z + 1, size - 1) * scale for z in (x, y))
    return torch.from_numpy(psi_x), torch.from_numpy(psi_y), torch.from_numpy(weights)


def matlab_residuals(psi_x, psi_y, weights, eigenvalues, vectors):
    """Residuals as the authors' code writes them: vecnorm(PY*V - PX*V*diag(LAM)) ./ vecnorm(PX*V), rows weighted."""
    px, py = (np.sqrt(weights.numpy())[:, None] * psi.numpy() for psi in (psi_x, psi_y))
    v, lam = vectors.numpy(), eigenvalues.numpy()
    return np.linalg.norm(py @ v - px @ v @ np.diag(lam), axis=0) / np.linalg.norm(px @ v, axis=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_residuals_are_those_of_the_authors_code(dtype):
    data = random_snapshots(dtype=dtype)
    generator = torch.Generator().manual_seed(3)
    eigenvalues = torch.randn(4, dtype=torch.complex128, generator=generator)
    vectors = torch.randn(6, 4, dtype=torch.complex128, generator=generator)
    expected = torch.from_numpy(matlab_residuals(*data, eigenvalues, vectors))
    found = pair_residuals(factorize_snapshots(*data), eigenvalues, vectors)
    torch.testing.assert_close(found.residual, expected, **EXACT)
    torch.testing.assert_close(torch.hypot(found.projected, found.leak), expected, **EXACT)
    torch.testing.assert_close(data_residuals(*data[:2], eigenvalues, vectors, data[2]), expected, **EXACT)


def test_the_quadratic_form_has_lambda_times_the_adjoint():
    psi_x, psi_y, weights = random_snapshots()
    w = torch.diag(weights).to(psi_x.dtype)
    g, a, el = psi_x.mH @ w @ psi_x, psi_x.mH @ w @ psi_y, psi_y.mH @ w @ psi_y
    lam, v = torch.tensor(0.3 - 0.8j).to(g.dtype), psi_x[0]
    expected = (v.conj() @ (el - lam * a.mH - lam.conj() * a + abs(lam) ** 2 * g) @ v / (v.conj() @ g @ v)).real.sqrt()
    found, squares = gram_residuals(assemble(g, a, el), lam[None], v[:, None])
    torch.testing.assert_close(found[0], expected, **EXACT)
    torch.testing.assert_close(squares[0], expected**2, **EXACT)
    torch.testing.assert_close(
        pair_residuals(factorize_snapshots(psi_x, psi_y, weights), lam[None], v[:, None]).residual[0], expected, **EXACT
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_squared_residuals_of_edmd_are_the_leak(dtype):
    factors = factorize_snapshots(*random_snapshots(dtype=dtype))
    pairs = edmd(factors)
    residuals = pair_residuals(factors, pairs.eigenvalues, pairs.right)
    vectors = factors.coordinates.to(torch.complex128) @ pairs.right
    leak = (factors.leak.mH @ factors.leak).to(torch.complex128)
    expected = (vectors.conj() * (leak @ vectors)).sum(dim=0).real
    torch.testing.assert_close(residuals.residual**2, expected, **EXACT)
    torch.testing.assert_close(residuals.projected, torch.zeros(6).double(), **EXACT)
    torch.testing.assert_close(residuals.leak, residuals.residual, **EXACT)


def test_an_invariant_dictionary_has_no_residual():
    x, y = slow_manifold()
    factors = factorize_snapshots(quadratic(x), quadratic(y))
    pairs = edmd(factors)
    torch.testing.assert_close(
        pairs.eigenvalues, torch.tensor([1, 0.9, 0.81, 0.5], dtype=torch.complex128), rtol=0, atol=1e-13
    )
    assert pair_residuals(factors, pairs.eigenvalues, pairs.right).residual.max() < 1e-13 * factors.condition
    assert mean_leak(factors) < 1e-26 * factors.condition**2


def test_the_gram_form_has_half_of_the_digits():
    x, y = slow_manifold()
    rows = torch.cat([quadratic(x), quadratic(y)], dim=1) / len(x) ** 0.5
    gram = rows.T @ rows
    factors = factorize_gram(gram)
    pairs = edmd(factors)
    assert pair_residuals(factors, pairs.eigenvalues, pairs.right).residual.max() < 1e-7
    residuals, squares = gram_residuals(gram, pairs.eigenvalues, pairs.right)
    assert residuals.max() < 1e-7
    assert squares.min() > -1e-14


def test_the_gauss_map_has_an_eigenpair_to_machine_precision():
    data = gauss_map()
    factors = factorize_snapshots(*data)
    pairs = edmd(factors)
    residuals = pair_residuals(factors, pairs.eigenvalues, pairs.right).residual
    assert residuals.min() < 1e-14
    assert residuals.max() > 0.1  # most eigenvalues of a matrix of 40 are spurious
    kept = verified(residuals, 0.01)
    assert 0 < len(kept) < 40
    assert abs(pairs.eigenvalues[residuals.argmin()] - 1) < 1e-13


@pytest.mark.parametrize("change", ["basis", "states", "weights"])
def test_residuals_do_not_depend_on(change):
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    eigenvalues = torch.tensor([0.5 + 0.2j, 0.9 - 0.1j])
    vectors = torch.randn(6, 2, dtype=torch.complex128, generator=torch.Generator().manual_seed(5))
    expected = pair_residuals(factorize_snapshots(psi_x, psi_y, weights), eigenvalues, vectors)
    if change == "basis":
        matrix = orthogonal_functions(6)
        psi_x, psi_y, vectors = psi_x @ matrix, psi_y @ matrix, torch.linalg.solve(matrix.to(vectors.dtype), vectors)
    elif change == "states":
        order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        psi_x, psi_y, weights = psi_x[order], psi_y[order], weights[order]
    else:
        weights = 7.5 * weights
    found = pair_residuals(factorize_snapshots(psi_x, psi_y, weights), eigenvalues, vectors)
    for part in ("residual", "projected", "leak"):
        torch.testing.assert_close(getattr(found, part), getattr(expected, part), **EXACT)


def test_mean_leak_is_the_whitened_residual_loss_and_knows_no_basis():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    w = torch.diag(weights)
    g, a, el = psi_x.T @ w @ psi_x, psi_x.T @ w @ psi_y, psi_y.T @ w @ psi_y
    expected = float(torch.trace(torch.linalg.solve(g, el - a.T @ torch.linalg.solve(g, a)))) / 6
    assert mean_leak(factorize_snapshots(psi_x, psi_y, weights)) == pytest.approx(expected, rel=1e-12)
    matrix = orthogonal_functions(6)
    changed = mean_leak(factorize_snapshots(psi_x @ matrix, psi_y @ matrix, weights))
    assert changed == pytest.approx(expected, rel=1e-12)


def test_isometry_residuals_are_the_formula_with_l_equal_to_g():
    psi_x, _, weights = random_snapshots(dtype=torch.float64)
    psi_y = psi_x.roll(1, 0)
    weights = torch.full_like(weights, 1 / len(weights))  # a permutation of equal weights: L = G exactly
    factors = factorize_snapshots(psi_x, psi_y, weights)
    eigenvalues = torch.exp(1j * torch.arange(3).double())
    vectors = torch.randn(6, 3, dtype=torch.complex128, generator=torch.Generator().manual_seed(5))
    expected = pair_residuals(factors, eigenvalues, vectors)
    found = isometry_residuals(factors, eigenvalues, vectors)
    torch.testing.assert_close(found.residual, expected.residual, **EXACT)
    torch.testing.assert_close(found.leak, expected.leak, **EXACT)


def test_residuals_on_data_where_a_function_vanishes_are_infinite():
    factors = factorize_snapshots(*random_snapshots(dtype=torch.float64))
    assert pair_residuals(factors, torch.zeros(1), torch.zeros(6, 1)).residual.isinf().all()


def test_fresh_data_shows_what_training_data_hides():
    x, y = duffing(100)
    psi_x, psi_y = radial(x, x[:90]), radial(y, x[:90])
    train = factorize_snapshots(psi_x[:100], psi_y[:100])
    test = factorize_snapshots(psi_x[100:], psi_y[100:])
    pairs = edmd(train)
    hidden = pair_residuals(train, pairs.eigenvalues, pairs.right).residual.median()
    shown = pair_residuals(test, pairs.eigenvalues, pairs.right).residual.median()
    assert shown > 3 * hidden


@pytest.mark.parametrize(("values", "vectors"), [(torch.ones(2), torch.ones(6, 3)), (torch.ones(3), torch.ones(5, 3))])
def test_pairs_that_do_not_fit_are_refused(values, vectors):
    with pytest.raises(ValueError, match=r"eigenvalues=|coefficients="):
        pair_residuals(factorize_snapshots(*random_snapshots()), values, vectors)


def test_a_torus_whose_cocycle_is_a_coboundary_has_known_eigenfunctions():
    generator = np.random.default_rng(0)
    x, y = generator.uniform(size=(2, 200))
    nu, c, k, m = np.sqrt(2) - 1, 0.3, 2, 3

    def h(z):
        return 0.2 * np.sin(2 * np.pi * z) + 0.05 * np.cos(6 * np.pi * z)

    def function(x, y):
        return torch.from_numpy(np.exp(2j * np.pi * (k * x + m * (y - h(x)))))[:, None]

    image = function(x + nu, y + c + h(x + nu) - h(x))
    eigenvalue = torch.tensor([np.exp(2j * np.pi * (k * nu + m * c))])
    assert data_residuals(function(x, y), image, eigenvalue, torch.ones(1, 1)).max() < 1e-13
    # With f(x) = x in its place no function of the sector is one: this one is off by order 1.
    other = function(x + nu, y + x)
    assert data_residuals(function(x, y), other, eigenvalue, torch.ones(1, 1)).min() > 1
