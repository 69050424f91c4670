import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.zoo.gaunt.features import TIGHT, error, features, inversion, rotation, wigner
from zoo.gaunt.harmonics import degrees, dim
from zoo.gaunt.many_body import GauntManyBody, power_moments
from zoo.gaunt.product import GauntTensorProduct

ELEMENTS = torch.tensor([0, 1, 1, 0])


def by_products(module, x):
    """Powers as products without truncation, which any associative route gives."""
    weights = module.weight[:, ELEMENTS][..., degrees(module.lmax_out)]
    lmax, power, total = module.lmax_in, x, 0
    for n in range(module.correlation):
        if n:
            power = GauntTensorProduct(n * lmax, lmax, (n + 1) * lmax).double()(power, x)
        reached = min((n + 1) * lmax, module.lmax_out)
        term = torch.zeros(*x.shape[:-1], dim(module.lmax_out), dtype=x.dtype)
        term[..., : dim(reached)] = power[..., : dim(reached)]
        total = total + weights[n] * term
    return total


@pytest.mark.parametrize(
    ("lmax_in", "lmax_out", "correlation"), [(2, 2, 3), (3, 0, 3), (1, 3, 4), (3, 2, 2), (2, 1, 1)]
)
def test_is_the_sum_of_iterated_products(lmax_in, lmax_out, correlation):
    module = GauntManyBody(lmax_in, lmax_out, correlation, 3, 2, normalize=False).double()
    x = features(lmax_in)
    assert error(module(x, ELEMENTS), by_products(module, x)) < TIGHT


def test_equivariant():
    module, x, matrix = GauntManyBody(3, 2, 3, 3, 2).double(), features(3), rotation(7)
    result = module(x, ELEMENTS)
    assert error(module(x @ wigner(3, matrix).T, ELEMENTS), result @ wigner(2, matrix).T) < TIGHT
    assert error(module(x * inversion(3), ELEMENTS), result * inversion(2)) < TIGHT


@pytest.mark.parametrize("lmax_out", [0, 2])
def test_normalised_powers_have_unit_second_moment(lmax_out):
    torch.manual_seed(0)
    module = GauntManyBody(2, lmax_out, 3, 1, 1)
    x = torch.randn(40000, 1, 9)
    for power in range(3):
        with torch.no_grad():
            module.weight.zero_()[power] = 1.0
        result = module(x, torch.zeros(len(x), dtype=torch.int64))
        for degree in range(lmax_out + 1):
            block = result[..., degree**2 : (degree + 1) ** 2]
            assert float(block.square().mean().detach()) == pytest.approx(1.0, abs=0.1)


def test_moments_of_a_constant_are_those_of_a_normal_variable():
    # f = x / sqrt(1), the same at all points: E[f^2n] = (2n - 1)!!, times 4 pi as a coefficient of Y_00.
    moments = power_moments(0, 1, 3) / (4 * torch.pi)
    torch.testing.assert_close(moments[:, 0], torch.tensor([1.0, 3.0, 15.0]).double())
    torch.testing.assert_close(moments[:, 1], torch.zeros(3).double())


@pytest.mark.parametrize("lmax_out", [0, 1])
def test_gradients_of_both_orders(lmax_out):
    module = GauntManyBody(1, lmax_out, 3, 2, 2).double()
    x = features(1, 2, 2).requires_grad_()
    elements = torch.tensor([0, 1])
    assert gradcheck(lambda x: module(x, elements), x)
    assert gradgradcheck(lambda x: module(x, elements), x)


@pytest.mark.parametrize("argument", [{"correlation": 0}, {"channels": 0}, {"num_elements": 0}, {"lmax_in": -1}])
def test_bad_arguments_are_named(argument):
    ((name, value),) = argument.items()
    arguments = {"lmax_in": 1, "lmax_out": 1, "correlation": 2, "channels": 1, "num_elements": 1, **argument}
    with pytest.raises(ValueError, match=f"{name}={value}"):
        GauntManyBody(**arguments)
