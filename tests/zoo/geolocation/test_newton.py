import pytest
import torch

from zoo.geolocation.newton import DampedNewton


def minimise(function, start, steps=100, tolerance=1e-12):
    newton = DampedNewton(torch.tensor(start, dtype=torch.float64), tolerance)
    values = []
    for _ in range(steps):
        point = newton.point
        values.append(float(function(point)))
        newton.advance(values[-1], torch.func.grad(function)(point), torch.func.hessian(function)(point))
        if newton.converged:
            break
    return newton, values


def test_a_quadratic_takes_one_step():
    hessian = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    least = torch.tensor([1.0, -2.0], dtype=torch.float64)
    newton, values = minimise(lambda x: (x - least) @ hessian @ (x - least) / 2 + 7, [5.0, 5.0])
    torch.testing.assert_close(newton.point, least)
    assert len(values) == 2
    assert newton.converged


def test_steps_that_overshoot_are_halved():
    """Newton's method alone diverges here: sqrt(1 + x^2) from beyond 1."""
    newton, values = minimise(lambda x: torch.sqrt(1 + x**2).sum(), [3.0])
    assert newton.converged
    assert max(values[1:]) > values[0]  # a step was tried and refused
    assert float(newton.point.abs().max()) < 1e-6


def test_saddles_are_left():
    newton, _ = minimise(lambda x: x[0] ** 2 + (x[1] ** 2 - 1) ** 2, [1.0, 0.1])
    assert newton.converged
    torch.testing.assert_close(newton.point, torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-5, rtol=0)


def test_flat_directions_are_left_alone():
    newton, _ = minimise(lambda x: (x[0] - 1) ** 2, [0.0, 5.0])
    torch.testing.assert_close(newton.point, torch.tensor([1.0, 5.0], dtype=torch.float64))


def test_state_continues_to_the_bit():
    function = lambda x: torch.exp(x).sum() + (x**4).sum()  # noqa: E731
    whole, _ = minimise(function, [3.0, -2.0], steps=6)
    part, _ = minimise(function, [3.0, -2.0], steps=3)
    resumed = DampedNewton(torch.zeros(2, dtype=torch.float64))
    resumed.load_state_dict(part.state_dict())
    for _ in range(3):
        point = resumed.point
        resumed.advance(float(function(point)), torch.func.grad(function)(point), torch.func.hessian(function)(point))
    assert torch.equal(resumed.point, whole.point)


def test_it_gives_up_where_nothing_can_be_gained():
    newton = DampedNewton(torch.zeros(1, dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    for step in range(100):
        newton.advance(float(step), one, one[:, None])  # every step makes it worse
        if newton.converged:
            break
    assert newton.converged
    assert float(newton.point) == pytest.approx(0.0)
