"""Vector fields from labels at some points of a cloud: fit, predict, sample.

The published method is `VectorFieldGP.published()`. The defaults differ where it can be bettered without changing the
model: observations in the tangent planes, labels in units of their size, several starts of the search.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.rvgp.bases import FAMILIES, Family, FieldBasis, field_basis
from zoo.rvgp.inference import Moments, Posterior
from zoo.rvgp.kernels import KINDS, KNOTS, Kind, Normalization
from zoo.rvgp.labels import labelled_vectors
from zoo.rvgp.labels import points_without_labels as points_without_labels
from zoo.rvgp.optimization import Optimum, minimize, minimize_many
from zoo.spectral.connection import ConnectionLaplacian, connection_laplacian
from zoo.spectral.point_graph import Array, Indices, check_points

Observation = Literal["tangent", "ambient"]

LENGTHSCALES = (0.25, 0.5, 1.0, 2.0)
"""Of the Gaussian kernels that "ambient" chooses among, in units of the standard deviation of the points."""


@dataclass(frozen=True)
class Prediction:
    """Vectors in tangent coordinates.

    Attributes:
        mean: (m, d) float64.
        covariance: (m, d, d) float64, of the field itself: add the noise for that of an observation.
        frames: (m, D, d) float64: an ambient vector is frame @ mean.
    """

    mean: Tensor
    covariance: Tensor
    frames: Tensor


class VectorFieldGP:
    """A Gaussian process for vector fields on a manifold that is known from points.

    Args:
        n_eigenpairs: number of eigenfields k; even numbers on oriented surfaces. Of several numbers in a list, the one
            of the largest evidence is taken.
        kernel: "matern", "se" or "free", see `zoo.rvgp.kernels`.
        family: the eigenfields, see `zoo.rvgp.bases`; "auto" takes the family of the largest evidence.
        observation: "tangent" observes the d components in the tangent planes; "ambient" all D, as published, of which
            D - d are never anything but 0 for tangent fields and make the noise seem smaller.
        normalization: see `zoo.rvgp.kernels`.
        standardize: fit labels in units of their root mean square.
        restarts: number of starts of the search, >= 1; the first alone, (nu, kappa, sigma_f, noise) = (1.5, 5, 1, 1),
            is the published one.
        iterations: most iterations of the search.
        hyperparameters: all of them by name, in units of the standardised labels, instead of a search; for many fields
            at the hyper-parameters that were found for some.
        geometry: further arguments of `connection_laplacian`, such as `n_neighbors`.

    Attributes:
        geometry_: the connection Laplacian, after `fit`.
        basis_: the eigenfields.
        posterior_: of their coefficients.
        hyperparameters_: by name, in units of the standardised labels.
        scale_: the unit of the labels.
        evidences_: log evidence of each family and number of eigenfields tried, of the standardised labels, by the
            family's name and that number.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from zoo.rvgp.regressor import VectorFieldGP
        >>> angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> field = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
        >>> model = VectorFieldGP(n_eigenpairs=5, geometry={"dim": 1, "n_neighbors": 2})
        >>> _ = model.fit(circle, field, np.arange(0, 60, 4))
        >>> bool(np.abs(model.predict() - field).max() < 0.01)
        True
    """

    def __init__(
        self,
        n_eigenpairs: int | list[int] = 100,
        *,
        kernel: Kind = "matern",
        family: Family | Literal["auto"] = "connection",
        observation: Observation = "tangent",
        normalization: Normalization = "variance",
        standardize: bool = True,
        restarts: int = 6,
        iterations: int = 1000,
        hyperparameters: dict[str, float] | None = None,
        geometry: dict[str, Any] | None = None,
    ) -> None:
        sizes = n_eigenpairs if isinstance(n_eigenpairs, list) else [n_eigenpairs]
        require(len(sizes) > 0, "n_eigenpairs", n_eigenpairs, "a number, or a list of some")
        for size in sizes:
            require_positive(n_eigenpairs=size)
        require_positive(restarts=restarts, iterations=iterations)
        require_choice("kernel", kernel, KINDS)
        require_choice("family", family, (*FAMILIES, "auto"))
        require_choice("observation", observation, ("tangent", "ambient"))
        require_choice("normalization", normalization, ("variance", "reference"))
        if hyperparameters is not None:
            require(family != "auto", "family", family, "one family: hyper-parameters of several differ")
            names = (*KINDS["se" if family == "ambient" else kernel], "sigma_f", "noise")
            given = set(hyperparameters) == set(names) and all(value > 0 for value in hyperparameters.values())
            require(given, "hyperparameters", hyperparameters, f"numbers > 0 for {', '.join(names)}")
        self.hyperparameters = hyperparameters
        self.n_eigenpairs, self.sizes = max(sizes), sizes
        self.kernel, self.family = kernel, family
        self.observation, self.normalization = observation, normalization
        self.standardize, self.restarts, self.iterations = standardize, restarts, iterations
        self.geometry = dict(geometry or {})

    @classmethod
    def published(cls, n_eigenpairs: int = 100, epochs: int = 1000, n_neighbors: int = 10) -> Self:
        """Return the published method: graph, kernel, normalisation, observations and search.

        Tangent spaces come from 16 points for 10 neighbours, as published; of points that are equally many hops away
        it takes those that its heap yields first, here they are the nearest ones.
        """
        return cls(
            n_eigenpairs,
            observation="ambient",
            normalization="reference",
            standardize=False,
            restarts=1,
            iterations=epochs,
            geometry={"n_neighbors": n_neighbors},
        )

    def fit(
        self,
        points: Tensor | ArrayLike | ConnectionLaplacian,
        vectors: Tensor | ArrayLike,
        mask: Tensor | ArrayLike | None = None,
    ) -> Self:
        """Learn from the labelled points.

        Args:
            points: (n, D), labelled or not: all of them shape the surface. Or a `ConnectionLaplacian` of one's own.
            vectors: (n, D), or (T, n, D) for T fields with common hyper-parameters; rows of NaN are unlabelled.
            mask: (n,) of booleans, which points are labelled; or indices, where one that repeats weighs more. None:
                all rows without NaN.

        Raises:
            ValueError: shapes do not fit, labels are too few, all 0 or not finite, or the points cannot be used.
        """
        geometry = points if isinstance(points, ConnectionLaplacian) else self._geometry(points)
        fields, labelled = labelled_vectors(vectors, mask, *geometry.points.shape)
        families = FAMILIES if self.family == "auto" else (self.family,)
        self.geometry_ = geometry
        self.evidences_: dict[tuple[str, int], float] = {}
        best: tuple[FieldBasis, Moments, Optimum] | None = None
        self.scale_ = float(np.sqrt((fields**2).mean())) if self.standardize else 1.0
        require(bool((fields != 0).any()), "vectors", "labels that are all 0", "some that are not")
        candidates = [
            (family, size, lengthscale)
            for family, size in product(families, self.sizes)
            for lengthscale in (LENGTHSCALES if family == "ambient" else (1.0,))
        ]
        for family, size, lengthscale in candidates:
            try:
                basis = field_basis(geometry, family, min(size, len(geometry.eigvals)), lengthscale)
            except ValueError:
                if self.family != "auto":
                    raise
                continue  # needs an orientation that the surface lacks
            moments = self._moments(basis, fields / self.scale_, labelled)
            found = self._search(basis, moments)
            evidence = -float(found.objective)
            self.evidences_[family, size] = max(evidence, self.evidences_.get((family, size), -math.inf))
            if best is None or found.objective < best[2].objective:
                best = basis, moments, found
        assert best is not None  # "connection" and "projected" always exist
        self.basis_, moments, found = best
        kernel = self.basis_.kernel(self.kernel, self.normalization)
        self.hyperparameters_ = dict(zip(kernel.names, found.values.tolist(), strict=True))
        self.posterior_ = Posterior(moments, kernel.weights(found.values), float(found.values[-1]))
        self._labelled, self._fields = labelled, fields
        unreached = points_without_labels(geometry, labelled)
        if unreached:
            warnings.warn(
                f"{unreached} points lie in components of the neighbour graph without a label, and are predicted as 0; "
                "give more n_neighbors, or geometry={'disconnected': 'join'}",
                stacklevel=2,
            )
        if len(labelled) * geometry.dim < self.basis_.size:
            warnings.warn(
                f"{len(labelled)} labels say little about {self.basis_.size} eigenfields: far from labels the "
                "prediction is the prior's; give more labels, or fewer n_eigenpairs",
                stacklevel=2,
            )
        return self

    def predict(
        self, points: Tensor | ArrayLike | None = None, *, return_std: bool = False, return_cov: bool = False
    ) -> Any:
        """Return the posterior mean in ambient coordinates, (m, D), or (T, m, D) for T fields.

        Args:
            points: (m, D) new ones, by the Nystrom extension; the points of `fit` if None.
            return_std: return (mean, std): the standard deviation of each ambient component of the field, (m, D).
            return_cov: return (mean, cov): its covariance, (m, D, D) of rank d.

        Raises:
            ValueError: both are asked for, or the points cannot be used.
            RuntimeError: called before `fit`.
        """
        require(not (return_std and return_cov), "return_std", return_std, "return_std or return_cov, not both")
        features, frames = self._features(points)
        mean = torch.einsum("mpd,mdt->tmp", frames, self._posterior().mean(features)) * self.scale_
        result = (mean[0] if len(mean) == 1 else mean).numpy()
        if not (return_std or return_cov):
            return result
        covariance = self.posterior_.covariance(frames @ features) * self.scale_**2
        if return_cov:
            return result, covariance.numpy()
        return result, covariance.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt().numpy()

    def predict_tangent(self, points: Tensor | ArrayLike | None = None) -> Prediction:
        """Return the posterior of the (first) field in tangent coordinates.

        Args:
            points: see `predict`.
        """
        features, frames = self._features(points)
        posterior = self._posterior()
        mean, covariance = posterior.mean(features)[..., 0], posterior.covariance(features)
        return Prediction(mean * self.scale_, covariance * self.scale_**2, frames)

    def sample(self, number: int = 1, points: Tensor | ArrayLike | None = None, seed: int = 0) -> Array:
        """Return samples of the posterior of the (first) field, (number, m, D), without noise.

        Args:
            number: how many, >= 1.
            points: see `predict`.
            seed: of the generator.
        """
        features, frames = self._features(points)
        generator = torch.Generator().manual_seed(seed)
        samples = self._posterior().sample(frames @ features, number, generator)
        return (samples * self.scale_).numpy()

    def leave_one_out(self) -> tuple[Array, Array]:
        """Return each label as predicted from all the others, (m, D), and the log density of the labels there, (m,).

        Densities are those of the observed components in the units of the labels.

        Raises:
            ValueError: labels repeat.
            RuntimeError: called before `fit`.
        """
        posterior, labelled = self._posterior(), self._labelled
        distinct = len(np.unique(labelled)) == len(labelled)
        require(distinct, "mask", "indices that repeat", "different ones: a twin left in gives the answer away")
        features, values = self._observations(self.basis_, self._fields[:1], labelled)
        mean, _, density = posterior.leave_one_out(features, values[..., 0] / self.scale_)
        if self.observation == "tangent":
            mean = torch.einsum("mpd,md->mp", self.basis_.frames[labelled], mean)
        return (mean * self.scale_).numpy(), (density - values.shape[1] * math.log(self.scale_)).numpy()

    def _geometry(self, points: Tensor | ArrayLike) -> ConnectionLaplacian:
        cloud = check_points("points", points)
        most = len(cloud) * (self.geometry.get("dim") or 1)
        return connection_laplacian(cloud, min(self.n_eigenpairs, most), **self.geometry)

    def _observations(self, basis: FieldBasis, fields: Array, labelled: Indices) -> tuple[Tensor, Tensor]:
        """Return rows (m, p, k) of eigenfields and observed components (m, p, T)."""
        values = torch.from_numpy(fields).permute(1, 2, 0)
        if self.observation == "ambient":
            return basis.frames[labelled] @ basis.tangent[labelled], values
        return basis.tangent[labelled], basis.frames[labelled].mT @ values

    def _moments(self, basis: FieldBasis, fields: Array, labelled: Indices) -> Moments:
        features, values = self._observations(basis, fields, labelled)
        return Moments(basis.size, len(fields)).update(features.flatten(0, 1), values.flatten(0, 1))

    def _search(self, basis: FieldBasis, moments: Moments) -> Optimum:
        kernel = basis.kernel(self.kernel, self.normalization)
        problem = moments.problem()
        if self.hyperparameters is not None:
            values = torch.tensor([self.hyperparameters[name] for name in kernel.names], dtype=torch.float64)
            log_noise = values[-1].log()
            return Optimum(values, problem.negative_log_evidence(kernel.log_weights(values), log_noise), 0)
        starts = self._starts(basis, kernel.kind)
        if len(starts) == 1:
            return minimize(kernel, problem, starts[0], self.iterations)
        rough = minimize_many(kernel, problem, starts, min(self.iterations, 60))
        return minimize(kernel, problem, rough.values[rough.objective.argmin()], self.iterations)

    def _starts(self, basis: FieldBasis, kind: Kind) -> Tensor:
        """Return starts of the search (B, p): the published one first, then kappas across the spectrum."""
        generator = torch.Generator().manual_seed(0)
        middle = float(basis.eigvals.median().clamp(min=1e-6))
        shape = {"matern": [1.5, 5.0], "se": [math.sqrt(2 / middle)], "free": [1.0] * KNOTS}[kind]
        starts = torch.tensor([*shape, 1.0, 1.0], dtype=torch.float64).repeat(self.restarts, 1)
        factors = torch.randn(self.restarts - 1, len(shape), generator=generator, dtype=torch.float64).exp()
        starts[1:, : len(shape)] *= factors
        starts[1:, -1] = torch.logspace(-3, -1, self.restarts - 1, dtype=torch.float64)
        return starts

    def _features(self, points: Tensor | ArrayLike | None) -> tuple[Tensor, Tensor]:
        self._posterior()
        if points is None:
            return self.basis_.tangent, self.basis_.frames
        n_neighbors = self.geometry.get("n_neighbors", 10)
        return self.basis_.at(check_points("points", points), n_neighbors)

    def _posterior(self) -> Posterior:
        if not hasattr(self, "posterior_"):
            raise RuntimeError("VectorFieldGP knows no labels yet; call fit(points, vectors, mask) first")
        return self.posterior_
