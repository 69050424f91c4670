"""Coefficients that are fitted: against truths that are known, and against themselves in any parts."""

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.geolocation.maps import von_mises_fisher
from zoo.geolocation.fitting import CoefficientFit
from zoo.geolocation.log_maps import point_log_map
from zoo.geolocation.pooling import Pool
from zoo.geolocation.recall_vs_area import RecallVsArea
from zoo.spectral.grids import GaussLegendreGrid, HEALPixGrid
from zoo.spectral.sphere import direction
from zoo.spectral.spherical_harmonics import SphericalHarmonicTransform, random_coefficients

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def fit(maps, truth, base, start=None, gates=None, pooling="log", l2=0.0, parts=1):
    start = torch.ones(1, maps.size(1), dtype=torch.float64) if start is None else start
    gates = torch.ones(len(maps), 1, dtype=torch.float64) if gates is None else gates
    pool, fitted = Pool(pooling, start), CoefficientFit(start, l2, 1e-13)
    for _ in range(60):
        for rows in torch.arange(len(maps)).chunk(parts):
            moments = pool.moments(maps[rows], gates[rows], base, truth[rows])
            fitted.add(moments, gates[rows], base[truth[rows]])
        pool.coefficients.copy_(fitted.step())
        if fitted.converged:
            break
    assert fitted.converged
    return pool, fitted


def views(number=3000, kappas=(10.0, 4.0), claimed=(0.5, 3.0)):
    """Return maps of two views whose predictors claim another concentration than they have."""
    grid = HEALPixGrid(8)
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(grid.n, (number,), generator=generator)
    directions = direction(grid.centers)
    maps = [
        point_log_map(factor * kappa * von_mises_fisher(directions[truth], kappa, generator), directions)
        for kappa, factor in zip(kappas, claimed, strict=True)
    ]
    return torch.stack(maps, 1), truth, (grid.areas / grid.areas.sum()).log(), grid


def test_exponents_undo_wrong_confidence():
    maps, truth, base, _ = views()
    pool, _ = fit(maps, truth, base)
    moments = pool.moments(maps, torch.ones(len(maps), 1).double(), base, truth)
    deviation = torch.linalg.inv(moments.hessian.sum(0)).diagonal().sqrt()
    wanted = torch.tensor([2.0, 1 / 3], dtype=torch.float64)
    assert float(((pool.coefficients[0] - wanted) / deviation).abs().max()) < 4
    assert float(moments.gradient.mean(0).abs().max()) < 1e-7


def test_the_optimum_is_flat_to_the_last_digit():
    maps, truth, base, _ = views(200)
    pool, _ = fit(maps, truth, base)
    for _ in range(3):  # once more without stopping
        moments = pool.moments(maps, torch.ones(200, 1).double(), base, truth)
        step = torch.linalg.solve(moments.hessian.mean(0), moments.gradient.mean(0))
        pool.coefficients -= step
    assert float(moments.gradient.mean(0).abs().max()) < 1e-10


def test_the_loss_is_against_the_uniform_density():
    maps, truth, base, _ = views(50)
    start = torch.zeros(1, 2, dtype=torch.float64)
    fitted = CoefficientFit(start, 0.0, 1e-9)
    gates = torch.ones(50, 1, dtype=torch.float64)
    fitted.add(Pool("log", start).moments(maps, gates, base, truth), gates, base[truth])
    fitted.step()
    assert fitted.loss == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("pooling", ["log", "linear"])
def test_any_parts_give_the_same(pooling):
    maps, truth, base, _ = views(120)
    # A common shift of all weights changes no mean.
    options = {"pooling": pooling, "l2": 1e-4 if pooling == "linear" else 0.0}
    whole, _ = fit(maps, truth, base, **options)
    parts, _ = fit(maps, truth, base, **options, parts=7)
    torch.testing.assert_close(whole.coefficients, parts.coefficients, rtol=1e-9, atol=1e-9)


def test_a_penalty_decides_between_copies():
    maps, truth, base, _ = views(300)
    copies = torch.stack([maps[:, 0], maps[:, 0]], 1)
    pool, _ = fit(copies, truth, base, l2=1e-4)
    assert float(pool.coefficients[0, 0]) == pytest.approx(float(pool.coefficients[0, 1]), rel=1e-6)
    alone, _ = fit(maps[:, :1], truth, base)
    assert float(pool.coefficients.sum()) == pytest.approx(float(alone.coefficients), rel=1e-3)


