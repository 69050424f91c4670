"""Certificates: what data of their own say about eigenpairs, whichever learner they came from.

A certificate needs statistics only: triangular factors of the rows sqrt(w) [psi(x), psi(y)] of data that the learner
has not seen, in shards. The squared residual of a pair is a ratio of two sums over snapshots, hence leaving out one
shard after the other (jackknife) gives an interval for the sampling error. Shards of trajectories must be stretches of
time, long against correlations.

What remains even so is a matter of the class of systems (Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312): no
algorithm can take fewer limits than `REMAINING` says, whatever its data.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import scipy.stats
import torch
from torch import Tensor

from zoo.checks import require, require_choice
from zoo.koopman.factors import Arithmetic, factorize
from zoo.koopman.gram import merge_triangles, root_weights, triangle_of_gram
from zoo.koopman.residuals import pair_residuals

Assumption = Literal["continuous", "measure_preserving", "modulus", "modulus_measure_preserving"]
Origin = Literal["held_out", "training"]

REMAINING: dict[Assumption, dict[str, tuple[str, ...]]] = {
    "continuous": {"residual": ("M",), "pseudospectrum": ("M", "N"), "spectrum": ("M", "N", "epsilon")},
    "measure_preserving": {"residual": ("M",), "pseudospectrum": ("M", "N"), "spectrum": ("M", "N")},
    "modulus": {"residual": (), "pseudospectrum": ("N",), "spectrum": ("N", "epsilon")},
    "modulus_measure_preserving": {"residual": (), "pseudospectrum": ("N",), "spectrum": ("N",)},
}
"""Limits that remain, innermost first, by what is known of the system and what is claimed: M snapshots, N functions."""


class TrainingDataWarning(UserWarning):
    """Residuals were computed on the data that the pairs were fitted to, and are too small."""


@dataclass(frozen=True)
class Certificate:
    """Residuals of k eigenpairs on data, (k,) float64 each unless said otherwise.

    Attributes:
        eigenvalues: (k,) complex128.
        residual: ||(K - lambda) g|| / ||g|| on the data.
        projected: its part inside the span of the dictionary.
        leak: its part outside: residual^2 = projected^2 + leak^2.
        lower: lower end of the interval of the residual; NaN without shards or on training data.
        upper: upper end.
        level: probability that an interval covers the residual of infinitely much data, for many shards.
        shards: number of shards of the jackknife.
        arithmetic: "triangular" (residuals down to 1e-15) or "gram" (down to 1e-8).
        clamped: how far below zero rounding had driven what must not be negative; 0 if "triangular".
        origin: whether the data were "held_out".
        assumption: what is known of the system.
        remaining: limits that remain for each claim, innermost first.
        condition: of the dictionary on the data.
        rank: dimension of its span on the data.
        size: number of functions.
        trustworthy: whether the precision of the features suffices for the condition.
    """

    eigenvalues: Tensor
    residual: Tensor
    projected: Tensor
    leak: Tensor
    lower: Tensor
    upper: Tensor
    level: float
    shards: int
    arithmetic: Arithmetic
    clamped: float
    origin: Origin
    assumption: Assumption
    remaining: dict[str, tuple[str, ...]]
    condition: float
    rank: int
    size: int
    trustworthy: bool

    def rows(self, half: bool = False, further: dict[str, Tensor] | None = None) -> list[dict[str, float | str]]:
        """Return one row for each pair, by ascending residual, equal ones by descending modulus, for tables.

        Args:
            half: leave out eigenvalues below the real axis: those of real dictionaries come in conjugate pairs.
            further: more columns, (k,) each.
        """
        named = {name: getattr(self, name) for name in ("residual", "lower", "upper", "projected", "leak")}
        columns = {"real": self.eigenvalues.real, "imag": self.eigenvalues.imag, **named, **(further or {})}
        described = {"data": self.origin, "arithmetic": self.arithmetic, "assumption": self.assumption}
        # Residuals at the level of rounding are equal.
        order = sorted(
            (index for index, value in enumerate(self.eigenvalues.tolist()) if not half or value.imag >= 0),
            key=lambda index: (round(float(self.residual[index]), 9), -round(float(self.eigenvalues[index].abs()), 9)),
        )
        return [{**{name: float(column[index]) for name, column in columns.items()}, **described} for index in order]

    def summary(self) -> dict[str, float]:
        """Return one number for each thing that is said of all pairs together."""
        return {
            "median_residual": float(self.residual.median()),
            "largest_residual": float(self.residual.max()),
            "mean_leak": float(self.leak.mean()),
            "condition": self.condition,
        }


def certify(
    shards: list[Tensor],
    eigenvalues: Tensor,
    coefficients: Tensor,
    *,
    origin: Origin,
    training: Tensor | None = None,
    arithmetic: Arithmetic = "triangular",
    assumption: Assumption = "continuous",
    level: float = 0.95,
    feature_dtype: torch.dtype = torch.float64,
) -> Certificate:
    """Return the certificate of eigenpairs from statistics of data.

    Args:
        shards: one factor R (k, 2N), or one Gram matrix H (2N, 2N) if `arithmetic` is "gram", for each shard.
        eigenvalues: (k,).
        coefficients: of the eigenfunctions in the dictionary, (N, k).
        origin: "held_out" data, or the "training" data themselves: then a warning is issued, and no interval is given.
        training: the same statistic of the training data, if at hand: data that equal it are refused as held-out.
        arithmetic: what the shards are.
        assumption: what is known of the system: nothing but that it is "continuous"; that it is "measure_preserving";
            that a "modulus" of continuity is known, hence quadrature errors are; or both.
        level: of the intervals.
        feature_dtype: precision that the dictionary was computed in.

    Raises:
        ValueError: "held_out" data are the training data, or an argument is not allowed.
    """
    require(len(shards) > 0, "shards", shards, "at least one statistic")
    require_choice("origin", origin, get_args(Origin))
    require_choice("assumption", assumption, get_args(Assumption))
    require(0 < level < 1, "level", level, "a number between 0 and 1")
    require_choice("arithmetic", arithmetic, get_args(Arithmetic))
    clamped, triangles, tolerance = 0.0, shards, {}
    if arithmetic == "gram":
        pairs = [triangle_of_gram(shard) for shard in shards]
        triangles, clamped = [triangle for triangle, _ in pairs], max(below for _, below in pairs)
        tolerance = {"tolerance": float((shards[0].shape[1] * torch.finfo(torch.float64).eps) ** 0.5)}
    merged = merge_triangles(triangles)
    if origin == "held_out" and training is not None and _same(merged, training, arithmetic):
        raise ValueError(
            "origin='held_out' is not allowed: these statistics are those of the training data; give statistics of "
            "other data, or say origin='training'"
        )
    factors = factorize(merged, arithmetic=arithmetic, clamped=clamped, **tolerance)
    found = pair_residuals(factors, eigenvalues, coefficients)
    lower = upper = torch.full_like(found.residual, torch.nan)
    if origin == "training":
        warnings.warn(
            "these residuals were computed on the training data and are too small: certify on other data",
            TrainingDataWarning,
            stacklevel=2,
        )
    elif len(shards) > 1:
        lower, upper = _interval(triangles, eigenvalues, coefficients, level)
        # Where all is rounding, so is the difference between the whole and its shards.
        lower, upper = torch.minimum(lower, found.residual), torch.maximum(upper, found.residual)
    return Certificate(
        eigenvalues=eigenvalues.to(torch.complex128),
        residual=found.residual,
        projected=found.projected,
        leak=found.leak,
        lower=lower,
        upper=upper,
        level=level,
        shards=len(shards),
        arithmetic=arithmetic,
        clamped=clamped,
        origin=origin,
        assumption=assumption,
        remaining=REMAINING[assumption],
        condition=factors.condition,
        rank=factors.rank,
        size=factors.size,
        trustworthy=not factors.distrusts(feature_dtype),
    )


def _same(merged: Tensor, training: Tensor, arithmetic: Arithmetic) -> bool:
    """Tell whether two statistics come from the same rows, also if weighted by another constant."""
    theirs = training if arithmetic == "gram" else training.mH @ training
    grams = [gram / gram.diagonal().sum() for gram in (merged.mH @ merged, theirs)]
    return bool(torch.linalg.matrix_norm(grams[0] - grams[1]) <= 1e-10)


def _interval(
    triangles: list[Tensor], eigenvalues: Tensor, coefficients: Tensor, level: float
) -> tuple[Tensor, Tensor]:
    """Return the ends of the jackknife interval of residuals, (k,) each."""
    eigenvalues, coefficients = eigenvalues.to(torch.complex128), coefficients.to(torch.complex128)
    size = len(coefficients)
    numerators, denominators = [], []
    for triangle in triangles:
        here, there = (part.to(torch.complex128) @ coefficients for part in triangle.split(size, dim=1))
        numerators.append(torch.linalg.vector_norm(there - eigenvalues * here, dim=0) ** 2)
        denominators.append(torch.linalg.vector_norm(here, dim=0) ** 2)
    above, below = torch.stack(numerators), torch.stack(denominators)
    count = len(triangles)
    whole = above.sum(dim=0) / below.sum(dim=0)
    left_out = (above.sum(dim=0) - above) / (below.sum(dim=0) - below)
    error = ((count - 1) / count * ((left_out - left_out.mean(dim=0)) ** 2).sum(dim=0)).sqrt()
    # A ratio of sums is biased by O(1 / count); the jackknife's estimate of the bias is part of the interval's centre.
    center = count * whole - (count - 1) * left_out.mean(dim=0)
    width = float(scipy.stats.t.ppf((1 + level) / 2, count - 1)) * error
    lower, upper = ((center + sign * width).clamp(min=0).sqrt() for sign in (-1, 1))
    return torch.minimum(lower, whole.sqrt()), torch.maximum(upper, whole.sqrt())


def standard_errors(
    psi_x: Tensor, psi_y: Tensor, eigenvalues: Tensor, coefficients: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the standard errors of squared residuals from independent snapshots at hand, (k,), by the central limit.

    With a_m and b_m the terms of numerator and denominator, the error of a ratio of sums is
    sqrt(sum w_m^2 (a_m - res^2 b_m)^2) / sum w_m b_m.
    """
    root = root_weights(psi_x, weights)
    coefficients = coefficients.to(torch.complex128)
    here, there = ((root * psi).to(torch.complex128) @ coefficients for psi in (psi_x, psi_y))
    above, below = (there - eigenvalues.to(torch.complex128) * here).abs() ** 2, here.abs() ** 2
    squares = above.sum(dim=0) / below.sum(dim=0)
    return ((above - squares * below) ** 2).sum(dim=0).sqrt() / below.sum(dim=0)
