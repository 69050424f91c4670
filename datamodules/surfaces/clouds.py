"""Surfaces from files: anyone's points with vectors, and meshes with a field to be made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.sources import sha256_of
from datamodules.surfaces.fields import smooth_ambient_field
from datamodules.surfaces.files import Cloud, read_cloud
from datamodules.surfaces.module import SurfaceDataModule
from datamodules.surfaces.splits import split_points
from zoo.checks import require, require_above, require_choice
from zoo.spectral.connection import connection_laplacian
from zoo.spectral.diffusion import random_vector_field, smooth_vector_field
from zoo.spectral.point_graph import farthest_points


class PointCloudField(SurfaceDataModule):
    """Points with vectors from a `.csv` or `.npz` file; points without a vector shape the surface alone.

    The labelled points are split by `task`; the unlabelled ones are in no split.

    Args:
        path: the file, see `datamodules.surfaces.files`.
        **options: see `SurfaceDataModule`.

    Raises:
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
    """

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(**options)
        self.path = path

    def surface(self) -> Cloud:
        """Return what the file holds.

        Raises:
            ValueError: it cannot be used, or holds fewer than 4 labels.
        """
        cloud = read_cloud(self.path)
        labels = 0 if cloud.vectors is None else int((~np.isnan(cloud.vectors[:, 0])).sum())
        require(labels >= 4, "path", self.path, f"a file with at least 4 labelled points, not {labels}")
        return cloud

    def split(self, cloud: Cloud) -> dict[str, np.ndarray]:
        """Return the labelled points of each split."""
        assert cloud.vectors is not None  # see surface
        labelled = np.flatnonzero(~np.isnan(cloud.vectors[:, 0]))
        parts = split_points(cloud.points[labelled], self.task, self.seed, self.label_fraction, self.hole)
        return {split: labelled[part] for split, part in parts.items()}

    def provenance(self) -> dict[str, Any]:
        """Return the name of the file and its sha256."""
        return {"surface": Path(self.path).name, "sha256": sha256_of(self.path), "licence": "of the data"}


class MeshField(SurfaceDataModule):
    """The vertices of a mesh with a field that is generated on them.

    Args:
        path: an `.obj`, `.ply` or `.off` file.
        spacing: points are thinned out to be at least this far apart, in units of the diameter; 0 keeps all of them.
        field: "ambient", the tangent part of a smooth field of the surrounding space, which owes nothing to any method;
            or "diffused", unit noise smoothed by the connection Laplacian, as in the published experiments, which is
            nearly its lowest eigenfield.
        time: of the diffusion, > 0.
        field_seed: of the field.
        **options: see `SurfaceDataModule`.

    Raises:
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
    """

    def __init__(
        self,
        path: str,
        spacing: float = 0.03,
        field: Literal["ambient", "diffused"] = "ambient",
        time: float = 100.0,
        field_seed: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require(type(spacing) in (int, float) and 0 <= spacing < 1, "spacing", spacing, "a number in [0, 1)")
        require_choice("field", field, ("ambient", "diffused"))
        require_above(0, time=time)
        self.path, self.spacing, self.field, self.time, self.field_seed = path, spacing, field, time, field_seed

    def surface(self) -> Cloud:
        """Return the points, thinned out, and the field; triangles only where all points are kept."""
        mesh = read_cloud(self.path)
        chosen = farthest_points(mesh.points, self.spacing) if self.spacing else np.arange(len(mesh.points))
        points = mesh.points[chosen]
        geometry = connection_laplacian(points, 2, dim=2)
        if self.field == "ambient":
            vectors = smooth_ambient_field(points, geometry.frames, self.field_seed)
        else:
            vectors = smooth_vector_field(geometry, random_vector_field(geometry, self.field_seed), self.time)
        return Cloud(points, vectors, None if self.spacing else mesh.faces)

    def provenance(self) -> dict[str, Any]:
        """Return the name of the file, its sha256, and what was made of it."""
        return {
            "surface": Path(self.path).name,
            "sha256": sha256_of(self.path),
            "licence": "of the mesh",
            "spacing": self.spacing,
            "field": self.field,
            "time": self.time,
            "field_seed": self.field_seed,
        }
