"""The twelve high-frequency and multi-scale problems of the paper, and further ones, with exact solutions.

Grids, frequencies of the comb and steps are those of the published configurations (Fang et al., 2024, arXiv 2311.04465,
and their code, MIT licence); the sources are the derivatives of the solutions, written out.
"""

from __future__ import annotations

from dataclasses import dataclass

from datamodules.pdes.problem import PDEProblem


@dataclass(frozen=True)
class Published:
    """A problem with its published configuration.

    Attributes:
        problem: the problem.
        num_points: of the grid along each coordinate.
        largest_frequency: where the comb of kernel frequencies ends, in cycles per unit length.
        boundary_weight: lambda_b.
        steps: of the published run; None for problems that the paper has not.
        extra_from: fraction of the steps after which the second process is trained; None without one.
    """

    problem: PDEProblem
    num_points: int
    largest_frequency: float
    boundary_weight: float = 200.0
    steps: int | None = None
    extra_from: float | None = None


TURN: tuple[float | str, float | str] = (0, "2*pi")
UNIT: tuple[float | str, float | str] = (0, 1)
LAPLACE_1D, LAPLACE_2D = {"u_xx": 1.0}, {"u_xx": 1.0, "u_yy": 1.0}
ALLEN_CAHN = "u*(u**2 - 1)"

SIN_COS, SIN_COS_XX = "sin(6*x)*cos(100*x)", "(94**2*sin(94*x) - 106**2*sin(106*x))/2"
ADD_COS = "sin(6*x)*cos(20*x) + sin(6*y)*cos(20*y)"
ADD_COS_LAPLACE = "(14**2*sin(14*x) - 26**2*sin(26*x) + 14**2*sin(14*y) - 26**2*sin(26*y))/2"
MIX = "(sin({0}) + 0.1*sin(20*{0}) + cos(100*{0}))"
MIX_SECOND = "(-sin({0}) - 40*sin(20*{0}) - 10000*cos(100*{0}))"
MIX_2D = f"{MIX.format('x')}*{MIX.format('y')}"
MIX_2D_LAPLACE = f"{MIX_SECOND.format('x')}*{MIX.format('y')} + {MIX.format('x')}*{MIX_SECOND.format('y')}"


def _line(name: str, exact: str, source: str, domain: tuple[float | str, float | str]) -> PDEProblem:
    return PDEProblem(name, {"x": domain}, LAPLACE_1D, exact=exact, source=source)


def _square(name: str, exact: str, source: str, domain: tuple[float | str, float | str]) -> PDEProblem:
    return PDEProblem(name, {"x": domain, "y": domain}, LAPLACE_2D, exact=exact, source=source)


def _allen_cahn(problem: PDEProblem, name: str) -> PDEProblem:
    u = problem.exact
    return PDEProblem(
        name,
        problem.domain,
        problem.linear,
        nonlinear=ALLEN_CAHN,
        exact=u,
        source=f"{problem.source} + ({u})*(({u})**2 - 1)",
    )


_SINGLE = _line("poisson_1d-single_sin", "sin(100*x)", "-10000*sin(100*x)", TURN)
_PRODUCT = _line("poisson_1d-sin_cos", SIN_COS, SIN_COS_XX, TURN)
_MIXED = _square("mixed", MIX_2D, MIX_2D_LAPLACE, UNIT)

_TWELVE = (
    Published(_SINGLE, 400, 20.0, steps=100_000),
    Published(
        _line(
            "poisson_1d-mix_sin",
            "sin(x) + 0.1*sin(20*x) + 0.05*sin(100*x)",
            "-sin(x) - 40*sin(20*x) - 500*sin(100*x)",
            UNIT,
        ),
        900,
        30.0,
        steps=1_000_000,
        extra_from=0.5,
    ),
    Published(_PRODUCT, 400, 20.0, steps=100_000),
    Published(
        _line("poisson_1d-x_time_sinx", "x*sin(200*x)", "400*cos(200*x) - 40000*x*sin(200*x)", TURN),
        900,
        50.0,
        steps=100_000,
    ),
    Published(
        _line("poisson_1d-x2_add_sinx", "sin(500*x) - 2*(x - 0.5)**2", "-250000*sin(500*x) - 4", UNIT),
        400,
        100.0,
        steps=1_000_000,
        extra_from=0.01,
    ),
    Published(
        _square("poisson_2d-sin_sin", "sin(100*x)*sin(100*y)", "-20000*sin(100*x)*sin(100*y)", TURN),
        400,
        20.0,
        steps=100_000,
    ),
    Published(_square("poisson_2d-sin_add_cos", ADD_COS, ADD_COS_LAPLACE, TURN), 200, 20.0, steps=1_000_000),
    Published(
        _square("poisson_2d-sin_cos", "sin(100*x)*cos(100*y)", "-20000*sin(100*x)*cos(100*y)", TURN),
        400,
        20.0,
        steps=100_000,
    ),
    Published(_allen_cahn(_SINGLE, "allencahn_1d-single_sin"), 400, 20.0, steps=100_000),
    Published(_allen_cahn(_PRODUCT, "allencahn_1d-sin_cos"), 400, 20.0, steps=100_000),
    Published(_allen_cahn(_MIXED, "allencahn_2d-mix-sincos"), 400, 30.0, steps=1_000_000),
    Published(
        PDEProblem(
            "advection-sin", {"x": UNIT, "t": UNIT}, {"u_x": 200.0, "u_t": 1.0}, exact="sin(x - 200*t)", source="0"
        ),
        200,
        40.0,
        boundary_weight=500.0,
        steps=200_000,
    ),
)

_FURTHER = (
    Published(
        PDEProblem(
            "helmholtz_1d", {"x": TURN}, {"u_xx": 1.0, "u": 9500.0}, exact="sin(90*x) + 0.3*cos(17*x)",
            source="1400*sin(90*x) + 0.3*9211*cos(17*x)",
        ),
        400,
        20.0,
    ),
    Published(
        PDEProblem(
            "variable_1d", {"x": UNIT}, {"u_xx": "-(1 + 0.5*sin(5*x))", "u_x": "-2.5*cos(5*x)"}, exact="sin(60*x)",
            source="3600*(1 + 0.5*sin(5*x))*sin(60*x) - 150*cos(5*x)*cos(60*x)",
        ),
        200,
        20.0,
    ),
    Published(
        PDEProblem(
            "burgers_1d", {"x": (-1, 1)}, {"u_xx": -0.05}, nonlinear="u*u_x", exact="-tanh(10*x)", source="0"
        ),
        100,
        10.0,
    ),
    Published(
        PDEProblem(
            "heat", {"x": UNIT, "t": UNIT}, {"u_t": 1.0, "u_xx": -0.002}, exact="sin(30*x)*exp(-1.8*t)", source="0"
        ),
        60,
        10.0,
    ),
)  # fmt: skip

TWELVE = tuple(published.problem.name for published in _TWELVE)
PROBLEMS = {published.problem.name: published for published in (*_TWELVE, *_FURTHER)}
