import math

import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.cmv import cat_map_moments, krylov_gram, trigonometric
from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.factors import factorize_gram, factorize_snapshots
from zoo.koopman.mpedmd import mpedmd
from zoo.koopman.rigged import angle_order, generalized_eigenfunctions, generalized_modes, smoothed_measure

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def matlab_rigged(eigenvalues, vectors, g, angles, epsilon, order):
    """The authors' stage B: sorted by |angle|, c = mpV \\ g, sums over equispaced poles."""
    order_of = np.argsort(np.abs(np.angle(eigenvalues)), kind="stable")
    lam, v = eigenvalues[order_of][:, None], vectors[:, order_of]
    c = np.linalg.solve(v, g)[:, None]
    poles = 1j + (2 * np.arange(1, order + 1) / (order + 1) - 1)
    residues = np.linalg.solve(np.vander(poles, increasing=True).T, np.eye(order)[0])
    total, xi = np.zeros((len(lam), len(angles)), complex), np.zeros(len(angles))
    for p, r in zip(poles, residues, strict=True):
        e = np.exp(1j * angles - 1j * epsilon * p)[None]
        plus = c * (lam + e) / (lam - e)
        e = np.exp(1j * angles - 1j * epsilon * np.conj(p))[None]
        minus = c * (lam + e) / (lam - e)
        total += r * plus - np.conj(r) * minus
        xi -= np.real(r * (c.conj().T @ plus)[0]) / (2 * np.pi)
    return -v @ total / (4 * np.pi), xi, -total / (4 * np.pi)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_wave_packets_are_those_of_the_authors_code(order):
    model = mpedmd(factorize_snapshots(*random_snapshots()))
    g = torch.randn(6, 2, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    angles = torch.linspace(-3, 3, 9).double()
    modes = generalized_modes(model, g, angles, 0.3, order)
    assert modes.shape == (6, 2, 9)
    for column in range(2):
        packets, xi, rows = matlab_rigged(
            model.eigenvalues.numpy(), model.right.numpy(), g[:, column].numpy(), angles.numpy(), 0.3, order
        )
        found = generalized_eigenfunctions(model, g[:, column], angles, 0.3, order)
        torch.testing.assert_close(found, torch.from_numpy(packets), **EXACT)
        torch.testing.assert_close(
            smoothed_measure(model, g[:, column], angles, 0.3, order), torch.from_numpy(xi), **EXACT
        )
        torch.testing.assert_close(modes[:, column], torch.from_numpy(rows), **EXACT)


# Largest errors for the cat map, N = 60, of the normalised density.
ERRORS = {0.5: {1: 8.2e-2, 2: 2.9e-2, 4: 1.9e-3, 6: 6.8e-5}, 0.1: {1: 0.023, 2: 0.005, 4: 0.040, 6: 0.168}}


@pytest.mark.parametrize("epsilon", ERRORS)
def test_the_measure_of_the_cat_map(epsilon):
    moments = cat_map_moments(61) / (21 / 32)
    model = mpedmd(factorize_gram(krylov_gram(moments, 60)))
    angles = torch.linspace(-math.pi, math.pi, 801).double()
    exact = trigonometric(moments, angles)
    for order, expected in ERRORS[epsilon].items():
        found = smoothed_measure(model, torch.eye(60)[0], angles, epsilon, order)
        assert float((found - exact).abs().max()) == pytest.approx(expected, rel=0.1)


def test_more_delays_resolve_what_few_do_not():
    moments = cat_map_moments(201)
    model = mpedmd(factorize_gram(krylov_gram(moments, 200)))
    angles = torch.linspace(-math.pi, math.pi, 401).double()
    exact = trigonometric(moments, angles)
    errors = [
        float((smoothed_measure(model, torch.eye(200)[0], angles, 0.1, m) - exact).abs().max()) for m in (1, 2, 4, 6)
    ]
    assert errors[0] < 0.03
    assert errors[1] < 3e-3
    assert errors[2] < 1e-5
    assert errors[3] < 1e-6


def test_packets_add_up_to_the_function_and_nearly_are_eigenfunctions():
    model = mpedmd(factorize_snapshots(*random_snapshots()))
    g = torch.randn(6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    angles = torch.arange(2000).double() * 2 * math.pi / 2000
    packets = generalized_eigenfunctions(model, g, angles, 0.1, 4)
    torch.testing.assert_close(packets.mean(dim=1) * 2 * math.pi, g, rtol=0, atol=1e-10)
    matrix = model.matrix
    for epsilon, bound in ((0.1, 0.5), (0.001, 0.01)):
        packet = generalized_eigenfunctions(model, g, model.angles[:1], epsilon, 4)
        image = matrix @ packet - model.eigenvalues[0] * packet
        assert float(torch.linalg.vector_norm(image) / torch.linalg.vector_norm(packet)) < bound


@pytest.mark.parametrize("poles", ["equi", "roots", "cheb", "extrap"])
def test_all_kernels_have_the_mass_of_the_function(poles):
    model = mpedmd(factorize_snapshots(*random_snapshots()))
    g = torch.randn(6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    angles = torch.arange(4000).double() * 2 * math.pi / 4000
    mass = smoothed_measure(model, g, angles, 0.2, 3, poles).mean() * 2 * math.pi
    assert float(mass) == pytest.approx(float(model.measure(g)[1].sum()), rel=1e-8)


def test_rows_of_modes_begin_nearest_to_one():
    model = mpedmd(factorize_snapshots(*random_snapshots()))
    assert (model.angles[angle_order(model)].abs().diff() >= 0).all()


def test_the_length_is_checked():
    model = mpedmd(factorize_snapshots(*random_snapshots()))
    with pytest.raises(ValueError, match=r"epsilon=-0.1"):
        smoothed_measure(model, torch.ones(6), torch.zeros(1), -0.1)
