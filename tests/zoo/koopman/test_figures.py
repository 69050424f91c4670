import math

import numpy as np
import pytest
import torch

from tests.tolerances import tolerance
from tests.zoo.koopman.systems import duffing, radial, rotation
from zoo.koopman.certificate import certify
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.figures import (
    eigenfunction_figure,
    forecast_figure,
    least_leaking,
    levels_of,
    measure_figure,
    residual_figure,
    spectrum_figure,
    window,
)
from zoo.koopman.gram import triangle_of_snapshots
from zoo.koopman.pseudospectrum import grid, smallest_residuals


@pytest.fixture(scope="module")
def verified(oscillator):
    """Eigenpairs of an oscillator, certified on held-out data in four shards."""
    factors = factorize(oscillator)
    pairs = edmd(factors)
    centers = duffing(200)[0][:29]

    def dictionary(z):
        return torch.cat([torch.ones(len(z), 1), radial(z, centers)], dim=1)

    shards = [triangle_of_snapshots(*map(dictionary, duffing(100, seed=seed))) for seed in range(1, 5)]
    return certify(shards, pairs.eigenvalues, pairs.right, origin="held_out"), factors


def test_shades_are_the_verified_pseudospectrum(verified):
    certificate, factors = verified
    plane = spectrum_figure(certificate, factors).axes[0]
    (image,) = plane.images
    shade = torch.from_numpy(np.asarray(image.get_array()))
    left, right, bottom, top = image.get_extent()
    side = 128
    assert shade.shape == (side, side)
    middle = (torch.arange(side).double() + 0.5) / side
    x, y = left + (right - left) * middle, bottom + (top - bottom) * middle
    tau = smallest_residuals(factors, torch.complex(x.expand(side, -1), y[:, None].expand(-1, side)))
    levels = levels_of(right - left)
    assert (shade == 0).any() and (shade == 1).any() and (shade % 1 == 0.5).any()
    assert (tau[shade == 0] > max(levels)).all()
    assert (tau[shade >= 1] < max(levels)).all()


def test_points_are_eigenvalues_coloured_by_residual_with_their_intervals(verified):
    certificate, factors = verified
    plane, ranked, _ = spectrum_figure(certificate, factors).axes
    (points,) = plane.collections
    drawn = points.get_offsets()
    order = certificate.residual.argsort(descending=True)
    assert np.allclose(drawn[:, 0] + 1j * drawn[:, 1], certificate.eigenvalues[order].numpy())
    assert np.allclose(points.get_array(), certificate.residual[order].clamp(min=1e-15).numpy())
    intervals, _ = ranked.collections
    ends = np.stack([segment[:, 1] for segment in intervals.get_segments()])
    expected = torch.stack([certificate.lower, certificate.upper], dim=1)[order.flip(0)].clamp(min=1e-15)
    assert np.allclose(ends, expected.numpy())


def test_residuals_of_several_learners(verified):
    certificate, _ = verified
    figure = residual_figure({"one": certificate, "other": certificate})
    assert [line.get_label() for line in figure.axes[0].lines] == ["one", "other"]
    heights = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert (np.diff(heights) >= 0).all()
    assert len(figure.axes[0].collections) == 2


def test_exact_residuals_and_missing_intervals_are_drawn():
    psi_x, psi_y, _ = rotation(0.1, 2, 12)
    factors = factorize_snapshots(psi_x, psi_y)
    pairs = edmd(factors)
    shard = triangle_of_snapshots(psi_x, psi_y)
    certificate = certify([shard], pairs.eigenvalues, pairs.right, origin="held_out", assumption="measure_preserving")
    figure = spectrum_figure(certificate, factors)
    figure.canvas.draw()
    assert "no intervals" in figure.axes[1].get_title()
    # Where the measure is preserved nothing far from the circle is verified.
    (image,) = figure.axes[0].images
    assert np.asarray(image.get_array())[64, 64] == 0


