import math

import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import duffing, radial, random_snapshots
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.gram import select, triangle_of_snapshots
from zoo.koopman.pseudospectrum import (
    certified_region,
    grid,
    lipschitz_region,
    pseudoeigenfunctions,
    ray_crossings,
    ray_intervals,
    smallest_residuals,
)
from zoo.koopman.residuals import pair_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


@pytest.fixture(scope="module")
def oscillator():
    x, y = duffing(200)
    return triangle_of_snapshots(*(torch.cat([torch.ones(len(z), 1), radial(z, x[:29])], dim=1) for z in (x, y)))


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
    monkeypatch.setattr("zoo.koopman.pseudospectrum.BATCH_BYTES", 1)
    torch.testing.assert_close(smallest_residuals(factors, points), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_certified_labels_are_right_and_cheap(oscillator, epsilon):
    factors = factorize(oscillator)
    region = certified_region(factors, epsilon, (-1.5, 1.5), (-1.5, 1.5), depth=6)
    assert region.labels.shape == (64, 64)
    inside, outside = (region.labels == 1), (region.labels == -1)
    assert inside.any()
    assert outside.any()
    # Against corners and random points of the cells, none of which was evaluated.
    generator = torch.Generator().manual_seed(0)
    x = region.real[:-1] + torch.rand(64, 64, generator=generator).double() * region.real.diff()
    y = region.imag[:-1, None] + torch.rand(64, 64, generator=generator).double() * region.imag.diff()[:, None]
    values = smallest_residuals(factors, torch.complex(x, y))
    assert (values[inside] < epsilon).all()
    assert (values[outside] > epsilon).all()
    assert len(region.points) < 64**2 / 2
    assert (region.labels == 0).float().mean() < 0.2


def test_a_quadtree_that_is_decided_at_once():
    region = lipschitz_region(lambda z: z.abs() + 10, 1.0, (0, 1), (0, 1), depth=3)
    assert region.labels.shape == (8, 8)
    assert (region.labels == -1).all()
    assert len(region.points) == 1


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
@pytest.mark.parametrize("level", [1.1, 2.0])
def test_rays_cross_where_a_singular_value_is_epsilon(oscillator, angle, level):
    factors = factorize(select(oscillator, torch.arange(8)))
    direction = complex(math.cos(angle), math.sin(angle))
    scan = torch.linspace(0, 3, 6001).double()
    epsilon = level * float(smallest_residuals(factors, scan * direction).min().clamp(min=0.05))
    radii = ray_crossings(factors, epsilon, angle)
    identity = torch.eye(8).to(torch.complex128)
    stacked = torch.stack(
        [torch.cat([factors.compression - r * direction * identity, factors.leak.to(identity.dtype)]) for r in radii]
    )
    error = (torch.linalg.svdvals(stacked) - epsilon).abs().amin(dim=1)
    assert len(radii)
    assert error.max() < 1e-11
    # The intervals are those that a fine scan of the ray sees.
    below = smallest_residuals(factors, scan * direction) < epsilon
    intervals = ray_intervals(factors, epsilon, angle)
    inside = ((scan[:, None] > intervals[:, 0]) & (scan[:, None] < intervals[:, 1])).any(dim=1)
    near_edge = ((scan[:, None, None] - intervals).abs() < 1e-3).flatten(1).any(dim=1)
    assert torch.equal(below | near_edge, inside | near_edge)


def test_all_crossings_are_found():
    generator = torch.Generator().manual_seed(1)
    triangle = torch.randn(8, 8, dtype=torch.complex128, generator=generator).triu()
    factors = factorize(triangle)
    scan = torch.linspace(0, 20, 20001).double()
    stacked = torch.cat(
        [
            factors.compression - scan[:, None, None] * torch.eye(4).to(triangle.dtype),
            factors.leak.expand(len(scan), -1, -1),
        ],
        dim=1,
    )
    epsilon = 1.5 * float(torch.linalg.svdvals(stacked[::100])[:, -1].min())
    changes = int((torch.linalg.svdvals(stacked) > epsilon).int().diff(dim=0).abs().sum())
    assert len(ray_crossings(factors, epsilon, 0.0)) == changes > 0


def test_no_crossing_no_interval():
    factors = factorize_snapshots(*random_snapshots())
    assert ray_intervals(factors, 1e-6, 0.3).shape == (0, 2)


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
        (lambda f: certified_region(f, -1.0, (0, 1), (0, 1)), "epsilon=-1.0"),
        (lambda f: certified_region(f, 0.1, (1, 0), (0, 1)), "real="),
        (lambda f: certified_region(f, 0.1, (0, 1), (0, 1), depth=0), "depth=0"),
        (lambda f: ray_crossings(f, 0.0, 0.0), "epsilon=0.0"),
        (lambda f: smallest_residuals(f, torch.tensor([torch.nan])), "points="),
        (lambda f: grid((0, 1), (0, 1), 0), "step=0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(factorize_snapshots(*random_snapshots()))
