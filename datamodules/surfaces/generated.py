"""Surfaces that are given by formulas, with fields that are known everywhere; nothing is downloaded."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from datamodules.surfaces import shapes
from datamodules.surfaces.fields import SINGULAR_FIELDS, singular_field, smooth_ambient_field
from datamodules.surfaces.files import Cloud
from datamodules.surfaces.harmonics import random_sphere_field
from datamodules.surfaces.module import SurfaceDataModule
from datamodules.surfaces.shapes import Array
from zoo.checks import require_choice, require_positive
from zoo.spectral.connection import connection_laplacian

Singular = Literal["rotation", "dipole", "spiral", "saddles"]


class Sphere(SurfaceDataModule):
    """The unit sphere with a random field of vector spherical harmonics, or one with known singularities.

    Args:
        n: number of points, of the Fibonacci lattice.
        field: "harmonics", drawn from a Matern process whose eigenfields are exact; or one of
            `datamodules.surfaces.fields.SINGULAR_FIELDS`.
        lmax: largest degree of the harmonics.
        field_seed: of the harmonics.
        **options: see `SurfaceDataModule`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        n: int = 1000,
        field: Literal["harmonics"] | Singular = "harmonics",
        lmax: int = 10,
        field_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_positive(n=n, lmax=lmax)
        require_choice("field", field, ("harmonics", *SINGULAR_FIELDS))
        self.n, self.field, self.lmax, self.field_seed = n, field, lmax, field_seed

    def surface(self) -> Cloud:
        """Return the points and the field."""
        points = shapes.sphere(self.n)
        if self.field == "harmonics":
            return Cloud(points, random_sphere_field(points, self.lmax, self.field_seed))
        return Cloud(points, singular_field(self.field).vectors(points))

    def provenance(self) -> dict[str, Any]:
        """Return the formula."""
        return {"surface": "unit sphere", "field": self.field, "lmax": self.lmax, "field_seed": self.field_seed}


class _Immersed(SurfaceDataModule):
    """A surface with the tangent part of a smooth random field of the surrounding space.

    Args:
        n: number of points.
        field_seed: of the field.
        **options: see `SurfaceDataModule`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name: str

    def __init__(self, n: int = 1000, field_seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        require_positive(n=n)
        self.n, self.field_seed = n, field_seed

    def embedding(self) -> tuple[Array, Array]:
        """Return points (n, D) and tangent frames (n, D, 2)."""
        raise NotImplementedError(f"{type(self).__name__} must define embedding()")

    def surface(self) -> Cloud:
        """Return the points and the field."""
        points, frames = self.embedding()
        return Cloud(points, smooth_ambient_field(points, frames, self.field_seed))

    def provenance(self) -> dict[str, Any]:
        """Return the formula."""
        return {"surface": self.name, "field": "tangent part of smooth waves", "field_seed": self.field_seed}


class Torus(_Immersed):
    """The torus of revolution with radii 1 and 0.4, and the tangent part of a smooth field; see `_Immersed`."""

    name = "torus"

    def embedding(self) -> tuple[Array, Array]:
        """Return points and exact frames."""
        points = shapes.torus(self.n)
        return points, shapes.torus_frames(points)


class Ellipsoid(_Immersed):
    """The ellipsoid with half axes 1, 0.8 and 0.6, and the tangent part of a smooth field; see `_Immersed`."""

    name = "ellipsoid"

    def embedding(self) -> tuple[Array, Array]:
        """Return points and exact frames."""
        points = shapes.ellipsoid(self.n)
        return points, shapes.ellipsoid_frames(points)


class FlatTorus(_Immersed):
    """The flat torus in four dimensions on a grid of about n points; see `_Immersed`.

    Its connection Laplacian with 8 neighbours has a spectrum in closed form, `shapes.clifford_eigvals`.
    """

    name = "flat torus"

    def embedding(self) -> tuple[Array, Array]:
        """Return points and exact frames."""
        rows = max(5, round(np.sqrt(self.n / 1.5)))
        points = shapes.clifford_torus(max(5, round(self.n / rows)), rows)
        return points, shapes.clifford_frames(points)


class MoebiusStrip(_Immersed):
    """The Moebius strip, which has no orientation, and the tangent part of a smooth field; see `_Immersed`."""

    name = "Moebius strip"

    def embedding(self) -> tuple[Array, Array]:
        """Return points and frames estimated from them."""
        points = shapes.moebius_strip(self.n)
        return points, connection_laplacian(points, 1, dim=2).frames


class KleinBottle(_Immersed):
    """The Klein bottle in four dimensions, without an orientation, and the tangent part of a smooth field.

    See `_Immersed`.
    """

    name = "Klein bottle"

    def embedding(self) -> tuple[Array, Array]:
        """Return points and frames estimated from them."""
        points = shapes.klein_bottle(self.n)
        return points, connection_laplacian(points, 1, dim=2).frames