def test_windows():
    eigenvalues = torch.tensor([0.1, 0.9, 0.5 + 0.6j, 40.0], dtype=torch.complex128)
    real, imag = window(eigenvalues, symmetric=True)
    assert real[0] < 0.1 and 0.9 < real[1] < 2
    assert imag[0] == -imag[1] and imag[1] > 0.6
    assert real[1] - real[0] == pytest.approx(imag[1] - imag[0])
    _, imag = window(eigenvalues, symmetric=False)
    assert imag[0] != -imag[1] and imag[0] < 0 and imag[1] > 0.6
    one = window(torch.ones(1, dtype=torch.complex128), symmetric=True)[0]
    assert one[0] < 1 < one[1]


@pytest.mark.parametrize(
    ("width", "levels"), [(4.0, [1.0, 0.3, 0.1]), (2.4, [0.3, 0.1, 0.03]), (0.05, [0.01, 3e-3, 1e-3])]
)
def test_levels_fit_the_window(width, levels):
    assert levels_of(width) == pytest.approx(levels)


def test_part_of_a_dictionary_verifies_no_more_than_the_whole(verified):
    _, factors = verified
    part = least_leaking(factors, 20)
    assert part.rank == 20 and part.is_real
    points = grid((-1.0, 1.0), (0.0, 1.0), 0.25)
    whole, bounds = smallest_residuals(factors, points), smallest_residuals(part, points)
    assert (bounds >= whole - 1e-12).all()
    # Nothing is lost where it matters: the constants are still there.
    assert float(smallest_residuals(part, torch.ones(1))) < 1e-7
    assert least_leaking(factors, 30) is factors


def test_distribution_functions_end_at_the_mass():
    angles = torch.linspace(-math.pi, math.pi, 401, dtype=torch.float64)
    density = (1 + angles.cos()) / (2 * math.pi)
    atoms = torch.tensor([1.0, -2.0, 0.1]).double(), torch.tensor([0.5, 0.2, 0.3]).double()
    figure = measure_figure(angles, {"smoothed": density}, truth=density, atoms=atoms)
    ends = {line.get_label(): line.get_ydata()[-1] for line in figure.axes[1].lines}
    assert ends.keys() == {"exact", "smoothed", "atoms"}
    assert np.allclose(list(ends.values()), 1, **{"rtol": 1e-4})
    assert len(measure_figure(angles, {"smoothed": density}).axes) == 1


def test_eigenfunctions_are_drawn_by_modulus_and_argument():
    states = torch.rand(50, 2, dtype=torch.float64)
    values = torch.stack([torch.ones(50).to(torch.complex128), torch.polar(states[:, 0], 2 * states[:, 1])], dim=1)
    figure = eigenfunction_figure(states, values, torch.tensor([1.0, 0.5j]), torch.tensor([0.0, 0.2]))
    upper, lower = figure.axes[1].collections[0], figure.axes[3].collections[0]
    assert np.allclose(upper.get_array(), (states[:, 0] / states[:, 0].max()).numpy())
    assert np.allclose(lower.get_array(), (2 * states[:, 1]).numpy(), **tolerance(torch.float64))
    assert "0.500i" in figure.axes[1].get_title() and "residual 0.2" in figure.axes[1].get_title()
    with pytest.raises(ValueError, match=r"states=\(50, 3\)"):
        eigenfunction_figure(torch.rand(50, 3), values, torch.ones(2), torch.ones(2))


def test_errors_of_forecasts_are_relative_to_the_spread():
    times = torch.arange(5.0)
    truth = torch.stack([times, -times], dim=1).double()
    figure = forecast_figure(times, truth, {"late": truth + 2.0, "right": truth}, ["a", "b"])
    late, right = (np.asarray(line.get_ydata()) for line in figure.axes[2].lines)
    assert np.allclose(late, math.sqrt(8) / math.sqrt(4))
    assert (right == 1e-16).all()
    assert [axis.get_ylabel() for axis in figure.axes] == ["a", "b", "relative error"]
