import math

import pytest
import torch

from zoo.koopman.rational_kernels import circle_kernel, half_plane_kernel, moment_weights

TABLE = {  # the paper's residues for equispaced poles
    1: [1],
    2: [(1 + 3j) / 2, (1 - 3j) / 2],
    3: [-2 + 1j, 5, -2 - 1j],
    4: [(-39 - 65j) / 24, (17 + 85j) / 8, (17 - 85j) / 8, (-39 + 65j) / 24],
    5: [(15 - 10j) / 4, (-39 + 13j) / 2, 65 / 2, (-39 - 13j) / 2, (15 + 10j) / 4],
    6: [
        (725 + 1015j) / 192,
        (-2775 - 6475j) / 192,
        (1073 + 7511j) / 96,
        (1073 - 7511j) / 96,
        (-2775 + 6475j) / 192,
        (725 - 1015j) / 192,
    ],
}


@pytest.mark.parametrize("order", TABLE)
def test_residues_are_those_of_the_table(order):
    residues = half_plane_kernel(order)[1]
    torch.testing.assert_close(residues, torch.tensor(TABLE[order], dtype=torch.complex128), rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("kind", ["equi", "roots", "cheb", "extrap"])
@pytest.mark.parametrize("order", range(1, 9))
def test_moments_vanish(order, kind):
    poles, residues = half_plane_kernel(order, kind)
    assert (poles.imag > 0).all()
    powers = poles ** torch.arange(order)[:, None]
    expected = torch.zeros(order, dtype=torch.complex128)
    expected[0] = 1
    error = (powers @ residues - expected).abs().max()
    assert error < (1e-8 if order > 6 or kind == "extrap" else 1e-10)


@pytest.mark.parametrize("order", range(1, 9))
def test_moments_of_the_circle_kernel_vanish(order):
    delta, c, d = circle_kernel(order, 0.1)
    sigma = -delta.conj() / (1 + 0.1 * delta.conj())
    for nodes, weights in ((sigma, c), (delta, d)):
        powers = nodes ** torch.arange(order)[:, None]
        error = powers @ weights
        error[0] -= 1
        assert error.abs().max() < (1e-8 if order > 6 else 1e-10)


def test_poles():
    torch.testing.assert_close(half_plane_kernel(3)[0], torch.tensor([-0.5 + 1j, 1j, 0.5 + 1j]).to(torch.complex128))
    torch.testing.assert_close(half_plane_kernel(3, "extrap")[0], torch.tensor([1j, 0.5j, 0.25j]).to(torch.complex128))
    roots = torch.exp(1j * math.pi * torch.tensor([1 / 6, 1 / 2, 5 / 6]).double())
    torch.testing.assert_close(half_plane_kernel(3, "roots")[0], roots)
    chebyshev = torch.tensor([-math.cos(math.pi / 6), 0, math.cos(math.pi / 6)]).double()
    torch.testing.assert_close(half_plane_kernel(3, "cheb")[0], chebyshev + 1j)
    assert moment_weights(torch.tensor([3.0])).tolist() == [1]


@pytest.mark.parametrize("order", [0, 9, 2.0])
def test_orders_are_checked(order):
    with pytest.raises(ValueError, match="order="):
        half_plane_kernel(order)


def test_kinds_and_lengths_are_checked():
    with pytest.raises(ValueError, match="kind='gauss'"):
        half_plane_kernel(2, "gauss")
    with pytest.raises(ValueError, match=r"epsilon=0.0"):
        circle_kernel(2, 0.0)
