"""Sets of multi-indices: which products of functions of one coordinate a dictionary of several coordinates holds."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require_choice, require_positive

IndexSet = Literal["total", "cross", "full"]


def multi_indices(dim: int, degree: int, kind: IndexSet, signed: bool = False) -> Tensor:
    """Return multi-indices by ascending total degree, then lexicographically, (N, dim) int64.

    Args:
        dim: number of coordinates.
        degree: bound n.
        kind: "total" degree sum |k_i| <= n; hyperbolic "cross" prod max(1, |k_i|) <= n (with every |k_i| <= n); or the
            "full" box |k_i| <= n.
        signed: indices run over -n .. n instead of 0 .. n.

    Raises:
        ValueError: unknown kind, or numbers that are not positive.
    """
    require_positive(dim=dim, degree=degree)
    require_choice("kind", kind, get_args(IndexSet))
    axis = np.arange(-degree if signed else 0, degree + 1)
    chosen = np.zeros((1, 0), dtype=np.int64)
    for _ in range(dim):  # prune after every coordinate: the full box may be huge
        chosen = np.concatenate([np.repeat(chosen, len(axis), 0), np.tile(axis, len(chosen))[:, None]], axis=1)
        size = np.abs(chosen)
        if kind == "total":
            chosen = chosen[size.sum(axis=1) <= degree]
        elif kind == "cross":
            chosen = chosen[np.maximum(size, 1).prod(axis=1) <= degree]
    order = np.lexsort((*chosen.T[::-1], np.abs(chosen).sum(axis=1)))
    return torch.from_numpy(chosen[order])
