import math
import time

import pytest
import torch

from zoo.gppde import (
    AllenCahn,
    Box,
    Dirichlet,
    Heat,
    Helmholtz,
    Initial,
    Linear,
    Neumann,
    Observations,
    Periodic,
    Poisson,
    Residual,
    SpectralMixture,
    SteadyBurgers,
    Unknown,
    solve,
)
from zoo.gppde.domain import mesh
from zoo.gppde.operators import Operator

LINE = Box((0,), (1,))
POINTS = torch.linspace(0, 1, 41, dtype=torch.float64)


def sine(omega, dimensions=1):
    return lambda p: torch.stack([torch.sin(omega * p[..., j] + 0.3) for j in range(dimensions)]).prod(0)


def relative(prediction, truth):
    return float((prediction - truth).norm() / truth.norm())


def poisson(omega=20, count=80, **options):
    u = sine(omega)
    return solve(Poisson(), LINE, [Dirichlet(u)], lambda p: -(omega**2) * u(p), count, **options)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_direct_solves_with_its_derivatives(order):
    solution = poisson()
    mean, deviation = solution.predict(POINTS, order, return_std=True)
    truth = 20**order * torch.sin(20 * POINTS + 0.3 + order * math.pi / 2)
    assert relative(mean, truth) < 1e-5
    assert ((mean - truth).abs() <= 2 * deviation + 1e-9 * 20**order).double().mean() >= 0.95


def test_the_single_sine_of_the_paper():
    """One component at the true frequency and a length scale as long as the domain: below 1e-6."""
    box = Box((0,), (2 * math.pi,))
    parameters = [[0.0], [-math.log(2 * math.pi)], [100 / (2 * math.pi)]]
    kernel = SpectralMixture("stm", *torch.tensor(parameters, dtype=torch.float64))
    points = torch.linspace(0, 2 * math.pi, 300, dtype=torch.float64)
    u = lambda p: torch.sin(100 * p[..., 0])  # noqa: E731
    for kernels in (kernel, None):
        solution = solve(Poisson(), box, [Dirichlet(u)], lambda p: -1e4 * u(p), 400, kernels=kernels)
        assert relative(solution.predict(points), torch.sin(100 * points)) < 1e-6


def test_the_variance_vanishes_at_exact_boundary_values():
    solution = poisson()
    _, deviation = solution.predict(torch.tensor([0.0, 0.5, 1.0]), return_std=True)
    variance = deviation**2 / solution.posterior.amplitude
    assert variance[0] <= 1e-8 and variance[2] <= 1e-8 and variance[1] > 0


def test_the_mean_is_linear_in_the_data():
    kernel = SpectralMixture.comb("stm", 5, 5.0)
    f = torch.randn(2, 30, dtype=torch.float64)
    g = torch.randn(2, 1, dtype=torch.float64)
    sources, ends = torch.cat([f, f.sum(0, keepdim=True)]), torch.cat([g, g.sum(0, keepdim=True)])
    sides = [Dirichlet(ends, [(0, "lower")]), Dirichlet(2 * ends, [(0, "upper")])]
    mean = solve(Poisson(), LINE, sides, sources, 30, kernels=kernel).predict(POINTS)
    assert relative(mean[0] + mean[1], mean[2]) < 1e-8


def test_many_sources_cost_little_more_than_one():
    u = sine(20)
    one = -400 * u(mesh(LINE.grids(300)))
    kernel = SpectralMixture.comb("stm", 8, 6.0)

    def seconds(source):
        best = math.inf
        for _ in range(4):
            start = time.process_time()
            solve(Poisson(), LINE, [Dirichlet()], source, 300, kernels=kernel).predict(POINTS)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(one * torch.linspace(1, 2, 64, dtype=torch.float64)[:, None]) < 3 * seconds(one)


