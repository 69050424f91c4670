r"""`PathCoupling`: features times harmonics of an edge by Clebsch-Gordan coefficients, a free weight for each path.

    z_l3 = sum_{l1, l2} w_{l1 l2 l3} W[l1, l2, l3] (x_l1, y_l2),      W = e3nn's 3j tensors, y shared by all channels

This is e3nn's "uvu" product with a filter of multiplicity 1. The filter is contracted first: one small matrix per edge
and degree l1 that all channels share.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.gaunt.coefficients import in_triangle, wigner_3j
from zoo.gaunt.constants import ConstantModule


class PathCoupling(ConstantModule):
    """The coupling of features (E, C, d(L1)) with harmonics (E, d(L2)) along paths of one parity.

    Args:
        lmax_in: degree L1 of the features.
        lmax_filter: degree L2 of the harmonics.
        lmax_out: degree L3 of the result.
        odd: take the paths with odd l1 + l2 + l3, which turn tensors of parity (-1)^l into pseudo-tensors and back;
            else the even ones, which keep them.

    Attributes:
        paths: the P triples (l1, l2, l3), in the order of the weights.
    """

    columns: Tensor
    owners: Tensor
    path_in: Tensor
    path_filter: Tensor
    path_out: Tensor

    def __init__(self, lmax_in: int, lmax_filter: int, lmax_out: int, odd: bool = False) -> None:
        super().__init__()
        self.lmax_in, self.lmax_filter, self.lmax_out = lmax_in, lmax_filter, lmax_out
        self.paths = [
            (l1, l2, l3)
            for l1 in range(lmax_in + 1)
            for l2 in range(lmax_filter + 1)
            for l3 in range(lmax_out + 1)
            if in_triangle(l1, l2, l3) and (l1 + l2 + l3) % 2 == odd
        ]
        for name, column in zip(("path_in", "path_filter", "path_out"), zip(*self.paths, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(column), persistent=False)
        coefficients = wigner_3j(lmax_in, lmax_filter, lmax_out)
        columns: list[int] = []
        owners: list[int] = []
        for l1 in range(lmax_in + 1):
            blocks = []
            for number, (first, l2, l3) in enumerate(self.paths):
                if first == l1:
                    block = torch.zeros(2 * l1 + 1, (lmax_filter + 1) ** 2, 2 * l3 + 1, dtype=torch.float64)
                    harmonics = slice(l2**2, (l2 + 1) ** 2)
                    block[:, harmonics] = coefficients[l1**2 : (l1 + 1) ** 2, harmonics, l3**2 : (l3 + 1) ** 2]
                    blocks.append(block)
                    columns += range(l3**2, (l3 + 1) ** 2)
                    owners += [number] * (2 * l3 + 1)
            if blocks:
                self.register_constant(f"coefficients{l1}", torch.cat(blocks, dim=2).transpose(0, 1).contiguous())
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.register_buffer("owners", torch.tensor(owners), persistent=False)

    def factors(self, table: Tensor) -> Tensor:
        """Return the entries of a table by degrees (L1 + 1, L2 + 1, L3 + 1) that belong to the paths: (P,)."""
        return table[self.path_in, self.path_filter, self.path_out]

    def weights_by_degree(self, radial: Tensor, weights: Tensor | None) -> Tensor:
        """Return the weights of paths that weights by degree amount to: (E, C, P).

        Args:
            radial: of filters (E, R, C, L2 + 1).
            weights: of features (E, R, C, L1 + 1); None for ones.
        """
        by_path = radial[..., self.path_filter]
        return (by_path if weights is None else by_path * weights[..., self.path_in]).sum(1)

    def forward(self, x: Tensor, harmonics: Tensor, weights: Tensor) -> Tensor:
        """Return the coupled features (E, C, d(L3)).

        Args:
            x: (E, C, d(L1)).
            harmonics: (E, d(L2)).
            weights: (E, C, P), or broadcastable.
        """
        parts = []
        for l1 in sorted({l1 for l1, _, _ in self.paths}):
            filters = torch.tensordot(harmonics, getattr(self, f"coefficients{l1}"), dims=1)  # (E, 2 l1 + 1, K)
            parts.append(x[..., l1**2 : (l1 + 1) ** 2] @ filters)
        values = torch.cat(parts, dim=-1) * weights[..., self.owners]
        result = values.new_zeros(*values.shape[:-1], (self.lmax_out + 1) ** 2)
        return result.index_add(-1, self.columns, values)
