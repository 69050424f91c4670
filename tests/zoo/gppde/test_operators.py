import pytest
import torch

from zoo.gppde.operators import (
    Advection,
    AllenCahn,
    Burgers,
    Derivatives,
    Heat,
    Helmholtz,
    Linear,
    Poisson,
    Residual,
    SteadyBurgers,
    Unknown,
)

POINTS = torch.rand(5, 2, dtype=torch.float64)


def derivatives(operator, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {index: torch.randn(5, dtype=torch.float64, generator=generator) for index in operator.indices}


def test_operators_are_what_they_are_called():
    x, t = POINTS.unbind(-1)
    zero, dx, dt, dxx, dtt = (0, 0), (1, 0), (0, 1), (2, 0), (0, 2)
    cases = {
        Poisson(2): lambda d: d[dxx] + d[dtt],
        Helmholtz(lambda p: p[..., 0], 2): lambda d: d[dxx] + d[dtt] + x * d[zero],
        AllenCahn(2): lambda d: d[dxx] + d[dtt] + d[zero] ** 3 - d[zero],
        Advection(200.0): lambda d: d[dt] + 200 * d[dx],
        Heat(0.5): lambda d: d[dt] - 0.5 * d[dxx],
        Heat(lambda p: p[..., 1]): lambda d: d[dt] - t * d[dxx],
        Burgers(0.1): lambda d: d[dt] + d[zero] * d[dx] - 0.1 * d[dxx],
    }
    for operator, formula in cases.items():
        d = derivatives(operator)
        torch.testing.assert_close(operator.apply(POINTS, d), formula(d))
    d = derivatives(SteadyBurgers(0.2))
    torch.testing.assert_close(SteadyBurgers(0.2).apply(POINTS[:, :1], d), d[0,] * d[1,] - 0.2 * d[2,])


@pytest.mark.parametrize("operator", [AllenCahn(2), Burgers(0.1), Residual(lambda x, u, d: d[1, 1] * u, 2, 2)])
def test_linearisation_is_the_derivative(operator):
    d, direction = derivatives(operator), derivatives(operator, 1)
    step = 1e-6
    moved = [operator.apply(POINTS, {i: d[i] + s * step * direction[i] for i in d}) for s in (1, -1)]
    jacobian, offset = operator.linearized(POINTS, d)
    slope = sum(c * direction[index] for index, c in jacobian.items())
    torch.testing.assert_close(slope, (moved[0] - moved[1]) / (2 * step), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(sum(c * d[index] for index, c in jacobian.items()) - offset, operator.apply(POINTS, d))


def test_linear_operators_have_no_offset():
    operator = Helmholtz(4.0, 2)
    jacobian, offset = operator.linearized(POINTS, derivatives(operator))
    assert not offset.any() and jacobian[0, 0].eq(4).all()


def test_residuals_find_their_own_indices():
    operator = Residual(lambda x, u, d: d[2] + torch.sin(u) * d[1])
    assert operator.indices == [(0,), (2,), (1,)]
    assert Derivatives({(2,): torch.ones(1)})[2] == 1


def test_unknown_coefficients_take_values():
    operator = Linear({(2,): 1.0, (0,): Unknown("kappa", 2.0)})
    assert [unknown.name for unknown in operator.unknowns] == ["kappa"]
    with pytest.raises(ValueError, match="evidence"):
        operator.coefficients(POINTS[:, :1])
    known = operator.with_coefficients({"kappa": torch.tensor(3.0)})
    assert known.coefficients(POINTS[:, :1])[0,] == 3


def test_refusals():
    with pytest.raises(ValueError, match="multi-index"):
        Linear({(3,): 1.0})
    with pytest.raises(ValueError, match="multi-index"):
        Linear({(2, 0): 1.0, (1,): 1.0})
    with pytest.raises(ValueError, match="finite"):
        Linear({(2,): float("nan")})
    with pytest.raises(ValueError, match="terms"):
        Linear({})
    with pytest.raises(ValueError, match="order=2"):
        Residual(lambda x, u, d: d[2, 1], order=2, dimensions=2)
    with pytest.raises(ValueError, match="one value for each point"):
        Residual(lambda x, u, d: u.sum())
    with pytest.raises(ValueError, match=r"shape of terms\[\(2,\)\]"):
        Linear({(2,): torch.ones(3)}).coefficients(POINTS[:, :1])
    with pytest.raises(ValueError, match="name"):
        Unknown("", 1.0)
