import math

import pytest
import torch
from e3nn import o3

from tests.zoo.gaunt.features import TIGHT, error, rotation, wigner
from zoo.gaunt.alignment import Alignment
from zoo.gaunt.coefficients import (
    bracket_factor,
    bracket_tensor,
    gaunt_factor,
    gaunt_tensor,
    in_triangle,
    three_j,
    wigner_3j,
)
from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.harmonics import degrees, dim, spherical_harmonics, tangential_gradients
from zoo.gaunt.quadrature import LEBEDEV_ORDERS, antipodal_half, gauss_legendre, lebedev

VECTORS = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("normalization", ["integral", "component", "norm"])
def test_equals_e3nn_as_far_as_it_goes(normalization):
    theirs = o3.spherical_harmonics(list(range(12)), VECTORS, True, normalization)
    assert error(spherical_harmonics(11, VECTORS, normalization), theirs) < TIGHT


def test_orthonormal_at_degrees_beyond_e3nn():
    for rule in (gauss_legendre(50), lebedev(50)):
        harmonics = spherical_harmonics(25, rule.points)
        gram = harmonics.T @ (rule.weights[:, None] * harmonics)
        torch.testing.assert_close(gram, torch.eye(dim(25)).double(), rtol=0, atol=1e-12)


def test_derivatives_are_finite_and_right_at_the_poles():
    poles = torch.tensor([[0.0, 1, 0], [0, -1, 0], [1e-200, 1, 0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: spherical_harmonics(4, r), poles)
    assert torch.autograd.gradgradcheck(lambda r: spherical_harmonics(3, r), poles)


def test_surface_gradients_are_eigenfunctions():
    rule = gauss_legendre(12)
    gradients = tangential_gradients(6, rule.points)
    gram = torch.einsum("kgi,g,kgj->ij", gradients, rule.weights, gradients)
    degree = degrees(6).double()
    torch.testing.assert_close(gram, torch.diag(degree * (degree + 1)), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 8, 13, 24, 26, 41])
def test_rules_are_exact_up_to_their_degree(degree):
    points = spherical_harmonics(degree, lebedev(degree).points)
    integral = lebedev(degree).weights @ points
    expected = torch.zeros(dim(degree), dtype=torch.float64)
    expected[0] = math.sqrt(4 * math.pi)
    torch.testing.assert_close(integral, expected, rtol=0, atol=2e-12)
    rule = gauss_legendre(degree)
    torch.testing.assert_close(rule.weights @ spherical_harmonics(degree, rule.points), expected, rtol=0, atol=2e-12)


def test_rules_are_no_larger_than_the_published_ones():
    sizes = {degree: len(lebedev(degree).weights) for degree in (3, 6, 9, 12, 15, 18, 21, 24, 30)}
    assert sizes == {3: 6, 6: 26, 9: 38, 12: 86, 15: 86, 18: 146, 21: 170, 24: 302, 30: 350}
    assert [len(gauss_legendre(3 * lmax).weights) for lmax in range(1, 7)] == [8, 28, 50, 91, 128, 190]
    assert all((lebedev(order).weights > 0).all() for order in LEBEDEV_ORDERS)


def test_half_of_a_rule_has_one_of_each_pair():
    rule = lebedev(15)
    half = antipodal_half(rule)
    assert 2 * len(half.weights) == len(rule.weights)
    distances = torch.cdist(torch.cat([half.points, -half.points]), rule.points)
    assert distances.min(0).values.max() < 1e-12


def test_no_rule_is_invented():
    with pytest.raises(ValueError, match="degree=132"):
        lebedev(132)
    with pytest.raises(ValueError, match="lmax=-1"):
        spherical_harmonics(-1, VECTORS)
    with pytest.raises(ValueError, match="normalization='unit'"):
        spherical_harmonics(1, VECTORS, "unit")


# ---- coefficients


def test_three_j_of_tables():
    assert three_j(1, 1, 0, 0, 0) == pytest.approx(-1 / math.sqrt(3))
    assert three_j(1, 1, 2, 0, 0) == pytest.approx(math.sqrt(2 / 15))
    assert three_j(2, 2, 2, 0, 0) == pytest.approx(-math.sqrt(2 / 35))
    assert three_j(1, 1, 1, 1, -1) == pytest.approx(1 / math.sqrt(6))
    assert three_j(3, 2, 2, 1, -1) == pytest.approx(1 / math.sqrt(35))
    assert three_j(1, 1, 3, 0, 0) == 0


@pytest.mark.parametrize(("tensor", "factor"), [(gaunt_tensor, gaunt_factor), (bracket_tensor, bracket_factor)])
def test_integrals_are_positive_factors_times_e3nn_coefficients(tensor, factor):
    integrals = tensor(3, 3, 6)
    for l1 in range(4):
        for l2 in range(4):
            for l3 in range(7):
                block = integrals[l1**2 : (l1 + 1) ** 2, l2**2 : (l2 + 1) ** 2, l3**2 : (l3 + 1) ** 2]
                expected = torch.zeros_like(block)
                if in_triangle(l1, l2, l3):
                    expected = factor(l1, l2, l3) * o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
                torch.testing.assert_close(block, expected, rtol=0, atol=1e-13)


def test_gaunt_tensor_is_symmetric():
    tensor = gaunt_tensor(4, 4, 4)
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        torch.testing.assert_close(tensor.permute(order), tensor, rtol=0, atol=1e-13)


def test_coefficients_beyond_e3nn_are_normalised():
    coefficients = wigner_3j(1, 13, 13)
    norms = coefficients[1:4, 169:, 169:].norm(), coefficients[1:4, 144:169, 169:].norm()
    assert norms == pytest.approx((1, 1), abs=1e-11)


# ---- rotations


@pytest.mark.parametrize("direction", [[0.3, -0.2, 0.5], [0.0, 1, 0], [0, -1, 0], [0.1, 5, -0.2], [1, 0, 0], [0, 0, 1]])
def test_alignment_brings_directions_to_the_pole(direction):
    alignment = Alignment(5).double()
    direction = torch.tensor([direction], dtype=torch.float64)
    direction = direction / direction.norm()
    frames = alignment.frames(direction)
    pole = alignment.align(spherical_harmonics(5, direction)[:, None], frames)
    expected = spherical_harmonics(5, torch.tensor([[0.0, 1, 0]], dtype=torch.float64))[:, None]
    torch.testing.assert_close(pole, expected, rtol=0, atol=1e-13)
    random = torch.randn(1, 2, 36, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    aligned = alignment.align(random, frames)
    torch.testing.assert_close(alignment.restore(aligned, frames), random, rtol=0, atol=1e-13)
    norms = [x.square().split([1, 3, 5, 7, 9, 11], dim=-1)[3].sum() for x in (aligned, random)]
    torch.testing.assert_close(*norms)


def test_rotation_of_points_is_e3nns():
    matrix = rotation()
    expected = spherical_harmonics(3, VECTORS) @ wigner(3, matrix).T
    assert error(spherical_harmonics(3, VECTORS @ matrix.T), expected) < TIGHT


# ---- constants


def test_constants_are_exact_in_every_precision():
    module = ConstantModule()
    third = torch.tensor([1 / 3], dtype=torch.float64)
    module.register_constant("third", third)
    assert module.third.dtype == torch.float32
    assert torch.equal(torch.nn.Sequential(module).double()[0].third, third)
    assert torch.equal(module.float().half().double().third, third)
    assert module.state_dict() == {}


def test_constants_are_no_inference_tensors():
    module = ConstantModule()
    module.register_constant("third", torch.tensor([1 / 3], dtype=torch.float64))
    with torch.inference_mode():
        module.float().double()
    assert not module.third.is_inference()
