"""A probabilistic cellular automaton of coloured particles whose step is a bijection, hence whose spectrum is exact.

After Wetterich's probabilistic cellular automata for fermions (arXiv 2111.06728). On a ring of L cells, each cell has
four bits: a right mover that is red or green, and a left mover likewise (R_r, R_g, L_r, L_g). One step is the
interaction - in cells with exactly one right and one left mover of different colours, they exchange colours - and then
the propagation of right movers to x + 1 and left movers to x - 1. Configurations are numbered by their bits, that of
R_r in cell 0 being the lowest.
"""

from __future__ import annotations

import numpy as np

from datamodules.dynamics.measures import Array

BITS = 4  # of a cell
PARTICLES = ("R_r", "R_g", "L_r", "L_g")


def configurations(num_cells: int) -> Array:
    """Return the bits (16^L, 4 L) uint8 of all configurations in the order of their numbers."""
    numbers = np.arange(16**num_cells, dtype=np.int64)
    return (numbers[:, None] >> np.arange(BITS * num_cells) & 1).astype(np.uint8)


def numbers_of(bits: Array) -> Array:
    """Return the numbers (M,) int64 of configurations given by bits (M, 4 L)."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1], dtype=np.int64))


def interact(bits: Array) -> Array:
    """Exchange the colours of pairs of movers: bits (M, 4 L) after the interaction."""
    cells = bits.reshape(len(bits), -1, BITS)
    red_right, green_right, red_left, green_left = np.moveaxis(cells != 0, -1, 0)
    one_of_each = (red_right != green_right) & (red_left != green_left)
    exchange = one_of_each & (red_right != red_left)
    return np.where(exchange[..., None], 1 - cells, cells).reshape(bits.shape)


def propagate(bits: Array) -> Array:
    """Move right movers to the next cell and left movers to the one before: bits (M, 4 L) after the propagation."""
    cells = bits.reshape(len(bits), -1, BITS)
    moved = [np.roll(cells[..., :2], 1, axis=1), np.roll(cells[..., 2:], -1, axis=1)]
    return np.concatenate(moved, axis=2).reshape(bits.shape)


def advance(bits: Array, interacting: bool) -> Array:
    """Return bits (M, 4 L) after one step."""
    return propagate(interact(bits) if interacting else bits)


def permutation(num_cells: int, interacting: bool) -> Array:
    """Return the number (16^L,) int64 that each configuration is mapped to, a bijection."""
    return numbers_of(advance(configurations(num_cells), interacting))


def cycle_counts(image: Array) -> dict[int, int]:
    """Return how many cycles of each length a permutation (S,) has: {length: count}, in ascending order.

    A cycle of length c contributes all c-th roots of unity to the spectrum.
    """
    lengths = np.zeros(len(image), dtype=np.int64)
    position = np.arange(len(image))
    steps = 0
    while (lengths == 0).any():
        position, steps = image[position], steps + 1
        returned = (position == np.arange(len(image))) & (lengths == 0)
        lengths[returned] = steps
    values, states = np.unique(lengths, return_counts=True)
    return {int(length): int(count // length) for length, count in zip(values, states, strict=True)}


def cycle_spectrum(counts: dict[int, int]) -> tuple[Array, Array]:
    """Return the eigenvalues of a permutation and their multiplicities, sorted by angle in (-pi, pi].

    Args:
        counts: what `cycle_counts` returned.
    """
    multiplicities: dict[tuple[int, int], int] = {}
    for length, count in counts.items():
        for numerator in range(length):
            divisor = int(np.gcd(numerator, length))
            turn = numerator // divisor, length // divisor
            multiplicities[turn] = multiplicities.get(turn, 0) + count
    turns = sorted(multiplicities, key=lambda turn: turn[0] / turn[1] - (2 * turn[0] > turn[1]))
    eigenvalues = np.exp(2j * np.pi * np.array([numerator / denominator for numerator, denominator in turns]))
    return eigenvalues, np.array([multiplicities[turn] for turn in turns])


def mode(bits: Array, wave: int, particles: tuple[str, ...]) -> Array:
    """Return sum_x e^{-2 pi i wave x / L} n(x) at bits (M, 4 L), n the number of some kinds of particles in a cell.

    With both colours of right movers it is an eigenfunction with the eigenvalue e^{-2 pi i wave / L}, of left movers
    with the conjugate; with one colour only without interaction.
    """
    cells = bits.reshape(len(bits), -1, BITS)
    columns = [PARTICLES.index(particle) for particle in particles]
    number = cells[..., columns].sum(2, dtype=np.float64)
    return number @ np.exp(-2j * np.pi * wave * np.arange(cells.shape[1]) / cells.shape[1])


def transfer_matrix(num_cells: int, kept_cells: int, interacting: bool) -> Array:
    """Return the probabilities (16^k, 16^k) to go from row to column if only the first k cells are kept.

    The other cells are uniformly random before each step, as for a trace over them: the matrix of the noisy Koopman
    operator, doubly stochastic and contractive.
    """
    size, others = 16**kept_cells, 16 ** (num_cells - kept_cells)
    start = np.arange(size * others) % size
    end = permutation(num_cells, interacting) % size
    return np.bincount(start * size + end, minlength=size**2).reshape(size, size) / others


def evolve(wave_function: Array, image: Array) -> Array:
    """Return a real wave function (S,) after one step of a permutation: q(t + 1, image(tau)) = q(t, tau)."""
    moved = np.empty_like(wave_function)
    moved[image] = wave_function
    return moved


def reduced_density(wave_function: Array, kept_cells: int) -> Array:
    """Return the density matrix (16^k, 16^k) of the first k cells: the partial trace of q q^T.

    Args:
        wave_function: q (16^L,) with sum q^2 = 1; k = L gives q q^T itself.
        kept_cells: k.
    """
    by_rest = wave_function.reshape(-1, 16**kept_cells)
    return by_rest.T @ by_rest


def partial_trace(density: Array, kept_cells: int) -> Array:
    """Return the trace of a density matrix (16^L, 16^L) over all cells but the first k, (16^k, 16^k)."""
    size = 16**kept_cells
    others = len(density) // size
    return np.einsum("aiaj->ij", density.reshape(others, size, others, size))


def momentum_operator(num_cells: int) -> Array:
    """Return the momentum (L, L) of one particle on the ring, F* diag(2 pi k / L) F, k in [-L / 2, L / 2).

    It commutes with the shift, the free step of one right mover, so that its mean is conserved.
    """
    waves = np.fft.fftfreq(num_cells, 1 / num_cells)
    fourier = np.fft.fft(np.eye(num_cells), norm="ortho")
    return fourier.conj().T @ np.diag(2 * np.pi * waves / num_cells) @ fourier


def one_particle(num_cells: int, particle: str) -> Array:
    """Return the numbers (L,) of the configurations with one particle of a kind, in cell 0, 1, ..."""
    return 1 << (BITS * np.arange(num_cells, dtype=np.int64) + PARTICLES.index(particle))
