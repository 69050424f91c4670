"""What solvers return: a function with derivatives, and where the method knows it, its uncertainty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.gppde.bases import Basis, evaluate
from zoo.gppde.conditioning import Posterior
from zoo.gppde.domain import Box
from zoo.gppde.grid_prior import along
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.operators import Index, require_index


@dataclass(frozen=True)
class Line:
    """A frequency of the solution.

    Attributes:
        dimension: the coordinate.
        frequency: in cycles per unit length.
        weight: share of the kernel's variance.
        deviation: standard error of the frequency by the evidence; NaN where it was not searched.
    """

    dimension: int
    frequency: float
    weight: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Solution(ABC):
    """A solved problem.

    Attributes:
        method: that solved it.
        box: its domain.
        kernels: one for each coordinate; none for the classical spectral method.
        coefficients: values of the operator's unknown coefficients, by name.
        deviations: their standard errors, by name.
        frequency_deviations: standard errors of the kernels' frequencies, for each coordinate.
    """

    method: str
    box: Box
    kernels: Sequence[SpectralMixture]
    coefficients: dict[str, float] = field(default_factory=dict)
    deviations: dict[str, float] = field(default_factory=dict)
    frequency_deviations: list[Tensor] = field(default_factory=list)

    def predict(
        self, points: Tensor, derivative: Index | int | None = None, return_std: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the solution, or a derivative of it, at any points of the box.

        Args:
            points: (n, d); in one dimension (n,) too.
            derivative: multi-index, in one dimension an order; None for the solution itself.
            return_std: whether the standard deviation is returned too.

        Returns:
            (..., n) float64 with the leading dimensions of the instances; with `return_std` two of them.

        Raises:
            ValueError: the points do not fit, or the method knows no standard deviation.
        """
        points, index = self._check(points, derivative)
        mean = self._mean(points, index)
        return (mean, self._deviation(points, index)) if return_std else mean

    def lines(self, least_weight: float = 1e-3) -> list[Line]:
        """Return the frequencies of the kernels, the heaviest first.

        Args:
            least_weight: share of the variance below which a component is left out.
        """
        lines = []
        for dimension, kernel in enumerate(self.kernels):
            weight = kernel.log_weight.exp()
            deviations = self.frequency_deviations[dimension] if self.frequency_deviations else weight * torch.nan
            columns = (kernel.frequency.abs(), weight / weight.sum(), deviations)
            for frequency, share, deviation in zip(*(column.tolist() for column in columns), strict=True):
                if share >= least_weight:
                    lines.append(Line(dimension, frequency, share, deviation))
        return sorted(lines, key=lambda line: (line.dimension, -line.weight))

    def _check(self, points: Tensor, derivative: Index | int | None) -> tuple[Tensor, Index]:
        dimensions = self.box.dimensions
        points = torch.as_tensor(points, dtype=torch.float64)
        points = points[:, None] if points.ndim == 1 and dimensions == 1 else points
        fits = points.ndim == 2 and points.size(-1) == dimensions
        require(fits, "points", tuple(points.shape), f"(n, {dimensions})")
        index = (0,) * dimensions if derivative is None else derivative
        index = (index,) if isinstance(index, int) else index
        require_index("derivative", index, dimensions)
        return points, index

    @abstractmethod
    def _mean(self, points: Tensor, index: Index) -> Tensor:
        """Return the solution's derivative at checked points, (..., n)."""

    def _deviation(self, points: Tensor, index: Index) -> Tensor:
        raise ValueError(
            f"return_std=True is not allowed with method={self.method!r}, which gives a mean only; use method='direct' "
            "with no more points than it conditions on exactly"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionedSolution(Solution):
    """A process conditioned on all data.

    Attributes:
        posterior: the process.
        shifted: for each unknown coefficient, the posteriors at one standard error below and above; what they differ
            by is added to the variance, to first order.
    """

    posterior: Posterior
    shifted: Sequence[tuple[Posterior, Posterior]] = ()

    @property
    def log_evidence(self) -> Tensor:
        """The log evidence of each instance, (...)."""
        return self.posterior.log_evidence

    @property
    def nugget(self) -> float:
        """What was added to the covariance matrix, relative to its diagonal."""
        return self.posterior.nugget

    @property
    def noise(self) -> dict[str, float]:
        """The standard deviation of each group of data, given or found, by label."""
        return {rows.label: noise for rows, noise in zip(self.posterior.rows, self.posterior.noise, strict=True)}

    def sample(self, points: Tensor, number: int, derivative: Index | int | None = None, seed: int = 0) -> Tensor:
        """Return joint samples of the solution, or a derivative of it, at points, (number, ..., n) float64.

        Args:
            points: (n, d); in one dimension (n,) too.
            number: of samples, > 0.
            derivative: see `predict`.
            seed: of the samples.
        """
        require_positive(number=number)
        points, index = self._check(points, derivative)
        return self.posterior.sample(points, index, number, torch.Generator().manual_seed(seed))

    def _mean(self, points: Tensor, index: Index) -> Tensor:
        return self.posterior.mean(points, index)

    def _deviation(self, points: Tensor, index: Index) -> Tensor:
        variance = self.posterior.standard_deviation(points, index).square()
        for below, above in self.shifted:
            variance = variance + (above.mean(points, index) - below.mean(points, index)).square() / 4
        return variance.sqrt()


@dataclass(frozen=True, eq=False, kw_only=True)
class GridSolution(Solution):
    """Values on a grid and how to continue them.

    Attributes:
        bases: one for each coordinate.
        values: at the nodes, (..., N_1, .., N_d).
    """

    bases: Sequence[Basis]
    values: Tensor

    def predict_grid(self, grids: Sequence[Tensor], derivative: Index | None = None) -> Tensor:
        """Return the solution, or a derivative of it, on a product of coordinates (m_j,), (..., m_1, .., m_d)."""
        dimensions = self.box.dimensions
        index = (0,) * dimensions if derivative is None else derivative
        require_index("derivative", index, dimensions)
        values = self.values
        for j, (basis, grid, order) in enumerate(zip(self.bases, grids, index, strict=True)):
            values = along(basis.evaluation(grid, order), values, j, dimensions)
        return values

    def _mean(self, points: Tensor, index: Index) -> Tensor:
        return evaluate(self.bases, self.values, points, index)
