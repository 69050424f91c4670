import pytest
import torch

from tests.zoo.gppde.test_joint_map import randomised, single_sine
from zoo.gppde.elimination import best_solution, train_eliminated
from zoo.gppde.operators import AllenCahn, Helmholtz, Linear, Poisson


@pytest.mark.parametrize("operator", [Poisson(), Helmholtz(3.0), Linear({(2,): 1.0, (1,): lambda p: p[..., 0]})])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_the_gradient_by_the_grid_values_vanishes(operator, lead):
    model = randomised(operator, (12,), lead, kind="stm")
    (start,) = torch.autograd.grad(model(), model.solution)
    with torch.no_grad():
        model.solution.zero_()
    (at_zero,) = torch.autograd.grad(model(), model.solution)
    with torch.no_grad():
        model.solution.copy_(best_solution(model))
    (gradient,) = torch.autograd.grad(model(), model.solution)
    assert gradient.abs().max() < 1e-8 * at_zero.abs().max() < start.abs().max()


def test_the_solution_is_that_of_the_normal_equations():
    """(K^-1 + lambda tau B^T B + v L^T L) u = lambda tau B^T g + v L^T f with L = K'' K^-1."""
    model = randomised(Poisson(), (10,))
    (kernel,), (x,) = model.kernels, model.grids
    d = kernel.derivatives(x[:, None] - x, [0, 2])
    k = d[0] + 1e-6 * torch.eye(10, dtype=torch.float64)
    second = d[2] @ torch.linalg.inv(k)
    ends = torch.eye(10, dtype=torch.float64)[[0, -1]]
    tau, v = 200 * model.log_boundary_precision.exp(), model.log_equation_precision.exp()
    left = torch.linalg.inv(k) + tau * ends.mT @ ends + v * second.mT @ second
    right = tau * ends.mT @ model.boundary + v * second.mT @ model.source
    torch.testing.assert_close(best_solution(model), torch.linalg.solve(left, right), rtol=1e-6, atol=1e-6)


def test_the_extra_process_is_solved_on_top_of_the_first():
    model = randomised(Poisson(), (12,)).extra()
    with torch.no_grad():
        model.solution.copy_(best_solution(model))
    (gradient,) = torch.autograd.grad(model(), model.solution)
    with torch.no_grad():
        model.solution.zero_()
    (at_zero,) = torch.autograd.grad(model(), model.solution)
    assert gradient.abs().max() < 1e-8 * at_zero.abs().max()


def test_elimination_outruns_joint_optimisation():
    model = single_sine(200)
    train_eliminated(model, 10)
    points = torch.linspace(0, 6, 200, dtype=torch.float64)
    exact = torch.sin(100 * points)
    assert (model.predict(points[:, None]) - exact).norm() < 0.7 * exact.norm()


def test_refusals():
    for operator, counts in ((AllenCahn(), (8,)), (Poisson(2), (5, 5))):
        with pytest.raises(ValueError, match="a linear one in one dimension"):
            best_solution(randomised(operator, counts))
    with pytest.raises(ValueError, match="steps=0"):
        train_eliminated(single_sine(20), 0)
