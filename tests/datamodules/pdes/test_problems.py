import pytest
import torch

from datamodules.pdes.problem import PDEProblem, read_problem
from datamodules.pdes.published import PROBLEMS, TWELVE


def points_of(problem, count=200):
    generator = torch.Generator().manual_seed(0)
    lower, upper = (torch.tensor(ends, dtype=torch.float64) for ends in (problem.lower, problem.upper))
    return lower + (upper - lower) * torch.rand(count, problem.dimensions, dtype=torch.float64, generator=generator)


def test_there_are_twelve():
    assert len(TWELVE) == 12
    assert all(PROBLEMS[name].steps >= 100_000 for name in TWELVE)


@pytest.mark.parametrize("name", PROBLEMS)
def test_sources_are_derivatives_of_the_solutions(name):
    problem = PROBLEMS[name].problem
    points = points_of(problem)
    source, residual = problem.source_values(points), problem.residual_of_exact(points)
    largest = max(float(residual.abs().max()), 1.0)
    assert float((source - residual).abs().max()) < 1e-10 * largest
    torch.testing.assert_close(problem.boundary_values(points), problem.exact_values(points))


def test_the_solutions_are_the_published_ones():
    x = torch.linspace(0, 1, 7, dtype=torch.float64)
    line, plane = x[:, None], torch.stack([x, x.flip(0)], -1)
    y = x.flip(0)
    mix = lambda z: torch.sin(z) + 0.1 * torch.sin(20 * z) + torch.cos(100 * z)  # noqa: E731
    expected = {
        "poisson_1d-single_sin": torch.sin(100 * x),
        "poisson_1d-mix_sin": torch.sin(x) + 0.1 * torch.sin(20 * x) + 0.05 * torch.sin(100 * x),
        "poisson_1d-sin_cos": torch.sin(6 * x) * torch.cos(100 * x),
        "poisson_1d-x_time_sinx": x * torch.sin(200 * x),
        "poisson_1d-x2_add_sinx": torch.sin(500 * x) - 2 * (x - 0.5) ** 2,
        "poisson_2d-sin_sin": torch.sin(100 * x) * torch.sin(100 * y),
        "poisson_2d-sin_cos": torch.sin(100 * x) * torch.cos(100 * y),
        "poisson_2d-sin_add_cos": torch.sin(6 * x) * torch.cos(20 * x) + torch.sin(6 * y) * torch.cos(20 * y),
        "allencahn_1d-single_sin": torch.sin(100 * x),
        "allencahn_1d-sin_cos": torch.sin(6 * x) * torch.cos(100 * x),
        "allencahn_2d-mix-sincos": mix(x) * mix(y),
        "advection-sin": torch.sin(x - 200 * y),
    }
    assert set(expected) == set(TWELVE)
    for name, values in expected.items():
        problem = PROBLEMS[name].problem
        torch.testing.assert_close(problem.exact_values(line if problem.dimensions == 1 else plane), values)


FILE = """
name: mine
domain: {x: [0, 2*pi], t: [0, 1]}
linear: {u_t: 1, u_xx: -0.5*x, u: 2}
nonlinear: u*u_x + u**3
exact: sin(x)*exp(-t)
"""


def test_files_are_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    problem = read_problem(path)
    points = points_of(problem)
    x, t = points.unbind(-1)
    u, u_x, u_xx, u_t = x.sin() * (-t).exp(), x.cos() * (-t).exp(), -x.sin() * (-t).exp(), -x.sin() * (-t).exp()
    expected = u_t - 0.5 * x * u_xx + 2 * u + u * u_x + u**3
    torch.testing.assert_close(problem.source_values(points), expected, rtol=1e-12, atol=1e-12)
    assert problem.nonlinear_in == ((1, 0),)
    assert problem.linear_terms[0, 1] == 1.0
    torch.testing.assert_close(problem.linear_terms[2, 0](points), -0.5 * x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("exact: sin(x)*exp(-t)", ""), "exact"),
        (("exact: sin(x)*exp(-t)", "exact: sin(y)"), "exact of the problem 'mine'"),
        (("u_t: 1", "u_tt_x: 1"), "derivative='u_tt_x'"),
        (("u_t: 1", "u_y: 1"), "derivative='u_y'"),
        (("u_t: 1", "u_xxx: 1"), "derivative='u_xxx'"),
        (("u_t: 1", "u_xt: 1, u_tx: 1"), "each derivative by one name"),
        (("u*u_x", "u*u_zz"), "derivative='u_zz'"),
        (("[0, 1]", "[1, 0]"), "lower ends below"),
        (("[0, 1]", "[0]"), "a lower and an upper end"),
        (("[0, 1]", "3"), "a lower and an upper end"),
        (("x: [0, 2*pi], t", "t: [0, 1], x"), "in this order"),
        (("name: mine", "title: mine"), "title"),
        (("linear:", "terms:"), "terms"),
        (("domain: {x: [0, 2*pi], t: [0, 1]}", ""), "domain"),
        (("name: mine", "name: [}"), "not a YAML file"),
    ],
)
def test_faulty_files_are_refused(tmp_path, change, message):
    path = tmp_path / "mine.yaml"
    path.write_text(FILE.replace(*change))
    with pytest.raises(ValueError, match=message):
        read_problem(path)


def test_files_cannot_run_code(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(ValueError, match="not a YAML file"):
        read_problem(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_problem(tmp_path / "nowhere.yaml")


def test_an_unknown_solution_needs_source_and_boundary():
    problem = PDEProblem("open", {"x": (0, 1)}, {"u_xx": 1}, source="1", boundary="0")
    assert problem.source_values(torch.rand(3, 1)).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="solution is known"):
        problem.exact_values(torch.rand(3, 1))
