"""Labels as users give them: vectors, masks or indices, checked; and the points that none of them reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from zoo.checks import require
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.point_graph import Array, Indices, components


def points_without_labels(geometry: ConnectionLaplacian, labelled: Indices) -> int:
    """Return the number of points that no path of the graph joins to a label."""
    _, component = components(geometry.edge_index, geometry.num_points)
    return int((~np.isin(component, component[labelled])).sum())


def labelled_vectors(
    vectors: Tensor | ArrayLike, mask: Tensor | ArrayLike | None, number: int, ambient: int
) -> tuple[Array, Indices]:
    """Return the labelled vectors (T, m, D) and their points (m,).

    Args:
        vectors: (n, D), or (T, n, D); rows of NaN are unlabelled.
        mask: (n,) of booleans, or indices, which may repeat; all rows without NaN if None.
        number: n.
        ambient: D.

    Raises:
        ValueError: shapes do not fit, labels are fewer than two, or not finite.
    """
    values = vectors.detach().cpu().numpy() if isinstance(vectors, Tensor) else np.asarray(vectors)
    values = values.astype(np.float64)
    values = values[None] if values.ndim == 2 else values
    fits = values.ndim == 3 and values.shape[1:] == (number, ambient)
    require(fits, "vectors.shape", np.shape(vectors), f"({number}, {ambient}), or a number of fields before it")
    if mask is None:
        labelled = np.flatnonzero(~np.isnan(values).any(axis=(0, 2)))
    else:
        chosen = mask.cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
        require(chosen.ndim == 1 and chosen.dtype.kind in "biu", "mask", chosen.dtype, "booleans (n,), or indices")
        if chosen.dtype.kind == "b":
            require(len(chosen) == number, "mask.shape", chosen.shape, f"({number},)")
            chosen = np.flatnonzero(chosen)
        inside = chosen.size == 0 or bool(chosen.min() >= 0 and chosen.max() < number)
        require(inside, "mask", chosen, f"indices from 0 to {number - 1}")
        labelled = chosen.astype(np.int64)
    require(len(labelled) >= 2, "mask", f"{len(labelled)} labels", "at least 2 labelled points")
    bad = np.flatnonzero(~np.isfinite(values[:, labelled]).all(axis=(0, 2)))
    if bad.size:
        raise ValueError(
            f"vectors holds NaN or infinity at the labelled point {labelled[bad[0]]}; leave it out of mask"
        )
    return np.ascontiguousarray(values[:, labelled]), labelled
