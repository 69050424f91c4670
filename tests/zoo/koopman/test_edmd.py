import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.automaton import automaton, cycle_counts, totals
from tests.zoo.koopman.systems import (
    fourier_map,
    match,
    orthogonal_functions,
    quadratic,
    random_snapshots,
    rotation,
    slow_manifold,
)
from zoo.koopman.edmd import edmd, fix_phases, modes, observable_coefficients, order_of, predict
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.gram import merge_triangles, triangle_of_snapshots
from zoo.koopman.mpedmd import mpedmd
from zoo.koopman.residuals import data_residuals, mean_leak, pair_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_eigenpairs_are_those_of_the_pseudoinverse(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    pairs = edmd(factorize_snapshots(psi_x, psi_y, weights))
    root = weights.sqrt()[:, None]
    matrix = torch.linalg.lstsq(root * psi_x, root * psi_y).solution
    torch.testing.assert_close(pairs.matrix, matrix, **EXACT)
    matrix = matrix.to(torch.complex128)
    torch.testing.assert_close(matrix @ pairs.right, pairs.right * pairs.eigenvalues, **EXACT)
    torch.testing.assert_close(pairs.left.mH @ matrix, pairs.eigenvalues[:, None] * pairs.left.mH, **EXACT)
    norms = torch.linalg.vector_norm(root * (psi_x.to(torch.complex128) @ pairs.right), dim=0)
    torch.testing.assert_close(norms, torch.ones(6).double(), **EXACT)
    assert (pairs.eigenvalues.abs().diff() < 1e-9).all()


def test_eigenvalues_do_not_depend_on_the_basis():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    matrix = orthogonal_functions(6)
    one = edmd(factorize_snapshots(psi_x, psi_y, weights)).eigenvalues
    other = edmd(factorize_snapshots(psi_x @ matrix, psi_y @ matrix, weights)).eigenvalues
    assert match(one, other) < 1e-12


def test_rotation_in_its_own_basis():
    psi_x, psi_y, expected = rotation(0.1234, 5, 11)
    factors = factorize_snapshots(psi_x, psi_y)
    torch.testing.assert_close(factors.coordinates.mH @ factors.coordinates, torch.eye(11).to(psi_x.dtype), **EXACT)
    assert match(edmd(factors).eigenvalues, expected) < 1e-13
    torch.testing.assert_close(edmd(factors).matrix, torch.diag(expected), rtol=0, atol=1e-14)


def test_prediction_is_exact_in_an_invariant_dictionary():
    x, y = slow_manifold()
    psi_x = quadratic(x)
    factors = factorize_snapshots(psi_x, quadratic(y))
    pairs = edmd(factors)
    coefficients = observable_coefficients(factors, psi_x, x)
    torch.testing.assert_close(
        coefficients, torch.tensor([[0, 0], [1, 0], [0, 1], [0, 0]]).double(), rtol=0, atol=1e-12
    )
    start = torch.tensor([[0.3, -0.8]]).double()
    forecast = predict(pairs.matrix, quadratic(start), coefficients, 3)
    state = start
    for found in forecast:
        torch.testing.assert_close(found, state, rtol=0, atol=1e-12)
        state = torch.stack([0.9 * state[:, 0], 0.5 * state[:, 1] + (0.81 - 0.5) * 0.7 * state[:, 0] ** 2], dim=1)
    assert not forecast.is_complex()


def test_modes_and_eigenfunctions_predict_as_powers_do():
    psi_x, psi_y, weights = random_snapshots()
    values = torch.randn(40, 2, generator=torch.Generator().manual_seed(1)).double()
    factors = factorize_snapshots(psi_x, psi_y, weights)
    pairs = edmd(factors)
    coefficients = observable_coefficients(factors, psi_x, values, weights)
    expected = torch.linalg.lstsq(weights.sqrt()[:, None] * psi_x, (weights.sqrt()[:, None] * values).to(psi_x.dtype))
    torch.testing.assert_close(coefficients, expected.solution, **EXACT)
    xi = modes(pairs, factors, coefficients)
    for n, found in enumerate(predict(pairs.matrix, psi_x[:3], coefficients, 4)):
        torch.testing.assert_close(found, (psi_x[:3] @ pairs.right * pairs.eigenvalues**n) @ xi, **EXACT)


@pytest.mark.parametrize(
    "step", [lambda x, y: (2 * x + y, x + y), lambda x, y: (2 * x, 2 * y)], ids=["cat", "doubling"]
)
@pytest.mark.parametrize("size", [2, 3])
def test_mixing_maps_pollute_at_every_size(step, size):
    factors = factorize_snapshots(*fourier_map(step, size, 32))
    # On their powers, as the spectrum of a nilpotent matrix moves by the root of rounding.
    power = torch.linalg.matrix_power(factors.compression, 2 * (2 * size + 1) ** 2)
    assert torch.linalg.matrix_rank(power, rtol=1e-8) == 1
    assert torch.trace(factors.compression).real == pytest.approx(1, abs=1e-12)
    # A Fourier function that leaves the span has the eigenvalue 0 with residual 1: spurious, and reported as such.
    vectors = torch.zeros((2 * size + 1) ** 2, 1)
    vectors[-1] = 1
    found = pair_residuals(factors, torch.zeros(1), vectors)
    assert float(found.residual) == pytest.approx(1, abs=1e-12)
    assert float(found.leak) == pytest.approx(1, abs=1e-12)


def test_a_disc_adversary_is_learned_to_the_last_bit():
    generator = np.random.default_rng(0)
    radius, angle = generator.uniform(0, 1, 500), generator.uniform(0, 2 * np.pi, 500)
    hidden = (radius > 0.5) & (radius < 0.51)
    radius[hidden] = 0.4

    def learn(bump):
        turned = angle + bump * np.maximum(0, 1 - np.abs(radius - 0.505) / 0.005)
        features = [[radius**n * np.exp(1j * m * a) for n in range(3) for m in range(-2, 3)] for a in (angle, turned)]
        psi_x, psi_y = (torch.from_numpy(np.stack(f, axis=1)) for f in features)
        return edmd(factorize_snapshots(psi_x, psi_y))

    plain, bumped = learn(0.0), learn(1.0)
    assert torch.equal(plain.eigenvalues, bumped.eigenvalues)
    assert torch.equal(plain.right, bumped.right)
    # The spectra are {1} and the whole circle: at Hausdorff distance 2, and one answer is wrong by at least 1.
    assert match(plain.eigenvalues, np.ones(15)) < 1e-10
    circle = np.exp(2j * np.pi * np.arange(1000) / 1000)
    assert np.abs(circle - 1).max() == pytest.approx(2)


@pytest.mark.parametrize("interacting", [False, True])
@pytest.mark.parametrize("cells", [2, 3, 4])
def test_automaton_spectrum_is_that_of_its_cycles(cells, interacting):
    permutation = automaton(cells, interacting)
    expected = {
        (2, False): {1: 16, 2: 120},
        (2, True): {1: 16, 2: 120},
        (3, False): {1: 16, 3: 1360},
        (3, True): {1: 20, 2: 28, 3: 580, 6: 128, 9: 96, 12: 24, 15: 24},
        (4, False): {1: 16, 2: 120, 4: 16320},
        (4, True): {1: 28, 2: 378, 4: 10620, 12: 1856},
    }[cells, interacting]
    assert cycle_counts(permutation) == expected
    if cells == 2:
        factors = factorize_snapshots(torch.eye(256).double(), torch.eye(256).double()[permutation])
        roots = np.concatenate([np.tile(np.exp(2j * np.pi * np.arange(c) / c), k) for c, k in expected.items()])
        assert match(edmd(factors).eigenvalues, roots) < 1e-12
        assert match(mpedmd(factors).eigenvalues, roots) < 1e-12
        assert mean_leak(factors) < 1e-25


@pytest.mark.parametrize("cells", [2, 3, 4])
def test_total_occupations_are_eigenfunctions_with_interaction_and_colours_are_not(cells):
    permutation = automaton(cells, interacting=True)
    right, left, red = totals(cells)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(cells), np.arange(cells)) / cells)  # position, then wave number
    eigenvalues = torch.from_numpy(np.exp(-2j * np.pi * np.arange(cells) / cells))
    psi = torch.from_numpy(np.concatenate([np.ones((len(permutation), 1)), right @ waves, left @ waves[:, 1:]], axis=1))
    factors = factorize_snapshots(psi, psi[permutation])
    expected = torch.cat([torch.ones(1), eigenvalues, eigenvalues[1:].conj()]).to(torch.complex128)
    assert match(edmd(factors).eigenvalues, expected) < 1e-13
    found = pair_residuals(factors, expected, torch.eye(2 * cells))
    assert found.residual.max() < 1e-14
    assert data_residuals(psi, psi[permutation], expected, torch.eye(2 * cells)).max() < 4e-15
    assert mean_leak(factors) < 1e-28
    coloured = torch.from_numpy(red @ waves)
    broken = pair_residuals(factorize_snapshots(coloured, coloured[permutation]), eigenvalues, torch.eye(cells))
    assert broken.residual[1:].min() > 0.1


def test_dense_and_sharded_statistics_give_the_same_pairs():
    psi_x, psi_y, weights = random_snapshots()
    triangles = [
        triangle_of_snapshots(*part) for part in zip(*(a.split(9) for a in (psi_x, psi_y, weights)), strict=True)
    ]
    found = edmd(factorize(merge_triangles(triangles))).eigenvalues
    assert match(found, edmd(factorize_snapshots(psi_x, psi_y, weights)).eigenvalues) < 1e-13


def test_order_and_phases():
    values = np.array([1j, -2, 1, -1j, 1e-12 + 1j])
    assert order_of(values)[0] == 1
    assert [complex(v) for v in values[order_of(values)][1:3]] == [-1j, 1]
    vector = torch.tensor([[1.0], [-2.0j]]).to(torch.complex128)
    torch.testing.assert_close(fix_phases(vector), fix_phases((0.3 + 1j) * vector), **EXACT)
    assert fix_phases(vector)[1].imag == 0
    assert fix_phases(vector)[1].real > 0


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match="steps=-1"):
        predict(torch.eye(2), torch.ones(1, 2), torch.ones(2, 1), -1)
