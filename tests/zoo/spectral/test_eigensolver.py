import numpy as np
import pytest
import scipy.sparse

from zoo.spectral import eigensolver
from zoo.spectral.eigensolver import lowest_eigenpairs


def ring(n, phase=0.0):
    """The Laplacian of a ring with a flux: eigenvalues 2 - 2 cos((2 pi j + phase) / n)."""
    step = np.exp(1j * phase / n) if phase else 1.0
    forward = scipy.sparse.diags([np.full(n - 1, -step), [-np.conj(step)]], [1, n - 1], shape=(n, n))
    forward = scipy.sparse.csr_matrix(forward)
    return (2 * scipy.sparse.identity(n) + forward + forward.conj().T).tocsr()


def eigvals_of_ring(n, phase=0.0):
    return np.sort(2 - 2 * np.cos((2 * np.pi * np.arange(n) + phase) / n))


@pytest.mark.parametrize("size", [60, 900])
@pytest.mark.parametrize("phase", [0.0, 1.3])
def test_known_spectra(size, phase):
    matrix = ring(size, phase)
    values, vectors = lowest_eigenpairs(matrix, 12)
    np.testing.assert_allclose(values, eigvals_of_ring(size, phase)[:12], atol=1e-12)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-11)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(12), atol=1e-12)


@pytest.mark.parametrize("size", [60, 900])
def test_snapping_completes_eigenspaces(size):
    assert len(lowest_eigenpairs(ring(size), 4)[0]) == 4
    assert len(lowest_eigenpairs(ring(size), 4, snap=True)[0]) == 5


def test_all_copies_of_an_eigenvalue_are_found():
    copies = scipy.sparse.block_diag([ring(60)] * 20).tocsr()
    values, _ = lowest_eigenpairs(copies, 50)
    np.testing.assert_allclose(values, np.sort(np.tile(eigvals_of_ring(60), 20))[:50], atol=1e-12)


@pytest.mark.parametrize("size", [60, 900])
def test_mass(size):
    mass = 1 + np.random.default_rng(0).random(size)
    matrix = ring(size)
    values, vectors = lowest_eigenpairs(matrix, 6, mass)
    np.testing.assert_allclose(matrix @ vectors, mass[:, None] * vectors * values, atol=1e-11)
    np.testing.assert_allclose(vectors.T @ (mass[:, None] * vectors), np.eye(6), atol=1e-11)


def test_results_repeat_to_the_bit():
    first, second = (lowest_eigenpairs(ring(900, 0.7), 6) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])


def test_a_missed_copy_is_noticed(monkeypatch):
    copies = scipy.sparse.block_diag([ring(60)] * 20).tocsr()
    honest = eigensolver.lanczos

    def forgetful(matrix, k, magnitude):
        values, vectors = honest(matrix, k + 1, magnitude)
        return np.delete(values, 3), np.delete(vectors, 3, axis=1)

    monkeypatch.setattr(eigensolver, "lanczos", forgetful)
    values, _ = lowest_eigenpairs(copies, 50)
    np.testing.assert_allclose(values, np.sort(np.tile(eigvals_of_ring(60), 20))[:50], atol=1e-12)


def test_large_matrices_are_not_made_dense(monkeypatch):
    monkeypatch.setattr(eigensolver, "LARGEST_DENSE", 850)
    assert len(lowest_eigenpairs(ring(900), 4)[0]) == 4
    with pytest.raises(RuntimeError, match="too many for the dense solver, whose limit is 850"):
        lowest_eigenpairs(ring(900), 899)


@pytest.mark.parametrize("k", [0, 61])
def test_bad_k(k):
    with pytest.raises(ValueError, match="k="):
        lowest_eigenpairs(ring(60), k)
