"""Collocation on a product of nodes: the equation at free nodes, the conditions at the others.

Along each coordinate, conditions B_j u = g_j are solved for the values at as many slots: u = E_j v + R_j g_j with free
values v. A separable operator sum_j A_j acts on free values by the matrices A_j E_j, reduced to the free nodes' rows:
`zoo.gppde.separable` solves for it. Operators that are no such sum are solved by GMRES, preconditioned by one;
nonlinear equations by Newton's iteration around it.

The bases say what is collocated: conditional means of a Gaussian process make the noise-free limit of conditioning on
the equation at the nodes, without its standard deviation (given the grid values, there is none left at the nodes);
Chebyshev and Fourier bases make the classical spectral method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, gmres
from torch import Tensor

from zoo.gppde.bases import Basis
from zoo.gppde.conditions import SideCondition
from zoo.gppde.domain import mesh
from zoo.gppde.grid_prior import along
from zoo.gppde.newton import NotConvergedError, newton, relative_size
from zoo.gppde.operators import Index, Operator
from zoo.gppde.separable import Solver, solver_of_sum

NEWTON_TOLERANCE = 1e-11  # of the largest value, between two steps
STAGNATION = 1e-6  # of steps that the rounding errors of differentiation make
DENSE = 1600  # unknowns up to which a general operator is factorised
GMRES_TOLERANCE = 1e-12
GMRES_ROUND = 1e-6  # what one round leaves of the residual
GMRES_FAILURE = 1e-5
GMRES_STEPS = 100
ROUNDS = 3


class Constraints:
    """The conditions along one coordinate: u = E v + R g.

    Args:
        basis: of the coordinate.
        sides: the conditions at its ends, of no more than N - 1 different slots.

    Attributes:
        matrix: B, (c, N).
        free: the nodes without a slot, (N - c,).
        extension: E, (N, N - c).
        lift: R, (N, c), with B R = 1.
        sides: those that were kept: of two in one slot the first.
    """

    def __init__(self, basis: Basis, sides: Sequence[SideCondition]) -> None:
        count = len(basis.nodes)
        self.sides: list[SideCondition] = []
        slots: list[int] = []
        for side in sides:
            if side.slot % count not in slots:
                slots.append(side.slot % count)
                self.sides.append(side)
        rows = []
        for side in self.sides:
            derivative = basis.differentiation(side.order)
            row = derivative[side.end]
            rows.append(row - derivative[-1 - side.end] if side.periodic else row)
        self.matrix = torch.stack(rows) if rows else torch.zeros(0, count, dtype=torch.float64)
        mask = torch.ones(count, dtype=torch.bool)
        mask[slots] = False
        self.free = mask.nonzero()[:, 0]
        self.extension = torch.zeros(count, len(self.free), dtype=torch.float64)
        self.extension[self.free] = torch.eye(len(self.free), dtype=torch.float64)
        self.lift = torch.zeros(count, len(slots), dtype=torch.float64)
        if slots:
            inverse = torch.linalg.inv(self.matrix[:, slots])
            self.extension[slots] = -inverse @ self.matrix[:, self.free]
            self.lift[slots] = inverse


class Collocation:
    """An operator and its conditions on a grid; solves for many sources.

    Args:
        operator: without unknown coefficients.
        bases: one for each coordinate.
        sides: the conditions, from `side_conditions` on the same nodes.
    """

    def __init__(self, operator: Operator, bases: Sequence[Basis], sides: Sequence[SideCondition]) -> None:
        self.operator, self.bases, self.dimensions = operator, list(bases), operator.dimensions
        self.points = mesh([basis.nodes for basis in bases])
        self.constraints = [
            Constraints(basis, [side for side in sides if side.dimension == j]) for j, basis in enumerate(bases)
        ]
        self._matrices: dict[tuple[int, int], Tensor] = {}
        self._precondition: Solver | None = None

    def derivative(self, values: Tensor, index: Index) -> Tensor:
        """Return a derivative of nodal values (..., N_1, .., N_d) at the nodes."""
        for j, order in enumerate(index):
            if order:
                if (j, order) not in self._matrices:
                    self._matrices[j, order] = self.bases[j].differentiation(order)
                values = along(self._matrices[j, order], values, j, self.dimensions)
        return values

    def lift(self) -> Tensor:
        """Return nodal values that meet all conditions, (..., N_1, .., N_d)."""
        shape = self.points.shape[:-1]
        lead = torch.broadcast_shapes(
            *(
                side.values.shape[: side.values.ndim - self.dimensions + 1]
                for c in self.constraints
                for side in c.sides
            ),
            (),
        )
        values = torch.zeros((*lead, *shape), dtype=torch.float64)
        for j, constraint in enumerate(self.constraints):
            if constraint.sides:
                axis = j - self.dimensions
                given = torch.stack(
                    [side.values.expand((*lead, *shape[:j], *shape[j + 1 :])) for side in constraint.sides], dim=axis
                )
                missing = given - along(constraint.matrix, values, j, self.dimensions)
                values = values + along(constraint.lift, missing, j, self.dimensions)
        return values

    def solve(self, source: Tensor) -> Tensor:
        """Return the solution's nodal values, (..., N_1, .., N_d).

        Args:
            source: f at the nodes, (..., N_1, .., N_d).

        Raises:
            NotConvergedError: GMRES or Newton's iteration did not converge.
        """
        lift = self.lift()
        coefficients = self.operator.coefficients(self.points)
        if self.operator.is_linear:
            separable = all(c.ndim == 0 and sum(map(bool, i)) <= 1 for i, c in coefficients.items())
            right = self._at_free(source - self._apply(coefficients, lift))
            if separable:
                return lift + self._extend(self._separable_solver(coefficients)(right))
            solve = self._general_solver(coefficients)
            flat = right.reshape(-1, *right.shape[right.ndim - self.dimensions :])
            return lift + self._extend(torch.stack([solve(one) for one in flat]).reshape(right.shape))
        return self._newton(source, lift)

    def _newton(self, source: Tensor, lift: Tensor) -> Tensor:
        """Return the solution of a nonlinear equation, from that of its linear part."""
        lead = torch.broadcast_shapes(source.shape[: -self.dimensions], lift.shape[: -self.dimensions])
        shape = self.points.shape[:-1]
        sources = source.expand((*lead, *shape)).reshape(-1, *shape)
        lifts = lift.expand((*lead, *shape)).reshape(-1, *shape)
        solutions = [self._newton_of_one(f, start) for f, start in zip(sources, lifts, strict=True)]
        return torch.stack(solutions).reshape((*lead, *shape))

    def _newton_of_one(self, source: Tensor, lift: Tensor) -> Tensor:
        def step(values: Tensor) -> tuple[Tensor, float]:
            derivatives = {index: self.derivative(values, index) for index in self.operator.indices}
            jacobian, _ = self.operator.linearized(self.points, derivatives)
            residual = source - self.operator.apply(self.points, derivatives)
            change = self._extend(self._general_solver(jacobian, rounds=1)(self._at_free(residual)))
            return values + change, relative_size(change, values + change)

        return newton(step, lift, NEWTON_TOLERANCE, STAGNATION, self.operator.name)

    def _apply(self, coefficients: Mapping[Index, Tensor], values: Tensor) -> Tensor:
        """Return the linear operator at all nodes."""
        return torch.stack([c * self.derivative(values, index) for index, c in coefficients.items()]).sum(0)

    def _at_free(self, values: Tensor) -> Tensor:
        """Return nodal values at the free nodes, (..., F_1, .., F_d)."""
        for j, constraint in enumerate(self.constraints):
            values = values.index_select(j - self.dimensions, constraint.free)
        return values

    def _extend(self, free: Tensor) -> Tensor:
        """Return the nodal values of homogeneous conditions."""
        for j, constraint in enumerate(self.constraints):
            free = along(constraint.extension, free, j, self.dimensions)
        return free

    def _reduced(self, dimension: int, order: int) -> Tensor:
        """Return the matrix of a derivative on free values of a coordinate, (F, F)."""
        constraint = self.constraints[dimension]
        return (self.bases[dimension].differentiation(order) @ constraint.extension)[constraint.free]

    def _separable_solver(self, coefficients: Mapping[Index, Tensor]) -> Solver:
        """Return the solver of sum_j A_j for constant coefficients of derivatives along one coordinate each."""
        matrices = [torch.zeros(len(c.free), len(c.free), dtype=torch.float64) for c in self.constraints]
        for index, coefficient in coefficients.items():
            dimension = next((j for j, order in enumerate(index) if order), 0)
            matrices[dimension] += coefficient * self._reduced(dimension, index[dimension])
        return solver_of_sum(matrices)

    def _general_solver(self, coefficients: Mapping[Index, Tensor], rounds: int = ROUNDS) -> Solver:
        """Return the solver for any linear operator, of one right side (F_1, .., F_d) at a time.

        Newton's iteration corrects what one round of GMRES leaves.
        """
        at_free = {i: self._at_free(c.expand(self.points.shape[:-1])) for i, c in coefficients.items()}
        size = int(np.prod([len(c.free) for c in self.constraints]))
        if size <= DENSE:
            return self._dense_solver(at_free)
        if self._precondition is None:  # later steps of Newton's iteration have nearly the same operator
            means = {i: c.mean() for i, c in at_free.items() if sum(map(bool, i)) <= 1}
            self._precondition = self._separable_solver(means)
        precondition = self._precondition

        def apply(free: Tensor) -> Tensor:
            values = self._extend(free)
            return torch.stack([c * self._at_free(self.derivative(values, i)) for i, c in at_free.items()]).sum(0)

        def solve(right: Tensor) -> Tensor:
            shape, norm = right.shape, float(torch.linalg.vector_norm(right))
            preconditioned = LinearOperator(
                (size, size), lambda y: apply(precondition(torch.from_numpy(y).reshape(shape))).flatten().numpy()
            )
            solution, residual, previous = torch.zeros_like(right), right, norm
            for _ in range(rounds):
                if previous <= GMRES_TOLERANCE * norm:
                    break
                flat = residual.flatten().numpy()
                y, _ = gmres(preconditioned, flat, rtol=GMRES_ROUND, restart=GMRES_STEPS, maxiter=1)
                candidate = solution + precondition(torch.from_numpy(y).reshape(shape))
                remaining = right - apply(candidate)
                size_of_it = float(torch.linalg.vector_norm(remaining))
                if size_of_it >= previous:
                    break
                solution, residual, previous = candidate, remaining, size_of_it
            if previous > GMRES_FAILURE * norm:
                raise NotConvergedError(
                    f"GMRES for {self.operator.name} left {previous / norm:.2g} of the residual: its coefficients vary "
                    "too much for the separable preconditioner; take fewer points"
                )
            return solution

        return solve

    def _dense_solver(self, at_free: Mapping[Index, Tensor]) -> Solver:
        matrix = torch.zeros((), dtype=torch.float64)
        for index, coefficient in at_free.items():
            product = torch.ones(1, 1, dtype=torch.float64)
            for j, order in enumerate(index):
                product = torch.kron(product, self._reduced(j, order))
            matrix = matrix + coefficient.flatten()[:, None] * product
        factors = torch.linalg.lu_factor(matrix)
        return lambda right: torch.linalg.lu_solve(*factors, right.flatten()[:, None]).reshape(right.shape)
