"""Kernels, unknown coefficients and noise by the evidence: type-II maximum likelihood.

    log evidence = -1/2 y^T (s^2 G + R)^-1 y - 1/2 log det (s^2 G + R) - n/2 log 2 pi

of all data at once, the equation's and the conditions'. Without noise the amplitude is in closed form,
s^2 = y^T G^-1 y / n. Weights, length scales and frequencies are searched in the log domain of weights and scales, in
which excess components are pruned; an unknown coefficient of the operator is one more scalar.

Source: Raissi, Perdikaris and Karniadakis, 2017, arXiv 1701.02440; the published objective instead maximises a joint
density over the grid values too (`zoo.gppde.joint_map`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.gppde.conditioning import stacked_values
from zoo.gppde.functionals import Covariances, Rows
from zoo.gppde.gaussian import NotPositiveDefiniteError, logdet_and_solve
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.operators import Unknown

RowsOf = Callable[[dict[str, Tensor]], Sequence[Rows]]

NUGGET = 1e-10  # while searching, where gradients are wanted from every kernel on the way
HESSIAN_STEP = 1e-4
NEGLIGIBLE = 1e-3  # weight of a component, relative to the heaviest

Train = Literal["all", "weights", "nothing"]


@dataclass(frozen=True)
class Fitted:
    """What maximises the evidence.

    Attributes:
        kernels: with amplitude in their weights, one for each coordinate.
        coefficients: of the operator that were unknown, by name.
        deviations: their standard errors, from the curvature of the log evidence at its maximum, by name.
        noise: standard deviation of each group of rows.
        frequency_deviations: standard errors of the frequencies, (Q,) for each coordinate; NaN where the evidence has
            no maximum in a frequency, as in those of components without weight.
        log_evidence: at the maximum.
        steps: of the search.
    """

    kernels: list[SpectralMixture]
    coefficients: dict[str, float]
    deviations: dict[str, float]
    noise: tuple[float, ...]
    frequency_deviations: list[Tensor]
    log_evidence: float
    steps: int


class Evidence:
    """The negative log evidence as a function of all that is searched.

    Args:
        kernels: where the search starts, one for each coordinate.
        rows_of: the data, given the unknown coefficients by name.
        unknowns: of the operator.
        train: what of the kernels is searched: "all", "weights" or "nothing" but the amplitude.

    Raises:
        ValueError: `train` is unknown.
    """

    def __init__(
        self,
        kernels: Sequence[SpectralMixture],
        rows_of: RowsOf,
        unknowns: Sequence[Unknown] = (),
        train: Train = "all",
    ) -> None:
        require_choice("train", train, get_args(Train))
        self.kernels, self.rows_of, self.unknowns, self.train = list(kernels), rows_of, list(unknowns), train
        self.covariances = Covariances()
        rows = rows_of({u.name: torch.tensor(u.start, dtype=torch.float64) for u in self.unknowns})
        self.labels = [group.label for group in rows]
        self.unknown_noise = [number for number, group in enumerate(rows) if group.noise is None]
        spread = [float(group.values.square().mean().sqrt()) or 1.0 for group in rows]
        self.noiseless = all(group.noise == 0 for group in rows)
        start = [torch.zeros(1, dtype=torch.float64)]
        start += [torch.full((1,), u.start, dtype=torch.float64) for u in self.unknowns]
        start += [torch.full((1,), math.log(0.1 * spread[g]), dtype=torch.float64) for g in self.unknown_noise]
        for kernel in self.kernels if train != "nothing" else []:
            start.append(kernel.log_weight)
            if train == "all":
                start += [kernel.log_scale, *([kernel.frequency] if kernel.oscillates else [])]
        self.sizes = [part.numel() for part in start]
        self.start = torch.cat(start)
        self.group_of_row = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(group) for group in rows]))
        # Search directions in units of each parameter's own size.
        self.units = torch.ones_like(self.start)
        for place, unknown in enumerate(self.unknowns, start=1):
            self.units[place] = abs(unknown.start) or 1.0

    def read(self, parameters: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[int, Tensor], list[SpectralMixture]]:
        """Return log s^2, the coefficients by name, the log noise by group, and the kernels without amplitude."""
        parts = iter(parameters.split(self.sizes))
        log_amplitude = next(parts)[0]
        coefficients = {unknown.name: next(parts)[0] for unknown in self.unknowns}
        noise = {group: next(parts)[0] for group in self.unknown_noise}
        kernels = []
        for kernel in self.kernels:
            weight = next(parts) if self.train != "nothing" else kernel.log_weight
            scale = next(parts) if self.train == "all" else kernel.log_scale
            frequency = next(parts) if self.train == "all" and kernel.oscillates else kernel.frequency
            kernels.append(SpectralMixture(kernel.kind, weight, scale, frequency))
        return log_amplitude, coefficients, noise, kernels

    def __call__(self, parameters: Tensor) -> Tensor:
        """Return -log evidence, differentiable in the parameters."""
        log_amplitude, coefficients, log_noise, kernels = self.read(parameters)
        rows = self.rows_of(coefficients)
        gram = self.covariances.gram(kernels, rows)
        scale = gram.diagonal().sqrt()
        values = stacked_values(rows)
        instances = values.reshape(-1, values.size(-1))
        n, right = values.size(-1), (instances / scale).mT
        correlation = gram / scale / scale[:, None] + NUGGET * torch.eye(n, dtype=torch.float64)
        if not self.noiseless:
            given = torch.tensor([group.noise or 0.0 for group in rows], dtype=torch.float64)
            variances = torch.stack(
                [(2 * log_noise[g]).exp() if g in log_noise else given[g].square() for g in range(len(rows))]
            )
            ratio = variances[self.group_of_row] / scale.square() / log_amplitude.exp()
            correlation = correlation + torch.diag(ratio)
        logdet, solution = logdet_and_solve(correlation, right)
        square = (right * solution).sum(0)
        logdet = logdet + 2 * scale.log().sum()
        if self.noiseless:
            exponent = n * ((square / n).log() + 1 + math.log(2 * math.pi))
        else:
            exponent = square / log_amplitude.exp() + n * (log_amplitude + math.log(2 * math.pi))
        return (exponent.sum() + len(instances) * logdet) / 2

    def gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return -log evidence and its gradient; infinity where a covariance matrix has no factor."""
        parameters = parameters.detach().clone().requires_grad_()
        try:
            value = self(parameters)
        except NotPositiveDefiniteError:
            return float("inf"), torch.zeros_like(parameters)
        if not value.requires_grad:  # nothing is searched: the amplitude is in closed form
            return float(value), torch.zeros_like(parameters)
        (gradient,) = torch.autograd.grad(value, parameters)
        return float(value.detach()), gradient

    def hessian(self, parameters: Tensor, places: Sequence[int]) -> Tensor:
        """Return second derivatives of -log evidence by some parameters, by differences of gradients."""
        columns = []
        for place in places:
            step = torch.zeros_like(parameters)
            step[place] = HESSIAN_STEP * self.units[place]
            above, below = self.gradient(parameters + step)[1], self.gradient(parameters - step)[1]
            columns.append((above - below)[list(places)] / (2 * step[place]))
        hessian = torch.stack(columns, dim=1) if columns else torch.zeros(0, 0, dtype=torch.float64)
        return (hessian + hessian.mT) / 2


