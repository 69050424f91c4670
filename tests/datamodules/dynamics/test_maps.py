import numpy as np
import pytest

from datamodules.dynamics import ArnoldCat, CircleRotation, GaussMap, LinearSlowManifold
from datamodules.dynamics.maps import fourier_mode, koenigs_series
from datamodules.dynamics.measures import product_rule
from tests.datamodules.dynamics.toys import defects, moment, samples


@pytest.mark.parametrize(
    "system",
    [LinearSlowManifold(), LinearSlowManifold(0.8, -0.3, 2.0, lag=2), CircleRotation(), CircleRotation(0.25, lag=3)],
)
def test_eigenfunctions(system):
    found = defects(system)
    assert len(found) >= 10 and max(found.values()) < 1e-12


def test_monomials_of_the_slow_manifold_are_invariant():
    state = samples(LinearSlowManifold())
    features = [np.stack([x1**0, x1, x2, x1**2], 1) for x1, x2 in (state.T, LinearSlowManifold().step(state).T)]
    matrix, residuals, *_ = np.linalg.lstsq(*features)
    assert residuals.max() < 1e-24
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(matrix).real), [0.5, 0.81, 0.9, 1], rtol=1e-12)


def test_the_cat_map_permutes_fourier_modes():
    for lag in (1, 2):
        cat = ArnoldCat(lag=lag)
        state = samples(cat)
        for mode in ((1, 0), (0, 1), (2, -3)):
            moved = fourier_mode(list(mode))(cat.flow(state) / (2 * np.pi))
            expected = fourier_mode(list(cat.image_of_mode(mode)))(state / (2 * np.pi))
            np.testing.assert_allclose(moved, expected, atol=1e-12)


def test_the_cat_map_permutes_a_grid():
    nodes, _ = product_rule(ArnoldCat().axes, 49, "equispaced")
    before, after = (np.round(state * 7 / (2 * np.pi)).astype(int) % 7 for state in (nodes, ArnoldCat().step(nodes)))
    assert {tuple(row) for row in before.tolist()} == {tuple(row) for row in after.tolist()}


def test_moments_of_the_cat_map():
    published = [21 / 32, 1 / 4 - 1j / 16, -1j / 8, 0, 0]
    for order, expected in enumerate(published):
        assert ArnoldCat().truth().measure.moments(order) == pytest.approx(expected, abs=1e-15)
        if order < 3:  # of higher orders, the grid aliases
            assert moment(ArnoldCat(), order, "equispaced", 64**2) == pytest.approx(expected, abs=1e-12)
    assert [ArnoldCat(lag=2).truth().measure.moments(order) for order in (0, 1, 2)] == [21 / 32, -0.125j, 0]


def test_density_of_the_cat_map_has_its_moments():
    measure = ArnoldCat().truth().measure
    angles = 2 * np.pi * np.arange(32) / 32 - np.pi
    density = measure.density(angles)
    assert density.min() > 0
    for order in range(4):
        # <K^n g, g> is the integral of e^{i n theta}.
        assert np.sum(density * np.exp(1j * order * angles)) * 2 * np.pi / 32 == pytest.approx(
            measure.moments(order), abs=1e-13
        )


def test_the_gauss_map_is_the_published_one_and_stays_inside():
    state = samples(GaussMap(), 1000)
    moved = GaussMap().step(state)
    np.testing.assert_allclose(moved, np.exp(-2 * state**2) - 1 - np.exp(-2), atol=1e-15)
    assert moved.min() >= -1 and moved.max() <= 0
    assert GaussMap().step(np.array([[-1.0]])) == -1


def test_koenigs_function_of_the_gauss_map():
    # The bottleneck magnifies rounding errors by its length over its width, about 1e4.
    found = defects(GaussMap(), samples(GaussMap(), 300))
    assert found["phi^1"] < 1e-9 and found["phi^3"] < 1e-9
    near = np.linspace(-0.9999, -0.5, 50)[:, None]
    assert max(defects(GaussMap(lag=2), near).values()) < 1e-12
    # Independently: the limit that defines it.
    orbit = near[1:]
    for _ in range(30):
        orbit = GaussMap().step(orbit)
    np.testing.assert_allclose((1 + orbit[:, 0]) / GaussMap.multiplier**30, GaussMap().koenigs(near[1:]), rtol=1e-6)
    assert koenigs_series()[1] == 1


def test_parameters_are_refused_by_name():
    with pytest.raises(ValueError, match="rotation=nan is not allowed; give a finite number"):
        CircleRotation(float("nan"))
