"""Families of eigenfields that kernels are built on, all tangent to the same surface.

    "connection"        eigenfields of the connection Laplacian: the published method
    "projected"         constant ambient directions times eigenfunctions of the graph Laplacian, projected to the
                        tangent planes (Hutchinson et al., NeurIPS 2021): best where fields are smooth in ambient space
    "curl_free"         gradients of eigenfunctions
    "divergence_free"   the same, turned by a right angle; oriented surfaces alone
    "ambient"           the same with eigenfunctions of a Gaussian kernel of the surrounding space: the projected kernel
                        of Hutchinson et al. itself, of finite rank; its kernel is always "se"
    "hodge"             both together (after Robert-Nicoud, Krause and Borovitskiy, 2024)

Eigenfields are in coordinates of the tangent frames, and of mean square 1 per component where they are orthonormal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require, require_above, require_choice, require_positive
from zoo.rvgp.gaussian_functions import GaussianFunctions, gaussian_functions
from zoo.rvgp.kernels import Kind, Normalization, SpectralKernel
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.gradients import gradients
from zoo.spectral.nystrom import Extension, extend
from zoo.spectral.point_graph import Array, Indices, components, sum_at

Family = Literal["connection", "projected", "ambient", "curl_free", "divergence_free", "hodge"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class FieldBasis:
    """Eigenfields at the points of a surface, and how to continue them.

    Attributes:
        family: see the top of this file.
        geometry: the surface.
        eigvals: (k,) float64, >= 0, ascending within each part of the family, in the units of the graph.
        tangent: (n, d, k) float64, in the frames of the geometry.
        frames: (n, D, d) float64, the frames.
        gaussian: the eigenfunctions that "ambient" is made of; None for the others.
    """

    family: Family
    geometry: ConnectionLaplacian
    eigvals: Tensor
    tangent: Tensor
    frames: Tensor
    gaussian: GaussianFunctions | None = None

    @property
    def size(self) -> int:
        """The number of eigenfields k."""
        return len(self.eigvals)

    @property
    def powers(self) -> Tensor:
        """The mean square of each eigenfield per tangent component, (k,)."""
        return (self.tangent**2).mean((0, 1))

    @property
    def ambient(self) -> Tensor:
        """The eigenfields in ambient coordinates: (n, D, k)."""
        return self.frames @ self.tangent

    def kernel(self, kind: Kind = "matern", normalization: Normalization = "variance") -> SpectralKernel:
        """Return a kernel on these eigenfields; "se" for "ambient", whatever is asked for."""
        kind = "se" if self.family == "ambient" else kind
        rows = self.frames.shape[0] * self.frames.shape[1]
        return SpectralKernel(kind, self.eigvals, self.powers, normalization, rows)

    def prior_covariance(self, weights: Tensor, first: Tensor | Indices, second: Tensor | Indices) -> Tensor:
        """Return the kernel between points (a,) and (b,), as blocks of ambient components: (a, D, b, D).

        Args:
            weights: s, (k,), from `SpectralKernel.weights`.
            first: rows of the points of the geometry.
            second: likewise.
        """
        one, other = (self.frames[rows] @ self.tangent[rows] for rows in (first, second))
        return torch.einsum("apk,k,bqk->apbq", one, weights, other)

    def at(self, points: Tensor | Array, n_neighbors: int = 10) -> tuple[Tensor, Tensor]:
        """Return eigenfields (m, d, k) at new points (m, D), and the tangent frames (m, D, d) there."""
        extension = extend(self.geometry, points, n_neighbors)
        if self.family == "connection":
            fields = extension.fields(self.eigvals.numpy(), self.geometry.eigvecs[:, :, : self.size])
        elif self.family == "ambient":
            assert self.gaussian is not None  # see field_basis
            fields = _projected(extension.frames, self.gaussian.at(extension.points))
        else:
            fields = _scalar_fields(self.family, self.geometry, self.size, extension)[1]
        return torch.from_numpy(fields), torch.from_numpy(extension.frames)


def field_basis(
    geometry: ConnectionLaplacian,
    family: Family = "connection",
    size: int | None = None,
    lengthscale: float = 1.0,
) -> FieldBasis:
    """Return a family of eigenfields on a surface.

    Args:
        geometry: the surface, with as many eigenpairs as "connection" is to have.
        family: see the top of this file.
        size: number of eigenfields; as many as `geometry` has if None. "projected" and "ambient" round it down to a
            multiple of D, "hodge" to an even number.
        lengthscale: > 0, of "ambient" alone, in units of the standard deviation of the points.

    Raises:
        ValueError: the family is unknown, needs an orientation that the surface lacks, or the size is out of its range.
    """
    require_choice("family", family, FAMILIES)
    available = len(geometry.eigvals)
    size = available if size is None else size
    require_positive(size=size)
    frames = torch.from_numpy(geometry.frames)
    if family == "connection":
        require(size <= available, "size", size, f"at most {available}, the eigenpairs of the geometry")
        eigvals, fields = geometry.eigvals[:size], geometry.eigvecs[:, :, :size]
    elif family == "ambient":
        require_above(0, lengthscale=lengthscale)
        ambient = geometry.points.shape[1]
        gaussian = gaussian_functions(geometry.points, max(1, size // ambient), lengthscale)
        eigvals = np.repeat(gaussian.eigvals, ambient)
        fields = _projected(geometry.frames, gaussian.at(geometry.points))
        return FieldBasis(family, geometry, torch.from_numpy(eigvals), torch.from_numpy(fields), frames, gaussian)
    else:
        if family in ("divergence_free", "hodge"):
            oriented = geometry.dim == 2 and bool((np.linalg.det(geometry.transports) > 0).all())
            require(oriented, "family", family, "another one: this surface is not an oriented one of two dimensions")
        eigvals, fields = _scalar_fields(family, geometry, size, None)
    return FieldBasis(family, geometry, torch.from_numpy(eigvals.copy()), torch.from_numpy(fields.copy()), frames)


def _scalar_fields(
    family: Family, geometry: ConnectionLaplacian, size: int, extension: Extension | None
) -> tuple[Array, Array]:
    """Return eigenvalues (k,) and eigenfields (m, d, k) made of eigenfunctions, at old points or at new ones."""
    ambient = geometry.points.shape[1]
    if family == "projected":
        eigvals, functions = geometry.scalar_eigenpairs(max(1, size // ambient))
        frames = geometry.frames if extension is None else extension.frames
        values = functions if extension is None else extension.functions(eigvals, functions)
        return np.repeat(eigvals, ambient), _projected(frames, values)
    # Functions that are constant on each component have no gradient.
    constant, _ = components(geometry.edge_index, geometry.num_points)
    number = max(1, size // 2) if family == "hodge" else size
    eigvals, functions = (part[..., constant:] for part in geometry.scalar_eigenpairs(constant + number))
    source, target = geometry.edge_index
    rough = gradients(geometry, (function[target] - function[source] for function in functions.T))
    # Eigenfunctions of irregular graphs wiggle from point to point. Each gradient is the mean of those around.
    around: ConnectionLaplacian | Extension = geometry
    if extension is not None:
        around, source, target = extension, extension.source, extension.target
    shares = (around.weights / around.degree[source])[:, None, None] * around.transports
    smooth = np.empty((len(around.points), *rough.shape[1:]))
    for column in range(number):
        smooth[:, :, column] = sum_at(source, np.einsum("eab,eb->ea", shares, rough[target, :, column]), len(smooth))
    # To mean square 1 per component: |grad f|^2 is lambda f^2 in the mean.
    smooth *= np.sqrt(geometry.scale * geometry.dim / eigvals)
    turned = np.stack([-smooth[:, 1], smooth[:, 0]], axis=1) if geometry.dim == 2 else smooth
    if family == "hodge":
        return np.concatenate([eigvals, eigvals]), np.concatenate([smooth, turned], axis=2)
    return eigvals, smooth if family == "curl_free" else turned


def _projected(frames: Array, functions: Array) -> Array:
    """Return the tangent parts of functions (n, k) times ambient directions, (n, d, k D)."""
    fields = np.einsum("npd,nk->ndkp", frames, functions)
    return fields.reshape(*fields.shape[:2], -1)