def maximise_evidence(evidence: Evidence, max_steps: int = 100, credible_widths: bool = False) -> Fitted:
    """Search by L-BFGS for what maximises the evidence.

    Args:
        evidence: what is searched.
        max_steps: the most steps, > 0.
        credible_widths: whether standard errors of the frequencies are computed, two evaluations for each.

    Raises:
        ValueError: the start has no evidence: its covariance matrix has no factor.
    """
    require_positive(max_steps=max_steps)
    units = evidence.units.numpy()

    def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evidence.gradient(torch.from_numpy(scaled * units))
        # A finite wall: the line search turns around where there is no factor.
        return (value, gradient.numpy() * units) if math.isfinite(value) else (1e15, np.zeros_like(scaled))

    first = objective(evidence.start.numpy() / units)[0]
    require(first < 1e15, "kernels", evidence.kernels, "kernels whose covariance matrix can be factorised")
    if not evidence.noiseless:
        evidence.start[0] = _first_amplitude(evidence)
    result = minimize(
        objective, evidence.start.numpy() / units, jac=True, method="L-BFGS-B", options={"maxiter": max_steps}
    )
    best = torch.from_numpy(result.x * units)
    log_amplitude, coefficients, log_noise, kernels = evidence.read(best)
    rows = evidence.rows_of(coefficients)
    noise = tuple(float(log_noise[g].exp()) if g in log_noise else (group.noise or 0.0) for g, group in enumerate(rows))
    return Fitted(
        kernels=kernels if evidence.noiseless else [kernels[0].scaled(log_amplitude.exp()), *kernels[1:]],
        coefficients={name: float(value) for name, value in coefficients.items()},
        deviations=_coefficient_deviations(evidence, best),
        noise=noise,
        frequency_deviations=_frequency_deviations(evidence, best) if credible_widths else [],
        log_evidence=-float(result.fun),
        steps=int(result.nit),
    )


def _first_amplitude(evidence: Evidence) -> float:
    """Return the log amplitude of data without noise."""
    _, coefficients, _, kernels = evidence.read(evidence.start)
    rows = evidence.rows_of(coefficients)
    values = stacked_values(rows) / evidence.covariances.gram(kernels, rows).diagonal().sqrt()
    return math.log(float(values.square().mean()) or 1.0)


def _coefficient_deviations(evidence: Evidence, best: Tensor) -> dict[str, float]:
    """Return standard errors with the other searched scalars, amplitude and noise, free."""
    if not evidence.unknowns:
        return {}
    first = 1 if evidence.noiseless else 0
    places = list(range(first, 1 + len(evidence.unknowns) + len(evidence.unknown_noise)))
    covariance = torch.linalg.pinv(evidence.hessian(best, places), hermitian=True)
    return {
        unknown.name: float(covariance[place - first, place - first].clamp_min(0.0).sqrt())
        for place, unknown in enumerate(evidence.unknowns, start=1)
    }


def _frequency_deviations(evidence: Evidence, best: Tensor) -> list[Tensor]:
    """Return standard errors of the frequencies, each with all else fixed; NaN for components without weight."""
    if evidence.train != "all":
        return []
    place = 1 + len(evidence.unknowns) + len(evidence.unknown_noise)
    deviations = []
    for kernel in evidence.kernels:
        count = kernel.log_weight.numel()
        place += 2 * count
        if kernel.oscillates:
            log_weight = best[place - 2 * count : place - count]
            heavy = (log_weight - log_weight.max() > math.log(NEGLIGIBLE)).nonzero()[:, 0].tolist()
            curvature = torch.full((count,), torch.nan, dtype=torch.float64)
            for q in heavy:
                curvature[q] = evidence.hessian(best, [place + q])[0, 0]
            deviations.append(torch.where(curvature > 0, curvature, torch.nan).rsqrt())
            place += count
    return deviations
