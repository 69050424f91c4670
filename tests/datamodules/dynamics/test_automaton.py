import numpy as np
import pytest

from datamodules.dynamics.automaton import (
    advance,
    configurations,
    cycle_counts,
    cycle_spectrum,
    evolve,
    interact,
    mode,
    momentum_operator,
    numbers_of,
    one_particle,
    partial_trace,
    permutation,
    propagate,
    reduced_density,
    transfer_matrix,
)

COUNTS = {
    (2, False): {1: 16, 2: 120},
    (2, True): {1: 16, 2: 120},
    (3, False): {1: 16, 3: 1360},
    (3, True): {1: 20, 2: 28, 3: 580, 6: 128, 9: 96, 12: 24, 15: 24},
    (4, False): {1: 16, 2: 120, 4: 16320},
    (4, True): {1: 28, 2: 378, 4: 10620, 12: 1856},
}


def wave_function(size, seed=0):
    values = np.random.default_rng(seed).standard_normal(size)
    return values / np.linalg.norm(values)


@pytest.mark.parametrize(("arguments", "counts"), COUNTS.items())
def test_the_step_is_a_bijection_with_the_published_cycles(arguments, counts):
    image = permutation(*arguments)
    assert np.array_equal(np.sort(image), np.arange(16 ** arguments[0]))
    assert cycle_counts(image) == counts
    assert sum(length * count for length, count in counts.items()) == len(image)


@pytest.mark.parametrize(
    ("arguments", "cycles"), [((2, True), 136), ((3, False), 1376), ((3, True), 900), ((4, True), 12882)]
)
def test_the_eigenvalue_one_has_the_multiplicity_of_the_cycles(arguments, cycles):
    eigenvalues, multiplicities = cycle_spectrum(COUNTS[arguments])
    assert multiplicities[np.argmin(abs(eigenvalues - 1))] == cycles
    assert multiplicities.sum() == 16 ** arguments[0]
    assert (np.diff(np.angle(eigenvalues)) > 0).all() or abs(np.angle(eigenvalues[-1])) == pytest.approx(np.pi)


def test_the_spectrum_is_that_of_the_matrix():
    image = permutation(2, True)
    matrix = np.zeros((256, 256))
    matrix[image, np.arange(256)] = 1
    assert np.array_equal(matrix @ matrix.T, np.eye(256))
    found = np.linalg.eigvals(matrix)
    eigenvalues, multiplicities = cycle_spectrum(cycle_counts(image))
    for eigenvalue, multiplicity in zip(eigenvalues, multiplicities, strict=True):
        assert (abs(found - eigenvalue) < 1e-7).sum() == multiplicity


def test_numbers_and_bits_are_inverse():
    assert np.array_equal(numbers_of(configurations(3)), np.arange(16**3))
    assert configurations(2)[0b0001_0010].tolist() == [0, 1, 0, 0, 1, 0, 0, 0]


def test_rules():
    meeting = np.array([[1, 0, 0, 1, 0, 0, 0, 0]])  # a red right mover and a green left mover in cell 0
    assert interact(meeting).tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]
    assert np.array_equal(interact(interact(meeting)), meeting)
    for others in ([1, 0, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]):
        assert interact(np.array([others])).tolist() == [others]
    assert propagate(np.array([[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]])).tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    ]


@pytest.mark.parametrize("num_cells", [2, 3, 4])
def test_eigenfunctions(num_cells):
    bits = configurations(num_cells)
    for interacting in (False, True):
        moved = advance(bits, interacting)
        for wave in range(num_cells):
            eigenvalue = np.exp(-2j * np.pi * wave / num_cells)
            for value, particles in ((eigenvalue, ("R_r", "R_g")), (eigenvalue.conj(), ("L_r", "L_g"))):
                defect = abs(mode(moved, wave, particles) - value * mode(bits, wave, particles)).max()
                assert defect < 1e-14 * 4 * num_cells
            # One colour alone: only without interaction.
            defect = abs(mode(moved, wave, ("R_r",)) - eigenvalue * mode(bits, wave, ("R_r",))).max()
            assert (defect < 1e-13) if not interacting else (defect > 0.9)


def test_density_matrices():
    image, q = permutation(2, True), wave_function(256)
    density = reduced_density(q, 2)
    np.testing.assert_allclose(density, np.outer(q, q))
    moved = reduced_density(evolve(q, image), 2)
    step = np.zeros((256, 256))
    step[image, np.arange(256)] = 1
    np.testing.assert_allclose(moved, step @ density @ step.T, atol=1e-15)
    assert np.trace(moved) == pytest.approx(1) and np.sum(moved**2) == pytest.approx(1)
    np.testing.assert_allclose(np.linalg.eigvalsh(moved)[-2:], [0, 1], atol=1e-12)
    assert np.array_equal(np.sort(evolve(q, image) ** 2), np.sort(q**2))


def test_partial_traces():
    q = wave_function(256)
    reduced = reduced_density(q, 1)
    np.testing.assert_allclose(reduced, partial_trace(np.outer(q, q), 1), atol=1e-15)
    assert np.trace(reduced) == pytest.approx(1) and np.linalg.eigvalsh(reduced).min() > -1e-15
    assert np.sum(reduced**2) < 1
    # Probabilities of cell 0, independently.
    expected = np.bincount(np.arange(256) % 16, weights=q**2)
    np.testing.assert_allclose(np.diag(reduced), expected, atol=1e-15)


@pytest.mark.parametrize("num_cells", [3, 4])
def test_the_momentum_of_one_particle_is_conserved(num_cells):
    states = one_particle(num_cells, "R_r")
    image = permutation(num_cells, False)
    shift = (image[states][None] == states[:, None]).astype(float)
    momentum = momentum_operator(num_cells)
    np.testing.assert_allclose(momentum, momentum.conj().T, atol=1e-14)
    np.testing.assert_allclose(shift @ momentum, momentum @ shift, atol=1e-13)
    # The step is e^{-i P}.
    values, vectors = np.linalg.eigh(momentum)
    np.testing.assert_allclose(vectors @ np.diag(np.exp(-1j * values)) @ vectors.conj().T, shift, atol=1e-13)


@pytest.mark.parametrize("interacting", [False, True])
def test_coarse_graining_is_contractive_and_no_permutation(interacting):
    matrix = transfer_matrix(3, 1, interacting)
    np.testing.assert_allclose(matrix.sum(0), 1)
    np.testing.assert_allclose(matrix.sum(1), 1)
    assert (matrix.max(1) < 1).all()
    assert np.linalg.norm(matrix - 1 / 16, 2) < 1 + 1e-12 and abs(np.linalg.det(matrix)) < 1e-6
    # By brute force, for one configuration of cell 0.
    bits = configurations(3)
    chosen = numbers_of(bits[:, :4]) == 6
    ends = numbers_of(advance(bits, interacting)[chosen][:, :4])
    np.testing.assert_allclose(matrix[6], np.bincount(ends, minlength=16) / 256)
