import numpy as np
import pytest
import scipy.linalg
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import fourier_map, match, orthogonal_functions, random_snapshots, rotation
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_gram, factorize_snapshots
from zoo.koopman.mpedmd import PolarFactorWarning, angles_of, mpedmd
from zoo.koopman.pseudospectrum import smallest_residuals
from zoo.koopman.residuals import isometry_residuals, pair_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def matlab_gram(psi_x, psi_y, weights):
    """Gram form of the authors' code: SVD of G^-1/2 A* G^-1/2, Schur of V U*."""
    w = np.diag(weights.numpy())
    g, a = psi_x.numpy().conj().T @ w @ psi_x.numpy(), psi_x.numpy().conj().T @ w @ psi_y.numpy()
    eigvals, eigvecs = np.linalg.eigh(g)
    root = eigvecs @ np.diag(eigvals**0.5) @ eigvecs.conj().T
    inverse = np.linalg.inv(root)
    u, _, vh = np.linalg.svd(inverse @ a.conj().T @ inverse)
    unitary = vh.conj().T @ u.conj().T
    return np.diag(scipy.linalg.schur(unitary, output="complex")[0]), inverse @ unitary @ root


def matlab_qr(psi_x, psi_y, weights):
    """QR form of the authors' code: T = (R*)^-1 (Psi_Y* W^1/2 Q)."""
    root = np.sqrt(weights.numpy())[:, None]
    q, r = np.linalg.qr(root * psi_x.numpy())
    t = np.linalg.solve(r.conj().T, psi_y.numpy().conj().T @ (root * q))
    u, _, vh = np.linalg.svd(t)
    unitary = vh.conj().T @ u.conj().T
    return np.diag(scipy.linalg.schur(unitary, output="complex")[0]), np.linalg.solve(r, unitary @ r)


