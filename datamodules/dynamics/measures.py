"""Probability measures on state spaces, and the quadrature rules that integrate against them.

A reference measure is a product over axes. Each axis is the image of the uniform measure on [0, 1] under its quantile
function, so that every rule for [0, 1] serves all of them: Chebyshev's arcsine measure as well as a plain interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.checks import require, require_choice

Array = NDArray[Any]
Quadrature = Literal["random", "equispaced", "gauss"]

QUADRATURES = ("random", "equispaced", "gauss")


@dataclass(frozen=True)
class Axis:
    """The image of the uniform measure on [0, 1].

    Attributes:
        name: of the coordinate.
        quantile: from [0, 1] to the coordinate, vectorised.
        periodic: whether 0 and 1 have the same image, where equispaced nodes converge exponentially.
    """

    name: str
    quantile: Callable[[Array], Array]
    periodic: bool = False

    def draw(self, number: int, generator: np.random.Generator) -> Array:
        """Return independent samples (number,)."""
        return self.quantile(generator.random(number))

    def rule(self, number: int, quadrature: Quadrature) -> tuple[Array, Array]:
        """Return nodes and weights, (number,) each, of the trapezoidal or the Gauss rule in the uniform variable.

        A periodic axis gets equispaced nodes from either; weights sum to 1.
        """
        if self.periodic:
            nodes, weights = np.arange(number) / number, np.full(number, 1 / number)
        elif quadrature == "equispaced":
            require(number >= 2, "nodes per axis", number, "at least 2 for the trapezoidal rule")
            nodes, weights = np.linspace(0, 1, number), np.full(number, 1 / (number - 1))
            weights[[0, -1]] /= 2
        else:
            nodes, weights = np.polynomial.legendre.leggauss(number)
            nodes, weights = (nodes + 1) / 2, weights / 2
        return self.quantile(nodes), weights


@dataclass(frozen=True)
class NormalAxis(Axis):
    """A centred normal distribution, whose Gauss rule is that of Gauss and Hermite; see `normal`.

    Attributes:
        deviation: its standard deviation.
    """

    deviation: float = 1.0

    def draw(self, number: int, generator: np.random.Generator) -> Array:
        """Return independent samples (number,)."""
        return self.deviation * generator.standard_normal(number)

    def rule(self, number: int, quadrature: Quadrature) -> tuple[Array, Array]:
        """Return nodes and weights, (number,) each, of the Gauss-Hermite rule.

        Raises:
            ValueError: `quadrature` is "equispaced", which an unbounded axis does not have.
        """
        require(quadrature == "gauss", "quadrature", quadrature, "'random' or 'gauss' on an unbounded axis")
        nodes, weights = np.polynomial.hermite_e.hermegauss(number)
        return self.deviation * nodes, weights / weights.sum()


def interval(name: str, low: float, high: float) -> Axis:
    """Return the uniform measure on [low, high]."""
    return Axis(name, lambda uniform: low + (high - low) * uniform)


def circle(name: str, low: float = 0.0, length: float = 1.0) -> Axis:
    """Return the uniform measure on a circle, [low, low + length) with its ends joined."""
    return Axis(name, lambda uniform: low + length * uniform, periodic=True)


def normal(name: str, deviation: float) -> NormalAxis:
    """Return the centred normal distribution with a standard deviation."""
    return NormalAxis(name, lambda uniform: uniform, deviation=deviation)


def product_rule(axes: Sequence[Axis], number: int, quadrature: Quadrature) -> tuple[Array, Array]:
    """Return the tensor product of one rule per axis.

    Args:
        axes: d axes.
        number: of all nodes, n^d.
        quadrature: "equispaced" (trapezoidal) or "gauss".

    Returns:
        Nodes (n^d, d) and weights (n^d,), which sum to 1; the last axis varies fastest.

    Raises:
        ValueError: `number` is no d-th power, or an axis lacks the rule.
    """
    require_choice("quadrature", quadrature, ("equispaced", "gauss"))
    each = round(number ** (1 / len(axes)))
    allowed = f"a power of {len(axes)}, such as {each ** len(axes)}, for a grid on {len(axes)} axes"
    require(each ** len(axes) == number, "number of initial states", number, allowed)
    nodes, weights = zip(*(axis.rule(each, quadrature) for axis in axes), strict=True)
    grid = np.stack([column.ravel() for column in np.meshgrid(*nodes, indexing="ij")], axis=1)
    product = np.ones(1)
    for column in weights:
        product = np.outer(product, column).ravel()
    return grid, product
