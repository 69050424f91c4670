import numpy as np
import pytest
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from datamodules.fields.darcy_solver import darcy_samples, solve_darcy
from datamodules.fields.random_fields import neumann_field


def nodes(s):
    return np.meshgrid(*[np.linspace(0, 1, s)] * 2, indexing="ij")


def error_of_manufactured_solution(s):
    x, y = nodes(s)
    a, u = 1 + x + y**2 / 2, np.sin(np.pi * x) * np.sin(2 * np.pi * y)
    u_x, u_y = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y), 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
    f = -(u_x + y * u_y - 5 * np.pi**2 * a * u)
    return abs(solve_darcy(a[None], f[None])[0] - u).max()


def test_it_is_of_second_order():
    errors = np.array([error_of_manufactured_solution(s) for s in (11, 21, 41, 81)])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 2, atol=0.05)


def test_constant_coefficient():
    centres = [solve_darcy(np.ones((1, s, s)))[0, s // 2, s // 2] for s in (85, 169)]
    assert centres[0] == pytest.approx(0.0736631, abs=5e-8)
    extrapolated = (4 * centres[1] - centres[0]) / 3
    assert extrapolated == pytest.approx(0.0736713532814, rel=1e-8)


def two_phases(number, s, seed=0):
    return np.where(neumann_field(np.random.default_rng(seed).standard_normal((number, s, s))) >= 0, 12.0, 3.0)


def test_it_solves_the_five_point_scheme():
    s, (a,) = 15, two_phases(1, 15)
    inner = [(i, j) for i in range(1, s - 1) for j in range(1, s - 1)]
    matrix, row_of = lil_matrix((len(inner), len(inner))), {node: row for row, node in enumerate(inner)}
    for (i, j), row in row_of.items():
        for other in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            weight = (a[i, j] + a[other]) / 2 * (s - 1) ** 2
            matrix[row, row] += weight
            if other in row_of:
                matrix[row, row_of[other]] -= weight
    expected = spsolve(matrix.tocsr(), np.ones(len(inner))).reshape(s - 2, s - 2)
    u = solve_darcy(a[None])[0]
    np.testing.assert_allclose(u[1:-1, 1:-1], expected, rtol=1e-9)
    assert not (u[0].any() or u[-1].any() or u[:, 0].any() or u[:, -1].any())


def test_samples_of_a_batch_are_independent():
    a = two_phases(3, 31)
    a[1] = 1.0  # converges at once, when the others have not
    together = solve_darcy(a)
    for row in range(3):
        np.testing.assert_allclose(together[row], solve_darcy(a[row : row + 1])[0], rtol=1e-8, atol=1e-12)


def test_divergence_is_an_error():
    with pytest.raises(RuntimeError, match="has not converged"):
        solve_darcy(np.random.default_rng(0).standard_normal((1, 9, 9)))


def test_samples():
    generators = [np.random.default_rng(seed) for seed in range(3)]
    drawn = darcy_samples(generators, resolution=101, subsample=5)
    assert drawn["input"].shape == drawn["target"].shape == (3, 21, 21, 1)
    assert set(np.unique(drawn["input"])) == {3, 12} and drawn["target"].dtype == np.float32
    assert (drawn["target"][:, 1:-1, 1:-1] > 0).all()
    assert ((drawn["target"].max((1, 2, 3)) > 0.073 / 12) & (drawn["target"].max((1, 2, 3)) < 0.073 / 3)).all()


def test_fields_have_no_normal_derivative_and_no_mean():
    field = neumann_field(np.random.default_rng(0).standard_normal((20, 128, 128)), alpha=4.0)  # smooth
    assert abs(field.mean((1, 2))).max() < 1e-12
    at_edge, inside = (abs(np.diff(field, axis=1)[:, row]).mean() for row in (0, 40))
    assert at_edge < 0.1 * inside


def test_covariance_of_fields():
    k, s = np.arange(16), 16
    field = neumann_field(np.random.default_rng(0).standard_normal((4000, s, s)))
    # The field at a cell's centre is a sum of cosines with independent coefficients.
    variance = (np.pi**2 * (k[:, None] ** 2 + k**2) + 9.0) ** -2
    variance[0, 0] = 0
    cosines = np.cos(np.pi * k * 7.5 / s) ** 2 * np.where(k > 0, 2, 1)
    expected = 9 * cosines @ variance @ cosines
    assert field[:, 7, 7].var() == pytest.approx(expected, rel=0.1)