def test_strata_are_fits_of_their_own():
    maps, truth, base, _ = views(400)
    gates = torch.nn.functional.one_hot(torch.arange(400) % 2).double()
    together, _ = fit(maps, truth, base, start=torch.ones(2, 2).double(), gates=gates)
    for stratum in range(2):
        rows = torch.arange(400) % 2 == stratum
        alone, _ = fit(maps[rows], truth[rows], base)
        torch.testing.assert_close(together.coefficients[stratum], alone.coefficients[0], rtol=1e-6, atol=1e-6)


def test_a_mean_weighs_by_who_is_right():
    """Against the maximum of the likelihood of a mixture by expectation-maximisation."""
    maps, truth, base, _ = views(300)
    pool, _ = fit(maps, truth, base, start=torch.zeros(1, 2).double(), pooling="linear", l2=0.0)
    mass = torch.log_softmax(maps + base, 2).gather(2, truth[:, None, None].expand(-1, 2, 1))[..., 0].exp()
    share = torch.full((2,), 0.5, dtype=torch.float64)
    for _ in range(20_000):
        share = (share * mass / (mass @ share)[:, None]).mean(0)
    torch.testing.assert_close(torch.softmax(pool.coefficients[0], 0), share, rtol=1e-5, atol=1e-6)


def test_exponents_by_degree_trust_each_predictor_at_its_scales():
    """Two maps of the same truth, one good below degree 4, the other above: by band beats one exponent beats none."""
    grid, lmax, number = GaussLegendreGrid(12), 12, 600
    transform = SphericalHarmonicTransform(grid, lmax)
    generator = torch.Generator().manual_seed(0)
    spectrum = 60 / (1 + torch.arange(lmax + 1, dtype=torch.float64)) ** 2
    base = (grid.areas / grid.areas.sum()).log()

    def fields():
        return torch.stack([random_coefficients(spectrum, generator) for _ in range(number)])

    signal = fields()
    truth = torch.multinomial(torch.softmax(transform.synthesis(signal) + base, 1), 1, generator=generator)[:, 0]
    low = (torch.arange(lmax + 1) < 4)[:, None]
    maps = torch.stack([torch.where(low, signal, fields()), torch.where(low, fields(), signal)], 1)
    maps = transform.synthesis(maps)
    bands = transform.bands(maps, [4]).flatten(1, 2)
    half = slice(0, number // 2), slice(number // 2, number)
    losses, areas = [], []
    for features in (None, maps, bands):
        used = maps if features is None else features
        start = torch.ones(1, used.size(1), dtype=torch.float64)
        pool = Pool("log", start) if features is None else fit(used[half[0]], truth[half[0]], base, start)[0]
        posterior = pool(used[half[1]], torch.ones(number // 2, 1).double(), base)
        losses.append(float(-posterior.gather(1, truth[half[1]][:, None]).mean()))
        metric = RecallVsArea(grid)
        metric.update(posterior, truth[half[1]], log=True)
        areas.append(float(metric.compute()["auc_linear"]))
    assert losses[0] > losses[1] + 0.1 > losses[2] + 0.2
    assert areas[2] > areas[1] > areas[0]
    torch.testing.assert_close(pool.coefficients[0], torch.tensor([1.0, 0.0, 0.0, 1.0]).double(), atol=0.25, rtol=0)


def test_constant_exponents_by_degree_are_scalar_ones():
    grid = GaussLegendreGrid(12)
    transform = SphericalHarmonicTransform(grid, 12)
    maps = torch.randn(3, 2, grid.n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    base = (grid.areas / grid.areas.sum()).log()
    weights = torch.tensor([[0.7, 1.3]], dtype=torch.float64)
    scalar = Pool("log", weights)(maps, torch.ones(3, 1).double(), base)
    banded = Pool("log", weights.repeat_interleave(3, 1))(
        transform.bands(maps, [2, 6]).flatten(1, 2), torch.ones(3, 1).double(), base
    )
    torch.testing.assert_close(banded, scalar, **CLOSE)


def test_state_continues():
    maps, truth, base, _ = views(60)
    start = torch.ones(1, 2, dtype=torch.float64)
    gates = torch.ones(60, 1, dtype=torch.float64)
    pool, fitted, resumed = Pool("log", start), CoefficientFit(start, 0.0, 1e-12), CoefficientFit(start, 0.0, 1e-12)
    fitted.add(pool.moments(maps[:30], gates[:30], base, truth[:30]), gates[:30], base[truth[:30]])
    resumed.load_state_dict(fitted.state_dict())
    assert resumed.begun
    for one in (fitted, resumed):
        one.add(pool.moments(maps[30:], gates[30:], base, truth[30:]), gates[30:], base[truth[30:]])
    assert torch.equal(fitted.step(), resumed.step())
    assert not fitted.begun
