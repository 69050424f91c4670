import numpy as np
import pytest

from datamodules.dynamics.measures import Axis, circle, interval, normal, product_rule


@pytest.mark.parametrize("quadrature", ["equispaced", "gauss"])
def test_weights_sum_to_one(quadrature):
    nodes, weights = product_rule([interval("x", -2, 3), circle("y")], 64, quadrature)
    assert nodes.shape == (64, 2) and weights.sum() == pytest.approx(1, abs=1e-14)
    assert nodes[:8, 0].tolist() == [nodes[0, 0]] * 8


def test_gauss_legendre_is_exact_for_polynomials():
    nodes, weights = product_rule([interval("x", 0, 2)], 5, "gauss")
    for power in range(10):
        assert weights @ nodes[:, 0] ** power == pytest.approx(2**power / (power + 1), rel=1e-13)
    assert weights @ nodes[:, 0] ** 10 != pytest.approx(2**10 / 11, rel=1e-9)


def test_the_trapezoidal_rule_is_of_second_order_and_exponential_on_a_circle():
    errors = []
    for number in (17, 33):
        nodes, weights = product_rule([interval("x", 0, 1)], number, "equispaced")
        errors.append(weights @ np.exp(nodes[:, 0]) - (np.e - 1))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)
    nodes, weights = product_rule([circle("x", 0, 2 * np.pi)], 24, "equispaced")
    assert weights @ np.exp(np.cos(nodes[:, 0])) == pytest.approx(np.i0(1.0), rel=1e-14)


def test_gauss_hermite_has_the_moments_of_a_normal_distribution():
    nodes, weights = product_rule([normal("x", 0.5)], 8, "gauss")
    for power, moment in ((0, 1), (2, 1), (4, 3), (6, 15), (8, 105)):
        assert weights @ nodes[:, 0] ** power == pytest.approx(moment * 0.5**power, rel=1e-12)
    with pytest.raises(ValueError, match=r"quadrature='equispaced'.*unbounded"):
        product_rule([normal("x", 0.5)], 8, "equispaced")


def test_draws_follow_the_quantile():
    generator = np.random.default_rng(0)
    arcsine = Axis("x", lambda uniform: -np.cos(np.pi * uniform)).draw(40000, generator)
    assert np.mean(arcsine**2) == pytest.approx(0.5, abs=0.01)
    assert normal("x", 2.0).draw(40000, generator).std() == pytest.approx(2, rel=0.02)


def test_grids_need_a_power():
    with pytest.raises(ValueError, match=r"number of initial states=10 .*a power of 2, such as 9"):
        product_rule([circle("x"), circle("y")], 10, "gauss")
