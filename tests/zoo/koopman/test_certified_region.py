import pytest
import torch

from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.certified_region import certified_region
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.hermitian_forms import HermitianForms
from zoo.koopman.pseudospectrum import grid, smallest_residuals


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
    assert region.decompositions < 64**2 / 2
    assert (region.labels == 0).float().mean() < 0.2


def test_labels_do_not_depend_on_how_they_are_found(oscillator):
    factors = factorize(oscillator)
    mirrored = certified_region(factors, 0.2, (-1.5, 1.5), (-1.5, 1.5), depth=5)
    whole = certified_region(factorize(oscillator.to(torch.complex128)), 0.2, (-1.5, 1.5), (-1.5, 1.5), depth=5)
    assert (mirrored.labels == whole.labels).float().mean() > 0.97  # trial functions differ
    assert not (mirrored.labels * whole.labels == -1).any()
    assert mirrored.decompositions < 0.6 * whole.decompositions


def test_labels_of_a_measure_preserving_system():
    psi_x, _, _ = random_snapshots(5, dtype=torch.float64)
    factors = factorize_snapshots(psi_x, 0.9 * psi_x.roll(1, 0))
    region = certified_region(factors, 0.3, (-1.5, 1.5), (-1.5, 1.5), depth=5, measure_preserving=True)
    x, y = ((edges[:-1] + edges[1:]) / 2 for edges in (region.real, region.imag))
    values = smallest_residuals(factors, torch.complex(x.expand(32, -1), y[:, None].expand(-1, 32)), True)
    assert (values[region.labels == 1] < 0.3).all()
    assert (values[region.labels == -1] > 0.3).all()
    assert ((region.labels == 0) <= ((values - 0.3).abs() < 0.05)).all()


def test_a_window_that_is_decided_at_once(oscillator):
    region = certified_region(factorize(oscillator), 0.1, (9, 10), (9, 10), depth=3)
    assert (region.labels == -1).all()
    assert region.decompositions == 4


def test_bounds_are_right_close_to_the_level(oscillator):
    factors = factorize(oscillator)
    points = grid((-1.0, 1.0), (-1.0, 1.0), 0.5).flatten()
    tau = smallest_residuals(factors, points)
    points, tau = points[tau > 0.01], tau[tau > 0.01]
    forms = HermitianForms(factors)
    for point, level in zip(points, tau, strict=True):
        assert forms.exceed(point[None], float(level) - 1e-9).all()
        assert not forms.exceed(point[None], float(level)).any()
    for iterations, factor in ((1, 10.0), (3, 1.5), (50, 1.05)):
        means, squares = forms.trial(points, iterations)
        bounds = ((points - means).abs() ** 2 + squares - means.abs() ** 2).sqrt()
        assert (bounds >= tau - 1e-12).all()
        assert (bounds <= factor * tau).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"epsilon": -1.0}, "epsilon=-1.0"), ({"real": (1, 0)}, "real="), ({"depth": 0}, "depth=0")],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"epsilon": 0.1, "real": (0, 1), "imag": (0, 1), "depth": 3} | change
    with pytest.raises(ValueError, match=message):
        certified_region(factorize_snapshots(*random_snapshots()), **arguments)
