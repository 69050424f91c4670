"""Principal components of the training states, also called proper orthogonal modes: the dictionary of large fields."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.koopman.dictionaries import Dictionary


class PrincipalComponents(Dictionary):
    """Products of the state with its leading modes on the training data, of states as they are, without their mean.

    Args:
        dim: number of coordinates of a state.
        count: number of modes N.
    """

    basis: Tensor

    def __init__(self, dim: int, count: int) -> None:
        require_positive(dim=dim, count=count)
        require(count <= dim, "count", count, f"at most {dim}, the number of coordinates of a state")
        super().__init__(dim, [f"mode{i + 1}" for i in range(count)])
        self.register_buffer("basis", torch.eye(dim, count, dtype=torch.float64))

    def adapt(self, x: Tensor) -> None:
        """Take the leading right singular vectors of states (M, d), each with its largest entry positive.

        Raises:
            ValueError: there are fewer states than modes.
        """
        require(len(self.names) <= len(x), "count", len(self.names), f"at most {len(x)}, the number of states")
        _, _, right = torch.linalg.svd(x.to(self.basis), full_matrices=False)
        modes = right[: self.size].mT
        largest = modes.gather(0, modes.abs().argmax(0, keepdim=True))
        self.basis.copy_(modes * largest.sign())

    def values(self, x: Tensor) -> Tensor:
        """Return the amplitudes of the modes of states (M, d), (M, N)."""
        return x @ self.basis.to(x.dtype)
