"""EDMD with a dictionary, and its measure-preserving and stochastic forms, as sums over the data."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any, ClassVar, Literal, get_args

import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.checks import require, require_choice
from zoo.koopman import edmd
from zoo.koopman.certificate import Assumption
from zoo.koopman.closed_eigenpairs import STATISTICS
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.edmd import Eigenpairs
from zoo.koopman.factors import Factors
from zoo.koopman.figures import measure_figure
from zoo.koopman.gram import triangle_of_rows
from zoo.koopman.learner import KoopmanLearner
from zoo.koopman.mpedmd import MeasurePreserving, PolarFactorWarning, mpedmd
from zoo.koopman.named_dictionaries import BUILDERS, build_dictionary
from zoo.koopman.rigged import smoothed_measure
from zoo.koopman.stochastic import StochasticStatistics, stochastic_residuals
from zoo.statistics_module import StatisticsModule

RESOLVED = 20.0
"""Smoothing of a spectral measure, in units of the mean distance of eigenvalues: below it atoms show."""

MEASURES = 3
"""Coordinates whose spectral measures are drawn."""

Variant = Literal["edmd", "measure_preserving", "stochastic"]
Precision = Literal["float64", "float32"]


class EDMD(KoopmanLearner, StatisticsModule):
    """Extended dynamic mode decomposition: one pass over the data, exact on any number of processes.

    Williams, Kevrekidis and Rowley, 2015; its measure-preserving form by Colbrook, 2023, arXiv 2209.02244; the
    stochastic one by Colbrook, Li, Raut and Townsend, 2023. Without a trainer it is used like estimators of
    scikit-learn.

    Args:
        dictionary: name of a dictionary, see `zoo.koopman.named_dictionaries`.
        dictionary_kwargs: its arguments but for the number of coordinates.
        variant: "edmd"; "measure_preserving" for systems that preserve the measure of the data (the nearest unitary
            matrix); or "stochastic" for data with two independent successors of every state, whose residuals include
            the variance.
        target_names: names of the coordinates of a state; None takes those of the data.
        statistic: "tsqr" keeps a triangular factor, with residuals down to 1e-15; "gram" a Gram matrix, three times
            faster, with residuals down to 1e-8.
        precision: of the features, "float64" or "float32"; sums are in float64 always.
        rank_tolerance: combinations of functions with a relative singular value below it are dropped ("tsqr" only);
            raise it for noisy data.
        delays: consecutive snapshots that make up a state, the oldest first; with a datamodule, its `delays`.
        dt: time between the states of a pair; None takes that of the data.
        horizon: lags that `predict_step` forecasts.
        shards: stretches of held-out data that the intervals of a certificate come from.
        assumption: what is known of the system, see `zoo.koopman.certificate.certify`.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: the dictionary takes no such argument.

    Example:
        >>> import torch
        >>> from zoo.koopman import EDMD
        >>> x = torch.linspace(-1, 1, 50)
        >>> learner = EDMD("monomials", {"degree": 3}).fit(x, 0.5 * x)
        >>> learner.eigenvalues_.real.round(decimals=6).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """

    monitor: ClassVar[str] = "val/error"

    def __init__(
        self,
        dictionary: str = "monomials",
        dictionary_kwargs: dict[str, Any] | None = None,
        variant: Variant = "edmd",
        target_names: list[str] | None = None,
        statistic: Literal["tsqr", "gram"] = "tsqr",
        precision: Precision = "float64",
        rank_tolerance: float = 1e-12,
        delays: int = 1,
        dt: float | None = None,
        horizon: int = 1,
        shards: int = 8,
        assumption: Assumption = "continuous",
    ) -> None:
        require_choice("variant", variant, get_args(Variant))
        require_choice("statistic", statistic, STATISTICS)
        require_choice("precision", precision, get_args(Precision))
        require(0 < rank_tolerance < 1, "rank_tolerance", rank_tolerance, "a number between 0 and 1")
        require_choice("dictionary", dictionary, BUILDERS)
        self._wrapped: tuple[Dictionary, ...] = ()  # no part of the state beside `dictionary`
        super().__init__()

    @classmethod
    def wrap(cls, dictionary: Dictionary, **arguments: Any) -> EDMD:
        """Return a learner with a dictionary of the user's own, for use from Python.

        It trains, tests and predicts like any other, but cannot be exported as a checkpoint, which rebuilds its
        dictionary by name.

        Args:
            dictionary: a `zoo.koopman.dictionaries.Dictionary`; `ModuleDictionary` makes one of any `nn.Module`. It is
                copied, in the precision of the features.
            **arguments: those of the class but `dictionary` and `dictionary_kwargs`.
        """
        target_names = arguments.pop("target_names", None)
        learner = cls(**arguments)
        learner._wrapped = (copy.deepcopy(dictionary).to(learner.feature_dtype).requires_grad_(False),)
        learner.not_exportable_because = "EDMD.wrap holds a dictionary that cannot be rebuilt by name"
        if target_names is not None:
            learner.build(target_names)
        return learner

    @property
    def statistic_name(self) -> str:
        """Which statistic is summed."""
        return self.hparams["statistic"]

    @property
    def successors(self) -> int:
        """Number of successors of every state."""
        return 2 if self.hparams["variant"] == "stochastic" else 1

    @property
    def feature_dtype(self) -> torch.dtype:
        """The precision of the features."""
        return getattr(torch, self.hparams["precision"])

    @property
    def rank_tolerance(self) -> float:
        """Relative singular value below which functions are dropped."""
        return self.hparams["rank_tolerance"]

    def make_dictionary(self, dim: int) -> Dictionary:
        """Return the dictionary of states with `dim` coordinates.

        Raises:
            ValueError: a wrapped dictionary is of other states.
        """
        if not self._wrapped:
            return build_dictionary(self.hparams["dictionary"], dim, **(self.hparams["dictionary_kwargs"] or {}))
        (own,) = self._wrapped
        require(own.dim == dim, "dictionary.dim", own.dim, f"{dim}, the coordinates of a state")
        return own

    def features(self, x: Tensor) -> Tensor:
        """Return the dictionary at states (M, dim): (M, N), real or complex."""
        return self.dictionary(x.to(self.feature_dtype))

    def eigenpairs(self, factors: Factors) -> Eigenpairs:
        """Return the eigenpairs of the variant."""
        if self.hparams["variant"] != "measure_preserving":
            return edmd.edmd(factors)
        unitary = mpedmd(factors)
        left = factors.coordinates.mH.to(torch.complex128) @ unitary.schur_vectors
        return Eigenpairs(unitary.eigenvalues, unitary.right, left, unitary.matrix)

    def unitary(self) -> MeasurePreserving:
        """Return the unitary matrix of the "measure_preserving" variant, with spectral measures of any observable.

        Raises:
            ValueError: the learner is of another variant.
            RuntimeError: it has not been fitted.
        """
        variant = self.hparams["variant"]
        require(variant == "measure_preserving", "variant", variant, "'measure_preserving' for spectral measures")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PolarFactorWarning)  # said when it was fitted
            return mpedmd(self.factors)

    def figures(self) -> dict[str, Figure]:
        """Return the figures of every learner, and of measure-preserving ones the spectral measures of the state."""
        figures = super().figures()
        if figures and self.hparams["variant"] == "measure_preserving":
            unitary, coefficients = self.unitary(), self._restored("coefficients")
            angles = torch.linspace(-math.pi, math.pi, 1001, dtype=torch.float64, device=coefficients.device)
            smoothing = min(0.5, RESOLVED / len(unitary.eigenvalues))
            for name, column in zip(self.target_names[:MEASURES], coefficients.mT, strict=False):
                densities = {
                    f"order {order}, smoothed over {smoothing:.2g}": smoothed_measure(
                        unitary, column, angles, smoothing, order
                    ).cpu()
                    for order in (1, 4)
                }
                positions, masses = unitary.measure(column)
                atoms = positions.cpu(), masses.cpu()
                figures[f"measure_{name.partition('[')[0]}"] = measure_figure(angles.cpu(), densities, atoms=atoms)
        return figures

    def further_columns(self, shards: list[Tensor]) -> dict[str, Tensor]:
        """Return, of a stochastic system, the residual of the expectation, and the standard error of its square."""
        if self.successors == 1:
            return {}
        found = stochastic_residuals(
            [self._sums(shard.mH @ shard) for shard in shards], self.eigenvalues_.cpu(), self.eigenvectors_.cpu()
        )
        return {"expectation": found.residual, "noise_of_square": found.noise}

    def _sums(self, gram: Tensor) -> StochasticStatistics:
        """Return the sums of a stochastic system from the Gram matrix of [psi(x), psi(y1), psi(y2)]."""
        size = self.num_features
        rows = [part.split(size, dim=1) for part in gram.split(size, dim=0)]
        product = rows[1][2]
        return StochasticStatistics(
            gram=rows[0][0],
            cross=(rows[0][1] + rows[0][2]) / 2,
            shifted=(rows[1][1] + rows[2][2]) / 2,
            product=(product + product.mH) / 2,
        )

    def two_blocks(self, statistic: Tensor, triangular: bool) -> Tensor:
        """See `ClosedEigenpairs.two_blocks`; of a stochastic system the leak holds the variance."""
        if self.successors == 1:
            return statistic
        if not triangular:
            return self._sums(statistic).variance_matrix
        # Each successor with half of the weight: the leak then holds the variance, without squaring.
        x, first, second = statistic.split(self.num_features, dim=1)
        return triangle_of_rows(torch.cat([torch.cat([x, y], dim=1) for y in (first, second)]) * 0.5**0.5)