def test_neumann_periodic_and_varying_coefficients():
    u = sine(20)
    slope = 20 * math.cos(20.3)
    ends = [Dirichlet(u, [(0, "lower")]), Neumann(slope, [(0, "upper")])]
    solution = solve(Poisson(), LINE, ends, lambda p: -400 * u(p), 80)
    assert relative(solution.predict(POINTS), u(POINTS[:, None])) < 1e-5
    period = sine(6 * math.pi)
    factor = 36 * math.pi**2 + 1
    solution = solve(Helmholtz(-1.0), LINE, [Periodic()], lambda p: -factor * period(p), 80)
    assert relative(solution.predict(POINTS), period(POINTS[:, None])) < 1e-5
    operator = Linear({(2,): lambda p: 1 + p[..., 0], (0,): -1.0})
    solution = solve(operator, LINE, [Dirichlet(u)], lambda p: -(401 + 400 * p[..., 0]) * u(p), 80)
    assert relative(solution.predict(POINTS), u(POINTS[:, None])) < 1e-5


@pytest.mark.parametrize("method", ["direct", "spectral"])
@pytest.mark.parametrize(
    ("operator", "nonlinear"),
    [(AllenCahn(), lambda u: u**3 - u), (Residual(lambda x, u, d: d[2] + torch.sin(u)), torch.sin)],
)
def test_nonlinear_equations_in_one_dimension(method, operator, nonlinear):
    u = sine(15)
    solution = solve(operator, LINE, [Dirichlet(u)], lambda p: -225 * u(p) + nonlinear(u(p)), 60, method=method)
    assert relative(solution.predict(POINTS), u(POINTS[:, None])) < 5e-6


def test_a_layer():
    box, nu = Box((-1,), (1,)), 0.15
    exact = lambda p: -torch.tanh(p[..., 0] / (2 * nu))  # noqa: E731
    points = torch.linspace(-1, 1, 31, dtype=torch.float64)
    solution = solve(SteadyBurgers(nu), box, [Dirichlet(exact)], 0.0, 40)
    assert relative(solution.predict(points), exact(points[:, None])) < 1e-5


@pytest.mark.parametrize(("count", "has_deviation"), [(16, True), (40, False)])
def test_two_dimensions(count, has_deviation):
    u, box = sine(8, 2), Box((0, 0), (1, 1))
    solution = solve(Poisson(2), box, [Dirichlet(u)], lambda p: -128 * u(p), count)
    points = torch.rand(30, 2, dtype=torch.float64)
    assert relative(solution.predict(points), u(points)) < 1e-4
    assert relative(solution.predict(points, (2, 0)), -64 * u(points)) < 1e-2
    if has_deviation:
        mean, deviation = solution.predict(points, return_std=True)
        assert ((mean - u(points)).abs() <= 2 * deviation).double().mean() >= 0.95
    else:
        with pytest.raises(ValueError, match="a mean only"):
            solution.predict(points, return_std=True)
        grids = [torch.rand(4, dtype=torch.float64), torch.rand(5, dtype=torch.float64)]
        expected = solution.predict(mesh(grids).reshape(-1, 2)).reshape(4, 5)
        torch.testing.assert_close(solution.predict_grid(grids), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["direct", "spectral"])
def test_three_dimensions(method):
    u, box = sine(4, 3), Box((0, 0, 0), (1, 1, 1))
    solution = solve(Poisson(3), box, [Dirichlet(u)], lambda p: -48 * u(p), 14, method=method)
    points = torch.rand(10, 3, dtype=torch.float64)
    assert relative(solution.predict(points), u(points)) < 1e-3
    assert (
        relative(solution.predict(points, (0, 1, 0)), 4 * sine(4, 3)(points) / torch.tan(4 * points[:, 1] + 0.3)) < 1e-2
    )


def test_heat_from_its_start():
    exact = lambda p: torch.sin(5 * p[..., 0] + 0.3) * torch.exp(-2.5 * p[..., 1])  # noqa: E731
    box = Box((0, 0), (1, 1))
    conditions = [Initial(exact), Dirichlet(exact, [(0, "lower"), (0, "upper")])]
    points = torch.rand(20, 2, dtype=torch.float64)
    for count in (20, 40):
        solution = solve(Heat(0.1), box, conditions, 0.0, count)
        assert relative(solution.predict(points), exact(points)) < 1e-3


