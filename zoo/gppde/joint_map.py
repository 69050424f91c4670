"""The published objective: grid values, kernel and precisions by one joint maximum a posteriori.

The grid values U are parameters; derivatives are those of the process's conditional mean (`zoo.gppde.grid_prior`):

    loss = 1/2 log det C + 1/2 <U, C^-1 U>
           - boundary_weight (N_b / 2 log tau - tau / 2 |U_b - g|^2) - (M / 2 log v - v / 2 |N[U] - f|^2).

The residual N[U] - f is taken at all grid points, those of the boundary too; U_b holds the nodes of the 2 d sides one
after the other, corners as often as they lie on one. The objective has no lower bound (v grows without limit as the
residual vanishes): its value is no reason to stop.

Source: Fang, Cooley, Long, Li, Kirby and Zhe, 2024, arXiv 2311.04465, section 4 and algorithm 1, and their code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.checks import require, require_above, require_positive
from zoo.gppde.bases import GPBasis, evaluate
from zoo.gppde.domain import mesh
from zoo.gppde.grid_prior import grid_prior
from zoo.gppde.kernels import Kind, SpectralMixture
from zoo.gppde.lags import grid_lags
from zoo.gppde.operators import Index, Operator

JITTER = 1e-6
BOUNDARY_WEIGHT = 200.0


def side_values(values: Tensor, dimensions: int) -> Tensor:
    """Return grid values (..., M_1, .., M_d) at the nodes of the sides, (..., N_b), lower before upper.

    In two dimensions U[0, :], U[-1, :], U[:, 0], U[:, -1]: corners come twice.
    """
    lead = values.ndim - dimensions
    ends = [values.select(lead + dimension, end) for dimension in range(dimensions) for end in (0, -1)]
    return torch.cat([end.reshape(*values.shape[:lead], -1) for end in ends], dim=-1)


class JointMAP(nn.Module):
    """Grid values, log precisions and kernel parameters, started as published: U = 0, a comb of frequencies.

    Many instances of one problem are trained at once by leading dimensions of `source`; each has parameters of its own.

    Args:
        operator: N, with no unknown coefficient.
        grids: regular coordinates (M_j,) float64 for each dimension.
        source: f on the grid, (..., M_1, .., M_d).
        boundary: g at the nodes of the sides, (..., N_b), in the order of `side_values`.
        kind: of the kernels, see `zoo.gppde.kernels`.
        num_components: Q of each kernel, > 0.
        largest_frequency: of the comb, in cycles per unit length.
        boundary_weight: lambda_b, > 0.
        jitter: absolute, > 0.
        background: derivatives of a fixed function that is added to the process, by multi-index, see `extra`.

    Attributes:
        solution: U, (..., M_1, .., M_d).
        log_boundary_precision: log tau, (...).
        log_equation_precision: log v, (...).
        log_weight: (..., d, Q), as are `log_scale` and `frequency`, see `SpectralMixture`.

    Raises:
        ValueError: an argument is out of its range, a shape does not fit, or the data are not in float64.
    """

    solution: nn.Parameter

    def __init__(
        self,
        operator: Operator,
        grids: Sequence[Tensor],
        source: Tensor,
        boundary: Tensor,
        kind: Kind = "stm",
        num_components: int = 30,
        largest_frequency: float = 20.0,
        boundary_weight: float = BOUNDARY_WEIGHT,
        jitter: float = JITTER,
        background: dict[Index, Tensor] | None = None,
    ) -> None:
        super().__init__()
        require_positive(num_components=num_components)
        require_above(0, boundary_weight=boundary_weight, jitter=jitter)
        dimensions = operator.dimensions
        require(len(grids) == dimensions, "grids", len(grids), f"{dimensions} of them, one for each dimension")
        for name, tensor in (
            ("source", source),
            ("boundary", boundary),
            *((f"grids[{j}]", g) for j, g in enumerate(grids)),
        ):
            require(
                tensor.dtype == torch.float64,
                f"{name}.dtype",
                tensor.dtype,
                "torch.float64: float32 has too few digits",
            )
        shape = tuple(len(grid) for grid in grids)
        lead = source.shape[: source.ndim - dimensions]
        require(
            source.shape[len(lead) :] == shape,
            "source.shape",
            tuple(source.shape),
            f"(..., {', '.join(map(str, shape))})",
        )
        nodes = side_values(source, dimensions).size(-1)
        require(boundary.shape == (*lead, nodes), "boundary.shape", tuple(boundary.shape), f"{(*lead, nodes)}")
        self.operator, self.kind, self.boundary_weight, self.jitter = operator, kind, boundary_weight, jitter
        self.grids = list(grids)
        self.lags = [grid_lags(grid) for grid in grids]
        self.points = mesh(grids)
        self.source, self.boundary, self.background = source, boundary, background
        start = SpectralMixture.comb(kind, num_components, largest_frequency)
        self.solution = nn.Parameter(torch.zeros_like(source))
        self.log_boundary_precision = nn.Parameter(torch.zeros(lead, dtype=torch.float64))
        self.log_equation_precision = nn.Parameter(torch.zeros(lead, dtype=torch.float64))
        comb = (*lead, dimensions, num_components)
        self.log_weight = nn.Parameter(start.log_weight.expand(comb).clone())
        self.log_scale = nn.Parameter(start.log_scale.expand(comb).clone())
        # The baselines have no cosine, hence no frequency to train.
        self.frequency = nn.Parameter(start.frequency.expand(comb).clone(), requires_grad=start.oscillates)

    @property
    def kernels(self) -> list[SpectralMixture]:
        """The kernel of each coordinate."""
        parts = (self.log_weight.unbind(-2), self.log_scale.unbind(-2), self.frequency.unbind(-2))
        return [SpectralMixture(self.kind, *own) for own in zip(*parts, strict=True)]

    def bases(self) -> list[GPBasis]:
        """Return what continues grid values between the nodes, for each coordinate, without gradients."""
        return [
            GPBasis(kernel.detach(), grid, self.jitter) for kernel, grid in zip(self.kernels, self.grids, strict=True)
        ]

    def terms(self) -> dict[str, Tensor]:
        """Return the parts of the objective for each instance, (...): prior energy and the two sums of squares.

        "energy" is 1/2 log det C + 1/2 <U, C^-1 U>, "boundary_gap" |U_b - g|^2, "equation_gap" |N[U] - f|^2.
        """
        dimensions = self.operator.dimensions
        prior = grid_prior(self.kernels, self.lags, self.solution, self.operator.indices, self.jitter)
        derivatives: dict[Index, Tensor] = prior.derivatives
        total: Tensor = self.solution
        if self.background is not None:
            derivatives = {index: value + self.background[index] for index, value in derivatives.items()}
            total = total + self.background[self.operator.zero]
        residual = self.operator.apply(self.points, derivatives) - self.source
        boundary_gap = (side_values(total, dimensions) - self.boundary).square().sum(-1)
        equation_gap = residual.square().sum(tuple(range(-dimensions, 0)))
        return {"energy": prior.energy, "boundary_gap": boundary_gap, "equation_gap": equation_gap}

    def losses(self) -> Tensor:
        """Return the objective of each instance, (...)."""
        terms = self.terms()
        tau, v = self.log_boundary_precision, self.log_equation_precision
        count = self.points[..., 0].numel()
        boundary = self.boundary.size(-1) / 2 * tau - tau.exp() * terms["boundary_gap"] / 2
        equation = count / 2 * v - v.exp() * terms["equation_gap"] / 2
        return terms["energy"] - self.boundary_weight * boundary - equation

    def forward(self) -> Tensor:
        """Return the objective, summed over instances."""
        return self.losses().sum()

    def predict(self, points: Tensor, derivative: Index | None = None) -> Tensor:
        """Return the conditional mean, or a derivative of it, at points (n, d), (..., n) float64.

        With a `background` this is the process without it.
        """
        index = self.operator.zero if derivative is None else derivative
        return evaluate(self.bases(), self.solution.detach(), points, index)

    def extra(self) -> JointMAP:
        """Return a second process, for the low frequencies that the first leaves, on top of what this one has learned.

        Its kernel is one Matern-5/2 component, it starts from zero, and its boundary precision from this one's. The
        objective holds its own prior and the likelihoods of the sum; the prediction is the sum of both.
        """
        with torch.no_grad():
            indices = [self.operator.zero, *self.operator.indices]
            background = grid_prior(self.kernels, self.lags, self.solution, indices, self.jitter).derivatives
        second = JointMAP(
            self.operator,
            self.grids,
            self.source,
            self.boundary,
            kind="matern",
            num_components=1,
            boundary_weight=self.boundary_weight,
            jitter=self.jitter,
            background=background,
        )
        with torch.no_grad():
            second.log_boundary_precision.copy_(self.log_boundary_precision)
        return second


def train(model: JointMAP, steps: int, lr: float = 1e-2) -> None:
    """Train by full-batch Adam, as published: no schedule, no clipping, no weight decay.

    Args:
        model: is changed.
        steps: number of steps, > 0.
        lr: learning rate, > 0.
    """
    descend(model, [parameter for parameter in model.parameters() if parameter.requires_grad], steps, lr)


def descend(
    model: JointMAP,
    parameters: Sequence[Tensor],
    steps: int,
    lr: float,
    before_step: Callable[[], None] = lambda: None,
) -> None:
    """Take steps of Adam in some of the parameters.

    Args:
        model: is changed.
        parameters: some of its own.
        steps: number of steps, > 0.
        lr: learning rate, > 0.
        before_step: what sets the others.
    """
    require_positive(steps=steps)
    require_above(0, lr=lr)
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        before_step()
        optimizer.zero_grad()
        model().backward()
        optimizer.step()


def train_in_two_stages(model: JointMAP, steps: int, change_point: float, lr: float = 1e-2) -> JointMAP:
    """Train a process, then freeze it and train a second one on top, as published for hard multi-scale problems.

    Args:
        model: the first process, is changed.
        steps: of both stages together, > 1.
        change_point: fraction of the steps after which the second stage begins, in (0, 1).
        lr: learning rate, > 0.

    Returns:
        The second process; the solution is the sum of both predictions.
    """
    first = int(change_point * steps)
    require(
        0 < first < steps, "change_point", change_point, f"a fraction that leaves both stages some of {steps} steps"
    )
    train(model, first, lr)
    second = model.extra()
    train(second, steps - first, lr)
    return second
