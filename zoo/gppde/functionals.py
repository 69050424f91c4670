"""Linear functionals of a Gaussian process, and their covariances.

A row of data is sum_parts sum_alpha c_alpha u^(alpha)(x): the value of a differential operator at a point, a boundary
value, a difference of two ends. With a product kernel, prod_j k_j(x_j - y_j),

    cov(u^(alpha)(x), u^(beta)(y)) = prod_j (-1)^beta_j k_j^(alpha_j + beta_j)(x_j - y_j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.lags import LagTable
from zoo.gppde.operators import Index

Kernels = Sequence[SpectralMixture]


@dataclass(frozen=True, eq=False)
class Part:
    """sum_alpha c_alpha u^(alpha) at points.

    Attributes:
        points: (n, d) float64.
        terms: coefficients by multi-index, zero-dimensional or (n,).
    """

    points: Tensor
    terms: dict[Index, Tensor]


@dataclass(frozen=True, eq=False)
class Rows:
    """Data on a process: n functionals and their values.

    Attributes:
        label: what messages call them.
        parts: the functionals are their sums; all of n points.
        values: (..., n), with a leading dimension for each of many instances.
        noise: standard deviation of the values; None if the evidence is to find it.
    """

    label: str
    parts: tuple[Part, ...]
    values: Tensor
    noise: float | None = 0.0

    def __len__(self) -> int:
        """Return the number n of functionals."""
        return len(self.parts[0].points)


def evaluation(points: Tensor, index: Index) -> Rows:
    """Return the functionals u^(alpha)(x) at points (n, d); their values are not known."""
    one = torch.ones((), dtype=points.dtype)
    return Rows("evaluation", (Part(points, {index: one}),), torch.full((len(points),), torch.nan, dtype=points.dtype))


class Covariances:
    """Covariance matrices of functionals; the lags of two sets of points are tabulated once."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], tuple[Tensor, Tensor, list[LagTable]]] = {}

    def tables(self, x: Tensor, y: Tensor) -> list[LagTable]:
        """Return the lags of points x (n, d) and y (m, d) along each coordinate."""
        key = (id(x), id(y))
        if key not in self._tables:
            tables = [LagTable.of(a, b) for a, b in zip(x.unbind(-1), y.unbind(-1), strict=True)]
            self._tables[key] = (x, y, tables)  # with the points: their addresses must not be given away
        return self._tables[key][2]

    def between(self, kernels: Kernels, a: Rows, b: Rows) -> Tensor:
        """Return cov(a, b), (n_a, n_b), under a product of kernels, one for each coordinate."""
        blocks = [self._parts(kernels, p, q) for p in a.parts for q in b.parts]
        return blocks[0] if len(blocks) == 1 else torch.stack(blocks).sum(0)

    def gram(self, kernels: Kernels, rows: Sequence[Rows]) -> Tensor:
        """Return the covariance matrix of all rows, (n, n)."""
        blocks: dict[tuple[int, int], Tensor] = {}
        for i, a in enumerate(rows):
            for j, b in enumerate(rows[: i + 1]):
                blocks[i, j] = self.between(kernels, a, b)
                blocks[j, i] = blocks[i, j].mT
        return torch.cat([torch.cat([blocks[i, j] for j in range(len(rows))], 1) for i in range(len(rows))], 0)

    def _parts(self, kernels: Kernels, p: Part, q: Part) -> Tensor:
        tables = self.tables(p.points, q.points)
        derivatives = []
        for dimension, (kernel, table) in enumerate(zip(kernels, tables, strict=True)):
            orders = {a[dimension] + b[dimension] for a in p.terms for b in q.terms}
            derivatives.append(kernel.derivatives(table.lags, orders))
        if len(kernels) == 1:
            return self._parts_in_one_dimension(tables[0], derivatives[0], p, q)
        expanded = [
            {order: table.expand(values) for order, values in by_order.items()}
            for table, by_order in zip(tables, derivatives, strict=True)
        ]
        total = torch.zeros((), dtype=p.points.dtype)
        for alpha, a in p.terms.items():
            for beta, b in q.terms.items():
                block = (-1.0) ** sum(beta) * _column(a) * b
                for i, j, by_order in zip(alpha, beta, expanded, strict=True):
                    block = block * by_order[i + j]
                total = total + block
        return total

    @staticmethod
    def _parts_in_one_dimension(table: LagTable, derivatives: dict[int, Tensor], p: Part, q: Part) -> Tensor:
        constant = torch.zeros_like(table.lags)  # what has constant coefficients is added up by lag
        rest: Tensor | None = None
        for (i,), a in p.terms.items():
            for (j,), b in q.terms.items():
                signed = (-1.0) ** j * derivatives[i + j]
                if a.ndim == b.ndim == 0:
                    constant = constant + a * b * signed
                else:
                    block = _column(a) * b * table.expand(signed)
                    rest = block if rest is None else rest + block
        return table.expand(constant) if rest is None else table.expand(constant) + rest


def prior_variance(kernels: Kernels, index: Index) -> Tensor:
    """Return the prior variance of u^(alpha) at any point, zero-dimensional."""
    variance = torch.ones((), dtype=torch.float64)
    for order, kernel in zip(index, kernels, strict=True):
        at_zero = kernel.derivatives(torch.zeros(1), [2 * order])[2 * order]
        variance = variance * (-1.0) ** order * at_zero[0]
    return variance


def _column(coefficient: Tensor) -> Tensor:
    return coefficient if coefficient.ndim == 0 else coefficient[:, None]
