"""Anyone's surfaces from files: point clouds with vectors, and meshes.

Point clouds, by suffix:

    .csv    a line of names, then one row per point: coordinates x, y, z, ... and, with the same letters, vectors vx,
            vy, vz, ...; empty vectors (or "nan") are unlabelled points
    .npz    arrays `points` (n, D) and, where there are labels, `vectors` (n, D); rows of NaN are unlabelled; and, where
            there are triangles, `faces` (F, 3)

Meshes: .obj, .ply, .off, by the library trimesh. Nothing in a file is executed.
"""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.surfaces.shapes import Array

MESHES = (".obj", ".ply", ".off")
CLOUDS = (".csv", ".npz")


@dataclass(frozen=True)
class Cloud:
    """What a file holds.

    Attributes:
        points: (n, D) float64.
        vectors: (n, D) float64, NaN where unlabelled; None without any.
        faces: (F, 3) int64; None without triangles.
    """

    points: Array
    vectors: Array | None = None
    faces: NDArray[np.int64] | None = None


def read_cloud(path: str | Path) -> Cloud:
    """Read a file in one of the formats above.

    Raises:
        ValueError: the file cannot be used; the message names file, row or array, and the fault.
        FileNotFoundError: there is no such file.
        ImportError: it is a mesh and trimesh is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*MESHES, *CLOUDS):
        raise ValueError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join((*CLOUDS, *MESHES))}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    cloud = read_mesh(path) if suffix in MESHES else _read_csv(path) if suffix == ".csv" else _read_npz(path)
    bad = np.flatnonzero(~np.isfinite(cloud.points).all(axis=1))
    if bad.size:
        raise ValueError(f"{path}: the position of point {bad[0]} is not finite; leave such points out")
    if cloud.vectors is not None:
        partial = np.isnan(cloud.vectors).any(axis=1) & ~np.isnan(cloud.vectors).all(axis=1)
        if partial.any() or np.isinf(cloud.vectors).any():
            row = int(np.flatnonzero(partial | np.isinf(cloud.vectors).any(axis=1))[0])
            raise ValueError(f"{path}: the vector at point {row} is incomplete or infinite; give all of it or nothing")
    return cloud


def read_mesh(path: str | Path) -> Cloud:
    """Read vertices and triangles of a mesh in the order of the file; vertices without a triangle are kept.

    Raises:
        ValueError: the file holds no triangles, or cannot be read.
        ImportError: trimesh is missing.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ImportError("meshes need trimesh; install it: pip install 'eigenzoo[mesh]'") from error
    try:
        mesh: Any = trimesh.load(str(path), force="mesh", process=False, maintain_order=True)
        points, faces = np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)
    except Exception as error:  # whatever a reader of damaged files raises
        raise ValueError(f"{path} cannot be read as a mesh: {error}") from error
    if not len(faces):
        raise ValueError(f"{path} holds no triangles; give a mesh, or a cloud of points as .csv or .npz")
    return Cloud(points, None, faces)


def _read_csv(path: Path) -> Cloud:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise ValueError(f"{path} holds {len(rows)} lines; give a line of names and one for each point")
    names = [name.strip().lower() for name in rows[0]]
    axes = [name for name in names if not name.startswith("v") and f"v{name}" in names]
    if not axes:
        axes = [name for name in ("x", "y", "z") if name in names]
    if len(axes) < 2:
        raise ValueError(f"{path} has the columns {', '.join(names)}; give coordinates x, y, z and vectors vx, vy, vz")
    points = _columns(path, rows, names, axes, empty=False)
    labelled = all(f"v{axis}" in names for axis in axes)
    vectors = _columns(path, rows, names, [f"v{axis}" for axis in axes], empty=True) if labelled else None
    return Cloud(points, vectors)


def _columns(path: Path, rows: list[list[str]], names: list[str], wanted: list[str], empty: bool) -> Array:
    positions = [names.index(name) for name in wanted]
    values = np.full((len(rows) - 1, len(wanted)), np.nan)
    for line, row in enumerate(rows[1:]):
        if len(row) != len(names):
            raise ValueError(f"{path}: line {line + 2} has {len(row)} fields; give {len(names)}")
        for column, position in enumerate(positions):
            text = row[position].strip()
            if text == "" and empty:
                continue
            try:
                values[line, column] = float(text)
            except ValueError:
                raise ValueError(f"{path}: line {line + 2} has {text!r} as {wanted[column]}; give a number") from None
    return values


def _read_npz(path: Path) -> Cloud:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if "points" not in arrays:
        raise ValueError(f"{path} holds {', '.join(arrays) or 'nothing'}; give an array points (n, D)")
    points = arrays["points"]
    if points.ndim != 2 or points.dtype.kind not in "fiu":
        raise ValueError(f"{path}: points is {points.dtype} {points.shape}; give numbers (n, D)")
    vectors, faces = arrays.get("vectors"), arrays.get("faces")
    if vectors is not None and (vectors.shape != points.shape or vectors.dtype.kind not in "fiu"):
        raise ValueError(f"{path}: vectors is {vectors.dtype} {vectors.shape}; give numbers {points.shape}")
    if faces is not None and (faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu"):
        raise ValueError(f"{path}: faces is {faces.dtype} {faces.shape}; give integers (F, 3)")
    return Cloud(
        points.astype(np.float64),
        None if vectors is None else vectors.astype(np.float64),
        None if faces is None else faces.astype(np.int64),
    )