def test_the_published_methods():
    joint = poisson(method="joint-map", steps=3, num_components=4)
    assert joint.predict(POINTS).shape == (41,) and joint.kernels[0].kind == "stm"
    eliminated = poisson(method="varpro", steps=2, num_components=4, count=60, largest_frequency=5.0)
    assert relative(eliminated.predict(POINTS), sine(20)(POINTS[:, None])) < 0.5
    sources = torch.zeros(2, 12, 10, dtype=torch.float64)
    box = Box((0, 0), (1, 1))
    both = solve(AllenCahn(2), box, [Dirichlet(1.0)], sources, (12, 10), method="joint-map", steps=2, num_components=3)
    points = torch.rand(5, 2, dtype=torch.float64)
    assert both.predict(points).shape == (2, 5)
    assert torch.equal(both.predict(points)[0], both.predict(points)[1])


def test_marginal_identifies_the_frequency():
    u, box = sine(20), Box((0,), (3,))
    options = {"method": "marginal", "steps": 40, "num_components": 6, "largest_frequency": 6.0}
    solution = solve(Poisson(), box, [Dirichlet(u)], lambda p: -400 * u(p), 100, **options)
    assert relative(solution.predict(POINTS), u(POINTS[:, None])) < 1e-6
    line = solution.lines()[0]
    assert 2 * math.pi * line.frequency == pytest.approx(20, abs=0.01) and line.deviation < 0.01


@pytest.mark.parametrize("given", [0.1, None])
def test_noisy_boundaries_are_covered(given):
    """95 % intervals over 200 draws, together, so that unknown noise is one number."""
    generator = torch.Generator().manual_seed(0)
    box, u = Box((0, 0), (1, 1)), sine(8, 2)

    def noisy(p):
        return u(p) + 0.1 * torch.randn(200, len(p), dtype=torch.float64, generator=generator)

    kernel = SpectralMixture("gm", *torch.tensor([[0.0, 0.0], [math.log(2.0)] * 2, [0.0, 8 / (2 * math.pi)]]).double())
    solution = solve(Poisson(2), box, [Dirichlet(noisy, noise=given)], lambda p: -128 * u(p), 12, kernels=kernel)
    points = 0.1 + 0.8 * torch.rand(20, 2, dtype=torch.float64, generator=generator)
    mean, deviation = solution.predict(points, return_std=True)
    covered = ((mean - u(points)).abs() <= 1.96 * deviation).double().mean()
    assert 0.90 <= covered <= 0.98
    assert solution.noise["Dirichlet"] == pytest.approx(0.1, rel=0.1)


def test_an_unknown_coefficient_and_scattered_sensors():
    generator = torch.Generator().manual_seed(1)
    u, box = lambda x: torch.sin(12 * x), Box((0,), (2,))
    x = box.grids(60)[0]
    source = (50 - 144) * u(x)
    source = source + 0.5 * torch.randn(60, dtype=torch.float64, generator=generator)
    sensors = 2 * torch.rand(20, dtype=torch.float64, generator=generator)
    values = u(sensors) + 0.03 * torch.randn(20, dtype=torch.float64, generator=generator)
    operator = Linear({(2,): 1.0, (0,): Unknown("kappa", 40.0)})
    solution = solve(operator, box, [Observations(sensors, values, noise=0.03)], source, 60, source_noise=0.5)
    found, error = solution.coefficients["kappa"], solution.deviations["kappa"]
    assert abs(found - 50) < 3 * error < 10
    points = torch.linspace(0.1, 1.9, 60, dtype=torch.float64)
    mean, deviation = solution.predict(points, return_std=True)
    assert relative(mean, u(points)) < 0.05
    assert ((mean - u(points)).abs() <= 3 * deviation).double().mean() > 0.9


