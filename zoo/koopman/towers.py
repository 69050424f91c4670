"""Towers of algorithms: nested limits, evaluated stage by stage, and what may be concluded from them.

Spectra of Koopman operators are limits of limits: Gamma = lim_(n_k) ... lim_(n_1) Gamma_(n_k ... n_1), in this order
(Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312: SCI hierarchy). Letting all parameters grow together is another
path, whose values may settle down at something else. A study keeps all stages, tells how each limit settles, and
refuses to call a diagonal path converged, unless a modulus of continuity of the system is declared that turns the limit
of snapshots into a computable error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from zoo.checks import require

Approach = Literal["inside", "outside", "neither", "both"]

NESTING = 1e-9
"""Distance up to which one set counts as contained in another."""


@dataclass(frozen=True)
class Stage:
    """One value of the innermost algorithm.

    Attributes:
        points: the set Gamma, (k,) complex128.
        error: its certified error E; NaN if there is none.
    """

    points: Tensor
    error: float = float("nan")


@dataclass(frozen=True)
class Verdict:
    """What a study says about convergence.

    Attributes:
        converged: whether the last change of every limit is below the tolerance.
        changes: by name of the limit, the distances between its successive values, inner limits taken at their ends.
        reason: in words.
    """

    converged: bool
    changes: dict[str, list[float]]
    reason: str


@dataclass
class TowerStudy:
    """A nested grid of stages.

    Attributes:
        limits: names and lists of values, innermost limit first, as [("M", [..]), ("N", [..]), ("eps", [..])].
        modulus: a modulus of continuity of the system is known.
        snapshots: name of the limit of snapshots, which a modulus removes.
        stages: all stages by their values, in the order of the limits.
    """

    limits: list[tuple[str, list[float]]]
    modulus: bool = False
    snapshots: str = "M"
    stages: dict[tuple[float, ...], Stage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a study without limits, or a limit without values.

        Raises:
            ValueError: see there.
        """
        names = [name for name, _ in self.limits]
        require(len(names) > 0 and len(set(names)) == len(names), "limits", names, "distinct names, innermost first")
        for name, values in self.limits:
            require(len(values) > 0 and len(set(values)) == len(values), name, values, "distinct values")

    def run(self, algorithm: Callable[..., Stage | Tensor]) -> TowerStudy:
        """Evaluate all stages that are not there yet, the innermost limit running fastest.

        Args:
            algorithm: called with the limits' names as keywords; returns a `Stage` or a set of points.
        """
        names = [name for name, _ in self.limits]
        for outer_first in itertools.product(*(values for _, values in reversed(self.limits))):
            key = tuple(reversed(outer_first))
            if key not in self.stages:
                found = algorithm(**dict(zip(names, key, strict=True)))
                self.stages[key] = found if isinstance(found, Stage) else Stage(found.to(torch.complex128))
        return self

    def changes(self, name: str, outer: dict[str, float] | None = None) -> list[float]:
        """Return Hausdorff distances between successive values of one limit.

        Args:
            name: of the limit.
            outer: values of limits further out; their last ones if None. Limits further in are at their last values.
        """
        sets = [stage.points for stage in self._line(name, outer)]
        return [hausdorff(one, other) for one, other in itertools.pairwise(sets)]

    def approach(self, name: str, outer: dict[str, float] | None = None) -> Approach:
        """Tell whether the sets along one limit grow ("inside", of type Sigma) or shrink ("outside", of type Pi)."""
        sets = [stage.points for stage in self._line(name, outer)]
        pairs = list(itertools.pairwise(sets))
        growing = all(excess(one, other) <= NESTING for one, other in pairs)
        shrinking = all(excess(other, one) <= NESTING for one, other in pairs)
        answers: dict[tuple[bool, bool], Approach] = {
            (True, True): "both",
            (True, False): "inside",
            (False, True): "outside",
            (False, False): "neither",
        }
        return answers[growing, shrinking]

    def errors(self, name: str, outer: dict[str, float] | None = None) -> list[float]:
        """Return the certified errors E along one limit."""
        return [stage.error for stage in self._line(name, outer)]

    def verdict(self, tolerance: float) -> Verdict:
        """Say whether the nested limits have settled: inner ones at all values of the outer ones, then the outer ones.

        Settled is not proven: a set of finitely many stages proves no limit, which the reason says too.
        """
        changes = {name: self.changes(name) for name, _ in self.limits}
        for position, (name, values) in enumerate(self.limits):
            if len(values) < 2:
                return Verdict(False, changes, f"{name} has one value: nothing is known about its limit")
            outer = self.limits[position + 1 :]
            for setting in itertools.product(*(further for _, further in outer)):
                given = dict(zip((further for further, _ in outer), setting, strict=True))
                last = self.changes(name, given)[-1]
                if not last <= tolerance:
                    where = "".join(f", {key}={value}" for key, value in given.items())
                    return Verdict(False, changes, f"the limit of {name} still changes by {last:.3g}{where}")
        order = ", then ".join(name for name, _ in self.limits)
        return Verdict(
            True, changes, f"settled within {tolerance} in the order {order}; finitely many stages prove none"
        )

    def path_verdict(self, path: list[dict[str, float]], tolerance: float) -> Verdict:
        """Say whether the stages along a path have settled.

        Args:
            path: stages by their values. Where two or more limits change in one step, the path is diagonal.
            tolerance: of the last change.

        Raises:
            ValueError: the path is diagonal, and no modulus makes up for it; or a stage is not part of the study.
        """
        require(len(path) >= 2, "path", path, "at least two stages")
        names = [name for name, _ in self.limits]
        free = {self.snapshots} if self.modulus else set()
        for one, other in itertools.pairwise(path):
            moved = [name for name in names if one[name] != other[name] and name not in free]
            together = [name for name in names if one[name] != other[name]]
            if len(moved) > 1 or (len(together) > 1 and not self.modulus):
                raise ValueError(
                    f"path={path!r} is not allowed: {' and '.join(together)} change together, and values along a "
                    "diagonal path prove nothing about the nested limits; vary one limit at a time (`run`, `verdict`), "
                    "or declare modulus=True if a modulus of continuity of the system is known"
                )
        keys = [tuple(stage[name] for name in names) for stage in path]
        for key in keys:
            require(key in self.stages, "path", key, "stages of the study")
        sets = [self.stages[key].points for key in keys]
        changes = [hausdorff(one, other) for one, other in itertools.pairwise(sets)]
        return Verdict(
            changes[-1] <= tolerance, {"path": changes}, f"the last step of the path changes by {changes[-1]:.3g}"
        )

    def _line(self, name: str, outer: dict[str, float] | None) -> list[Stage]:
        names = [limit for limit, _ in self.limits]
        require(name in names, "name", name, f"one of {', '.join(names)}")
        last = {limit: values[-1] for limit, values in self.limits} | (outer or {})
        keys = [tuple((last | {name: value})[limit] for limit in names) for value in dict(self.limits)[name]]
        require(all(key in self.stages for key in keys), "outer", outer, "values of stages that were run")
        return [self.stages[key] for key in keys]


def excess(points: Tensor, others: Tensor) -> float:
    """Return the largest distance of a point of one set from the other: 0 iff contained, infinite from an empty set."""
    if len(points) == 0:
        return 0.0
    if len(others) == 0:
        return float("inf")
    parts = [(part[:, None] - others).abs().amin(dim=1).max() for part in points.split(1024)]
    return float(torch.stack(parts).max())


def hausdorff(points: Tensor, others: Tensor) -> float:
    """Return the Hausdorff distance of two finite sets of complex numbers, (k,) and (m,)."""
    return max(excess(points, others), excess(others, points))