@pytest.mark.parametrize("form", [matlab_gram, matlab_qr])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_both_forms_are_those_of_the_authors_code(form, dtype):
    data = random_snapshots(dtype=dtype)
    eigenvalues, matrix = form(*data)
    rows = torch.cat(data[:2], dim=1)
    for factors in (factorize_snapshots(*data), factorize_gram(rows.mH @ (data[2][:, None] * rows))):
        found = mpedmd(factors)
        assert match(found.eigenvalues, eigenvalues) < 1e-13
        torch.testing.assert_close(found.matrix, torch.from_numpy(matrix), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_matrix_is_unitary_in_the_inner_product_of_the_data(dtype):
    psi_x, psi_y, weights = random_snapshots(8, dtype=dtype)
    found = mpedmd(factorize_snapshots(psi_x, psi_y, weights))
    gram = psi_x.mH @ (weights[:, None] * psi_x)
    torch.testing.assert_close(found.matrix.mH @ gram @ found.matrix, gram, **EXACT)
    identity = torch.eye(8, dtype=torch.complex128)
    torch.testing.assert_close(found.right.mH @ gram.to(torch.complex128) @ found.right, identity, **EXACT)
    assert (found.eigenvalues.abs() - 1).abs().max() < 1e-13
    image = found.matrix.to(torch.complex128) @ found.right
    torch.testing.assert_close(image, found.right * found.eigenvalues, **EXACT)
    assert (found.angles.diff() >= 0).all()


def test_angles_of_both_forms_agree_at_condition_three_thousand():
    psi_x, psi_y, weights = random_snapshots(8, dtype=torch.float64)
    scale = orthogonal_functions(8)
    psi_x, psi_y = psi_x @ scale, psi_y @ scale
    rows = torch.cat([psi_x, psi_y], dim=1)
    one = mpedmd(factorize_snapshots(psi_x, psi_y, weights))
    other = mpedmd(factorize_gram(rows.mH @ (weights[:, None] * rows)))
    torch.testing.assert_close(one.angles, other.angles, rtol=0, atol=1e-11)


def test_the_angle_of_minus_one_is_pi():
    values = torch.complex(torch.tensor([-1.0, -1.0, 1.0]).double(), torch.tensor([-1e-16, 1e-16, -1e-16]).double())
    assert angles_of(values).tolist() == pytest.approx([np.pi, np.pi, 0])


def test_angles_do_not_depend_on_the_basis():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    matrix = orthogonal_functions(6)
    one = mpedmd(factorize_snapshots(psi_x, psi_y, weights))
    other = mpedmd(factorize_snapshots(psi_x @ matrix, psi_y @ matrix, weights))
    torch.testing.assert_close(one.angles, other.angles, rtol=0, atol=1e-12)


def test_no_unitary_matrix_fits_better():
    psi_x, psi_y, weights = random_snapshots()
    factors = factorize_snapshots(psi_x, psi_y, weights)
    c = torch.cat([factors.compression, factors.leak])
    q = torch.cat([torch.eye(6).to(c.dtype), torch.zeros_like(factors.leak)])
    unitary = factors.coordinates @ mpedmd(factors).matrix @ factors.basis
    best = torch.linalg.matrix_norm(c - q @ unitary)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        skew = torch.randn(6, 6, dtype=c.dtype, generator=generator)
        other = unitary @ torch.linalg.matrix_exp(0.1 * (skew - skew.mH))
        assert torch.linalg.matrix_norm(c - q @ other) > best


def test_rotation_needs_no_correction():
    psi_x, psi_y, expected = rotation(0.1234, 5, 11)
    factors = factorize_snapshots(psi_x, psi_y)
    found = mpedmd(factors)
    assert match(found.eigenvalues, edmd(factors).eigenvalues) < 1e-13
    torch.testing.assert_close(found.matrix, edmd(factors).matrix, rtol=0, atol=1e-14)
    points = torch.tensor([0.3 + 0.1j, -1.2j, 0.99, expected[3]])
    distance = (points[:, None].to(torch.complex128) - expected).abs().amin(dim=1)
    torch.testing.assert_close(smallest_residuals(factors, points), distance, rtol=0, atol=1e-13)


def test_measures_have_the_mass_of_the_function():
    psi_x, psi_y, weights = random_snapshots()
    found = mpedmd(factorize_snapshots(psi_x, psi_y, weights))
    coefficients = torch.randn(6, dtype=torch.complex128, generator=torch.Generator().manual_seed(2))
    angles, masses = found.measure(coefficients)
    expected = (weights * (psi_x @ coefficients).abs() ** 2).sum()
    torch.testing.assert_close(masses.sum(), expected, **EXACT)
    gram = psi_x.mH @ (weights[:, None] * psi_x)
    torch.testing.assert_close(masses, (found.right.mH @ gram @ coefficients).abs() ** 2, **EXACT)
    # Functional calculus: the function z of the operator is the operator.
    torch.testing.assert_close(found.apply(torch.exp(1j * angles), coefficients), found.matrix @ coefficients, **EXACT)


def test_residuals_with_l_equal_to_g():
    psi_x, _, _ = random_snapshots()
    psi_y = psi_x.roll(1, 0)
    factors = factorize_snapshots(psi_x, psi_y)
    found = mpedmd(factors)
    gram, cross = psi_x.mH @ psi_x / len(psi_x), psi_x.mH @ psi_y / len(psi_x)
    v, lam = found.right, found.eigenvalues
    form = 2 * gram @ v - cross.mH @ v * lam - cross @ v * lam.conj()
    expected = (v.conj() * form).sum(dim=0).real.sqrt()
    torch.testing.assert_close(isometry_residuals(factors, lam, v).residual, expected, **EXACT)
    torch.testing.assert_close(pair_residuals(factors, lam, v).residual, expected, **EXACT)


def test_a_dissipative_system_shows_large_residuals():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    factors = factorize_snapshots(psi_x, 0.2 * psi_y, weights)
    found = mpedmd(factors)
    assert pair_residuals(factors, found.eigenvalues, found.right).residual.min() > 0.5


def test_an_arbitrary_polar_factor_is_announced():
    factors = factorize_snapshots(*fourier_map(lambda x, y: (2 * x + y, x + y), 2, 32))
    with pytest.warns(PolarFactorWarning, match="not unique"):
        found = mpedmd(factors)
    assert found.arbitrary_directions > 1
    assert mpedmd(factorize_snapshots(*random_snapshots())).arbitrary_directions == 0
