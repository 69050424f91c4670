"""A PDE on a box as data: its terms, its source, what is known on the sides, and the solution where that is known.

    sum_alpha c_alpha(x) u^(alpha)(x) + nonlinear(x, u, derivatives) = source(x)

Coordinates are named x, y, z and t (the last one); derivatives u_x, u_xx, u_xy, u_t. A problem file is YAML:

    name: wave guide
    domain: {x: [0, 2*pi]}
    linear: {u_xx: 1, u: 10000}
    nonlinear: u**3              # optional
    exact: sin(90*x)             # or `source` and `boundary` where it is not known
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from datamodules.pdes.expressions import Expression
from zoo.checks import require

Index = tuple[int, ...]

COORDINATES = ("x", "y", "z", "t")
FORMULAS = ("nonlinear", "exact", "source", "boundary")
FIELDS = {"name", "domain", "linear", *FORMULAS}
MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class PDEProblem:
    """A problem; formulas are text, see `datamodules.pdes.expressions`.

    Attributes:
        name: of the problem.
        domain: lower and upper end of each coordinate, in order, numbers or formulas without variables.
        linear: coefficients of derivatives by name, numbers or formulas in the coordinates.
        nonlinear: formula in the coordinates, u and its derivatives; None if the equation is linear.
        exact: the solution; None if it is not known.
        source: f; None to follow from `exact`.
        boundary: u on the sides; None to follow from `exact`.

    Raises:
        ValueError: something is missing or does not follow the grammar.
    """

    name: str
    domain: Mapping[str, tuple[float | str, float | str]]
    linear: Mapping[str, float | str]
    nonlinear: str | None = None
    exact: str | None = None
    source: str | None = None
    boundary: str | None = None
    _formulas: dict[str, Expression] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is incomplete."""
        require(isinstance(self.name, str) and self.name != "", "name", self.name, "a name")
        names = list(self.domain) if isinstance(self.domain, Mapping) else []
        ordered = bool(names) and all(name in COORDINATES for name in names)
        places = [COORDINATES.index(name) for name in names] if ordered else []
        ordered = ordered and all(first < second for first, second in pairwise(places))
        require(ordered, "domain", self.domain, "an interval for each coordinate, among x, y, z, t in this order")
        for name, ends in self.domain.items():
            require(len(ends) == 2, f"domain[{name!r}]", ends, "a lower and an upper end")
        for lower, upper in zip(self.lower, self.upper, strict=True):
            require(lower < upper, "domain", self.domain, "lower ends below upper ends")
        require(bool(self.linear) or self.nonlinear is not None, "linear", self.linear, "at least one term")
        indices = [self.index(derivative) for derivative in self.linear]
        require(len(set(indices)) == len(indices), "linear", sorted(self.linear), "each derivative by one name")
        for derivative, coefficient in self.linear.items():
            self._add(f"linear {derivative}", coefficient, names)
        if self.nonlinear is not None:
            derivatives = re.findall(r"\bu_[a-z]+\b", self.nonlinear)
            for derivative in derivatives:
                self.index(derivative)
            self._add("nonlinear", self.nonlinear, [*names, "u", *derivatives])
        for name in ("exact", "source", "boundary"):
            if getattr(self, name) is not None:
                self._add(name, getattr(self, name), names)
        known = self.exact is not None or (self.source is not None and self.boundary is not None)
        require(known, "exact", self.exact, "the solution, or both `source` and `boundary`")

    @property
    def dimensions(self) -> int:
        """The number d of coordinates."""
        return len(self.domain)

    @property
    def lower(self) -> tuple[float, ...]:
        """The lower ends."""
        return tuple(Expression(ends[0], ())().item() for ends in self.domain.values())

    @property
    def upper(self) -> tuple[float, ...]:
        """The upper ends."""
        return tuple(Expression(ends[1], ())().item() for ends in self.domain.values())

    def index(self, derivative: str) -> Index:
        """Return the multi-index of a derivative's name: "u_xx" is (2, 0) in x and y.

        Raises:
            ValueError: it is no derivative by these coordinates, or of order above 2 by one of them.
        """
        letters = derivative.removeprefix("u").removeprefix("_")
        index = tuple(letters.count(name) for name in self.domain)
        fits = re.fullmatch(r"u(_[a-z]+)?", derivative) is not None and sum(index) == len(letters)
        require(
            fits and max(index) <= 2,
            "derivative",
            derivative,
            f"u, or u_ and at most two of each of {list(self.domain)}",
        )
        return index

    @property
    def linear_terms(self) -> dict[Index, float | Callable[[Tensor], Tensor]]:
        """The coefficients by multi-index: numbers, or functions of points (..., d)."""
        terms: dict[Index, float | Callable[[Tensor], Tensor]] = {}
        for derivative in self.linear:
            formula = self._formulas[f"linear {derivative}"]
            terms[self.index(derivative)] = self._function(formula) if formula.used else float(formula())
        return terms

    @property
    def nonlinear_in(self) -> tuple[Index, ...]:
        """The multi-indices that the nonlinear part takes, besides u itself."""
        used = self._formulas["nonlinear"].used if self.nonlinear is not None else set()
        return tuple(self.index(name) for name in sorted(used) if name.startswith("u_"))

    def nonlinearity(self, points: Tensor, u: Tensor, derivatives: Mapping[Index, Tensor]) -> Tensor:
        """Return the nonlinear part at points (..., d) from u (...) and its derivatives by multi-index."""
        formula = self._formulas["nonlinear"]
        values = self._coordinates(points) | {"u": u}
        values |= {name: derivatives[self.index(name)] for name in formula.used if name.startswith("u_")}
        return formula(**values)

    def exact_values(self, points: Tensor) -> Tensor:
        """Return the solution at points (..., d), (...) float64.

        Raises:
            ValueError: it is not known.
        """
        require(self.exact is not None, "exact", self.exact, "a problem whose solution is known")
        return self._function(self._formulas["exact"])(points)

    def boundary_values(self, points: Tensor) -> Tensor:
        """Return u at points (..., d) of the sides, (...) float64."""
        return self._function(self._formulas["exact" if self.boundary is None else "boundary"])(points)

    def source_values(self, points: Tensor) -> Tensor:
        """Return f at points (..., d), (...) float64: by its formula, else by differentiating the solution."""
        if self.source is not None:
            return self._function(self._formulas["source"])(points)
        return self.residual_of_exact(points)

    def residual_of_exact(self, points: Tensor) -> Tensor:
        """Return the left side of the equation at the exact solution, by automatic differentiation, (...)."""
        flat = points.reshape(-1, self.dimensions).detach().clone().requires_grad_()
        u = self.exact_values(flat)
        terms = self.linear_terms
        indices = dict.fromkeys([*terms, *self.nonlinear_in])
        derivatives = {index: _derivative(u, flat, index) for index in indices}
        total = torch.zeros_like(u)
        for index, coefficient in terms.items():
            value = coefficient(flat) if callable(coefficient) else coefficient
            total = total + value * derivatives[index]
        if self.nonlinear is not None:
            total = total + self.nonlinearity(flat, u, derivatives)
        return total.detach().reshape(points.shape[:-1])

    def _add(self, name: str, text: float | str, variables: list[str]) -> None:
        try:
            self._formulas[name] = Expression(text, variables)
        except ValueError as error:
            raise ValueError(f"{name} of the problem {self.name!r}: {error}") from error

    def _coordinates(self, points: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.domain, points.unbind(-1), strict=True))

    def _function(self, formula: Expression) -> Callable[[Tensor], Tensor]:
        return lambda points: formula(**self._coordinates(points))


