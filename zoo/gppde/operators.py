"""Differential operators: linear terms by multi-index, and nonlinear residuals that are linearised where needed.

The multi-index (2, 0) is the second derivative along the first coordinate, (0, 0) the function itself. The equation is
N[u](x) = f(x) for x in a box. By convention time, where there is any, is the last coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.checks import require, require_finite, require_positive

Index = tuple[int, ...]
Values = Mapping[Index, Tensor]

HIGHEST = 2  # kernels have four derivatives, and covariances of two functionals take them twice


@dataclass(frozen=True)
class Unknown:
    """A coefficient that the data determine, through the evidence.

    Attributes:
        name: by which it is reported.
        start: where the search begins.
    """

    name: str
    start: float

    def __post_init__(self) -> None:
        """Refuse what is no name or no number."""
        require(isinstance(self.name, str) and self.name != "", "name", self.name, "a name")
        require_finite(start=self.start)


Coefficient = float | Tensor | Callable[[Tensor], Tensor] | Unknown
Nonlinearity = Callable[[Tensor, Tensor, Values], Tensor]


class Derivatives(dict[Index, Tensor]):
    """Derivatives by multi-index; in one dimension `d[2]` is `d[2,]`."""

    def __missing__(self, index: object) -> Tensor:
        """Return the derivative of an order in one dimension."""
        if isinstance(index, int):
            return self[(index,)]
        raise KeyError(index)


@dataclass(frozen=True, eq=False)
class Operator:
    """N[u](x) = sum_alpha c_alpha(x) u^(alpha)(x) + nonlinearity(x, u(x), derivatives of u at x).

    Attributes:
        dimensions: number d of coordinates.
        terms: coefficient of each multi-index: a number, a function of points (..., d) with values (...), a tensor with
            a value for each collocation point, or an `Unknown`.
        nonlinearity: pointwise function of points (..., d), values u (...) and derivatives by multi-index; None if the
            operator is linear.
        nonlinear_in: the multi-indices that it takes, besides the function itself.
        name: what messages call it.

    Raises:
        ValueError: a multi-index has not d entries 0 .. 2, or a coefficient is not finite.
    """

    dimensions: int
    terms: dict[Index, Coefficient]
    nonlinearity: Nonlinearity | None = None
    nonlinear_in: tuple[Index, ...] = field(default=())
    name: str = "the operator"

    def __post_init__(self) -> None:
        """Refuse multi-indices that do not fit."""
        require_positive(dimensions=self.dimensions)
        require(bool(self.terms) or self.nonlinearity is not None, "terms", self.terms, "at least one term")
        for index in (*self.terms, *self.nonlinear_in):
            require_index("multi-index", index, self.dimensions)
        for index, coefficient in self.terms.items():
            if isinstance(coefficient, int | float):
                require(math.isfinite(coefficient), f"terms[{index}]", coefficient, "a finite coefficient")

    @property
    def is_linear(self) -> bool:
        """Whether there is no nonlinearity."""
        return self.nonlinearity is None

    @property
    def unknowns(self) -> list[Unknown]:
        """The coefficients that the data are to determine."""
        return [coefficient for coefficient in self.terms.values() if isinstance(coefficient, Unknown)]

    @property
    def indices(self) -> list[Index]:
        """All multi-indices that the operator takes, that of the function itself among them if it is nonlinear."""
        itself = () if self.is_linear else (self.zero,)
        return list(dict.fromkeys((*self.terms, *itself, *self.nonlinear_in)))

    @property
    def zero(self) -> Index:
        """The multi-index of the function itself."""
        return (0,) * self.dimensions

    def order(self, dimension: int) -> int:
        """Return the highest derivative along a coordinate."""
        return max(index[dimension] for index in self.indices)

    def with_coefficients(self, values: Mapping[str, Tensor]) -> Operator:
        """Return the operator with values, by name, in place of its unknown coefficients."""
        terms: dict[Index, Coefficient] = {
            index: values[coefficient.name] if isinstance(coefficient, Unknown) else coefficient
            for index, coefficient in self.terms.items()
        }
        return Operator(self.dimensions, terms, self.nonlinearity, self.nonlinear_in, self.name)

    def coefficients(self, points: Tensor) -> dict[Index, Tensor]:
        """Return the coefficients of the linear terms at points (..., d): zero-dimensional or (...), by multi-index.

        Raises:
            ValueError: a coefficient is unknown, or its values have a shape that does not fit the points.
        """
        result = {}
        for index, coefficient in self.terms.items():
            require(
                not isinstance(coefficient, Unknown), f"terms[{index}]", coefficient, "a value; only evidence finds it"
            )
            value = coefficient(points) if callable(coefficient) else coefficient
            value = torch.as_tensor(value, dtype=points.dtype, device=points.device)
            require(
                value.ndim == 0 or value.shape == points.shape[:-1],
                f"shape of terms[{index}]",
                tuple(value.shape),
                f"a number, or a value for each point, {tuple(points.shape[:-1])}",
            )
            result[index] = value
        return result

    def apply(self, points: Tensor, values: Values) -> Tensor:
        """Return N[u] at points (..., d) from the derivatives of u, by multi-index, each (..., points)."""
        linear = sum(c * values[index] for index, c in self.coefficients(points).items())
        if self.nonlinearity is None:
            return torch.as_tensor(linear)
        return linear + self.nonlinearity(points, values[self.zero], Derivatives(values))

    def linearized(self, points: Tensor, values: Values) -> tuple[dict[Index, Tensor], Tensor]:
        """Return Newton's linear operator at u, and what it has to equal where N[u] = 0.

        N[v] ~ sum_alpha c_alpha v^(alpha) - offset near u, with the pointwise derivatives c_alpha of N.

        Args:
            points: (..., d).
            values: the derivatives of u at the points, by multi-index, (...).

        Returns:
            The coefficients by multi-index, and the offset sum_alpha c_alpha u^(alpha) - N[u], (...).
        """
        jacobian = {index: c.expand(points.shape[:-1]) for index, c in self.coefficients(points).items()}
        if self.nonlinearity is None:
            return jacobian, torch.zeros_like(values[next(iter(values))])
        with torch.enable_grad():
            taken = dict.fromkeys((self.zero, *self.nonlinear_in))
            inputs = Derivatives({index: values[index].detach().clone().requires_grad_() for index in taken})
            output = self.nonlinearity(points, inputs[self.zero], inputs)
            gradients = torch.autograd.grad(output.sum(), list(inputs.values()), allow_unused=True)
        offset = -output.detach()
        for (index, value), gradient in zip(inputs.items(), gradients, strict=True):
            if gradient is not None:
                jacobian[index] = jacobian.get(index, torch.zeros_like(gradient)) + gradient
                offset = offset + gradient * value.detach()
        return jacobian, offset


def require_index(name: str, index: object, dimensions: int) -> None:
    """Raise a ValueError unless a multi-index has d integers 0 .. 2."""
    fits = isinstance(index, tuple) and len(index) == dimensions and all(type(entry) is int for entry in index)
    require(
        fits and all(0 <= entry <= HIGHEST for entry in index),  # type: ignore[attr-defined] # it is a tuple
        name,
        index,
        f"a tuple of {dimensions} derivatives 0 .. {HIGHEST}, one for each coordinate",
    )


def unit(dimensions: int, along: int, order: int) -> Index:
    """Return the multi-index of a derivative of some order along one of d coordinates."""
    return tuple(order if dimension == along else 0 for dimension in range(dimensions))


def Linear(terms: dict[Index, Coefficient], name: str = "the linear operator") -> Operator:
    """Return a linear operator from its coefficients by multi-index; see `Operator`."""
    require(
        isinstance(terms, dict) and bool(terms), "terms", terms, "a coefficient for each of at least one multi-index"
    )
    return Operator(len(next(iter(terms))), dict(terms), name=name)


def Poisson(dimensions: int = 1) -> Operator:
    """Return the Laplacian: lap u = f."""
    require_positive(dimensions=dimensions)
    return Operator(dimensions, {unit(dimensions, j, 2): 1.0 for j in range(dimensions)}, name="Poisson's equation")


def Helmholtz(squared_wavenumber: Coefficient, dimensions: int = 1) -> Operator:
    """Return lap u + k^2 u = f; k^2 may vary or be unknown."""
    laplacian = Poisson(dimensions)
    return Operator(dimensions, {**laplacian.terms, laplacian.zero: squared_wavenumber}, name="Helmholtz's equation")


def AllenCahn(dimensions: int = 1) -> Operator:
    """Return lap u + u (u^2 - 1) = f, the published form of the stationary Allen-Cahn equation."""
    return Operator(
        dimensions, Poisson(dimensions).terms, lambda x, u, d: u * (u**2 - 1), name="the Allen-Cahn equation"
    )


def Advection(speed: Coefficient) -> Operator:
    """Return u_t + beta u_x = f with coordinates (x, t)."""
    return Operator(2, {(1, 0): speed, (0, 1): 1.0}, name="the advection equation")


def Heat(diffusivity: Coefficient = 1.0) -> Operator:
    """Return u_t - kappa u_xx = f with coordinates (x, t)."""
    negative: Coefficient
    if callable(diffusivity):
        given = diffusivity
        negative = lambda x: -given(x)  # noqa: E731
    else:
        require(
            not isinstance(diffusivity, Unknown), "diffusivity", diffusivity, "a known value, or Linear with an Unknown"
        )
        negative = -diffusivity  # type: ignore[operator] # a number or a tensor
    return Operator(2, {(0, 1): 1.0, (2, 0): negative}, name="the heat equation")


def Burgers(viscosity: float) -> Operator:
    """Return u_t + u u_x - nu u_xx = f with coordinates (x, t)."""
    require_finite(viscosity=viscosity)
    return Operator(
        2,
        {(0, 1): 1.0, (2, 0): -viscosity},
        lambda x, u, d: u * d[1, 0],
        ((1, 0),),
        name="Burgers' equation",
    )


def SteadyBurgers(viscosity: float) -> Operator:
    """Return u u_x - nu u_xx = f in one dimension."""
    require_finite(viscosity=viscosity)
    return Operator(1, {(2,): -viscosity}, lambda x, u, d: u * d[(1,)], ((1,),), name="the stationary Burgers equation")


class _Recorder(Derivatives):
    """Derivatives that note which of them were asked for."""

    def __init__(self, dimensions: int, order: int) -> None:
        super().__init__()
        self.dimensions, self.order = dimensions, order
        self.asked: list[Index] = []

    def __missing__(self, index: object) -> Tensor:
        index = (index,) if isinstance(index, int) else index
        require_index("a derivative of the residual", index, self.dimensions)
        assert isinstance(index, tuple)
        require(
            sum(index) <= self.order,
            "a derivative of the residual",
            index,
            f"multi-indices of order <= order={self.order}",
        )
        self.asked.append(index)
        return torch.ones(1, dtype=torch.float64)


def Residual(function: Nonlinearity, order: int = 2, dimensions: int = 1) -> Operator:
    """Return the operator of a pointwise residual, N[u](x) = function(x, u, d).

    Args:
        function: of points x (..., d), values u (...) and derivatives `d[2, 0]` by multi-index; made of torch's
            operations, each point by itself.
        order: the highest total order of a derivative in it, at most 2 along each coordinate.
        dimensions: number d of coordinates.

    Raises:
        ValueError: it asks for a derivative of higher order, or does not return one value for each point.

    Example:
        >>> Residual(lambda x, u, d: d[2, 0] + d[0, 2] + u * (u**2 - 1), dimensions=2).indices
        [(0, 0), (2, 0), (0, 2)]
    """
    require_positive(order=order, dimensions=dimensions)
    recorder = _Recorder(dimensions, order)
    value = function(torch.zeros(1, dimensions, dtype=torch.float64), torch.ones(1, dtype=torch.float64), recorder)
    require(
        isinstance(value, Tensor) and value.shape == (1,),
        "function",
        value,
        "a residual that returns one value for each point",
    )
    asked = tuple(dict.fromkeys(recorder.asked))
    return Operator(dimensions, {}, function, tuple(i for i in asked if any(i)), name="the residual")