def test_given_kernels_stay_while_a_coefficient_is_found():
    u, box = lambda x: torch.sin(12 * x), Box((0,), (2,))
    sensors = torch.tensor([0.2, 0.9, 1.7], dtype=torch.float64)
    parameters = [[-1.0, 0.0], [0.0, 0.0], [0.0, 12 / (2 * math.pi)]]
    kernel = SpectralMixture("stm", *torch.tensor(parameters, dtype=torch.float64))
    operator = Linear({(2,): 1.0, (0,): Unknown("kappa", 40.0)})
    observed = [Observations(sensors, u(sensors))]
    solution = solve(operator, box, observed, (50 - 144) * u(box.grids(60)[0]), 60, kernels=kernel)
    assert solution.coefficients["kappa"] == pytest.approx(50, abs=0.5)
    assert torch.equal(solution.kernels[0].frequency, kernel.frequency)
    assert torch.equal(solution.kernels[0].log_weight.diff(), kernel.log_weight.diff())
    with pytest.raises(ValueError, match="known coefficients in a nonlinear"):
        operator = Operator(1, operator.terms, lambda x, u, d: u**3)
        solve(operator, box, [Dirichlet()], 1.0, 20)


def test_samples_are_functions():
    solution = poisson(count=12)
    draws = solution.sample(POINTS, 50, seed=3)
    assert draws.shape == (50, 41) and torch.equal(draws, solution.sample(POINTS, 50, seed=3))
    mean, deviation = solution.predict(POINTS, return_std=True)
    assert ((draws - mean).abs() <= 5 * deviation + 1e-6).all()


def test_single_precision_is_promoted_with_a_message():
    grid = LINE.grids(20)[0]
    with pytest.warns(UserWarning, match=r"source is promoted from torch\.float32"):
        solution = solve(Poisson(), LINE, [Dirichlet()], torch.sin(9 * grid).float(), 20)
    assert solution.predict(POINTS).dtype == torch.float64


def test_refusals():
    with pytest.raises(ValueError, match="method='fast'"):
        poisson(method="fast")
    with pytest.raises(ValueError, match="2 more conditions"):
        solve(Poisson(), LINE, [], 1.0)
    with pytest.raises(ValueError, match="shape of source"):
        solve(Poisson(), LINE, [Dirichlet()], torch.zeros(7).double(), 20)
    with pytest.raises(ValueError, match="a function with method='spectral'"):
        solve(Poisson(), LINE, [Dirichlet()], torch.zeros(20).double(), 20, method="spectral")
    with pytest.raises(ValueError, match="'direct' or 'marginal' where there is noise"):
        solve(Poisson(), LINE, [Dirichlet(noise=0.1)], 1.0, 20, method="spectral")
    with pytest.raises(ValueError, match="cannot tell it"):
        solve(Poisson(), LINE, [Dirichlet(noise=None)], 1.0, 20)
    with pytest.raises(ValueError, match="values on all sides"):
        solve(Poisson(), LINE, [Neumann(), Dirichlet(0.0, [(0, "lower")])], 1.0, 20, method="joint-map")
    with pytest.raises(ValueError, match="1200 nodes"):
        solve(Poisson(2), Box((0, 0), (1, 1)), [Dirichlet(noise=0.1)], 1.0, 40)
    with pytest.raises(ValueError, match="one instance at a time"):
        solve(AllenCahn(), LINE, [Dirichlet()], torch.zeros(2, 20).double(), 20)
    with pytest.raises(ValueError, match="a linear operator with method='marginal'"):
        solve(AllenCahn(), LINE, [Dirichlet()], 1.0, 20, method="marginal")
    with pytest.raises(ValueError, match="kernels"):
        poisson(kernels=[SpectralMixture.comb("gm")] * 2)
    solution = poisson(count=12)
    with pytest.raises(ValueError, match="points"):
        solution.predict(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="derivative"):
        solution.predict(POINTS, 3)
    assert isinstance(Poisson(), Operator)