def read_problem(path: str | Path) -> PDEProblem:
    """Read a problem file.

    Args:
        path: YAML with the entries of `PDEProblem`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no problem; the message says what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"problem file {str(path)!r} does not exist")
    require(path.stat().st_size <= MAX_BYTES, "problem file", str(path), f"a file of at most {MAX_BYTES} bytes")
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a YAML file: {error}") from error
    require(isinstance(content, dict), "problem file", str(path), f"a mapping with the entries {sorted(FIELDS)}")
    unknown = sorted(set(map(str, content)) - FIELDS)
    require(not unknown, f"entries of {path}", unknown, f"some of {sorted(FIELDS)}")
    missing = sorted({"domain", "linear"} - set(content))
    require(not missing, f"entries of {path}", sorted(content), f"also {missing}")
    for name in ("domain", "linear"):
        require(isinstance(content[name], dict), f"{name} in {path}", content[name], "a mapping")
    domain = {key: tuple(ends) if isinstance(ends, list) else (ends,) for key, ends in content.pop("domain").items()}
    text = {name: None if content.get(name) is None else str(content[name]) for name in FORMULAS}
    return PDEProblem(
        str(content.get("name", path.stem)),
        domain,
        content["linear"],
        text["nonlinear"],
        text["exact"],
        text["source"],
        text["boundary"],
    )


def _derivative(values: Tensor, points: Tensor, index: Index) -> Tensor:
    """Return a derivative of values (n,) that were computed pointwise from points (n, d)."""
    for dimension, order in enumerate(index):
        for _ in range(order):
            if not values.requires_grad:
                return torch.zeros_like(values)
            (gradient,) = torch.autograd.grad(values.sum(), points, create_graph=True)
            values = gradient[:, dimension]
    return values
