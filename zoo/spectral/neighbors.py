"""Pairs of points closer than a cutoff, with periodic images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList


def neighbor_list(
    pos: Tensor, cutoff: float, cell: Tensor | None = None, pbc: tuple[bool, bool, bool] = (False, False, False)
) -> tuple[Tensor, Tensor]:
    """Return all ordered pairs of points, or of points and images of points, closer than a cutoff.

    A point is a neighbour of its own images, not of itself.

    Args:
        pos: points (n, 3), anywhere, also outside of the cell.
        cutoff: largest distance, in the unit of the points.
        cell: rows are the cell vectors (3, 3); needed where there are periodic directions.
        pbc: which cell vectors points are repeated along.

    Returns:
        Source i and target j of each pair (2, E) int64, sorted by i and j, and what is to be added to pos[j] - pos[i]
        to give the vector from i to the image of j (E, 3) float64.
    """
    points = pos.detach().cpu().double().numpy()
    box = np.zeros((3, 3)) if cell is None else cell.detach().cpu().double().numpy()
    if len(points) == 0:
        return torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.float64)
    calculator = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    source, target, images = calculator.compute(points=points, box=box, periodic=list(pbc), quantities="ijS")
    edge_index = torch.from_numpy(np.stack([source, target]).astype(np.int64))
    return edge_index, torch.from_numpy(images.astype(np.float64) @ box)
