"""The Hermitian forms of a dictionary at many points of the complex plane at once.

    H(z) = (A~ - z)* (A~ - z) + D = L~ - z A~* - conj(z) A~ + |z|^2

is linear in 1, Re z, Im z and |z|^2: forms at many points are one product of real matrices.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.koopman.factors import Factors

# Bytes of matrices in flight: they should stay in a processor's cache, while devices want many at once.
CPU_BATCH_BYTES = 2**22
DEVICE_BATCH_BYTES = 2**28


class HermitianForms:
    """H(z) - s^2 for many z, with questions that Cholesky decompositions answer.

    Args:
        factors: of a dictionary on data.
    """

    def __init__(self, factors: Factors) -> None:
        self.compression = factors.compression.to(torch.complex128)
        self.leak = factors.leak.to(torch.complex128)
        adjoint, identity = self.compression.mH, torch.eye(factors.rank).to(self.compression)
        self.total = adjoint @ self.compression + self.leak.mH @ self.leak
        parts = [self.total, -(adjoint + self.compression), -1j * (adjoint - self.compression), identity]
        self.parts = torch.view_as_real(torch.stack(parts).resolve_conj()).reshape(4, -1)
        self.norms = torch.linalg.matrix_norm(self.compression, 2), torch.linalg.matrix_norm(self.leak, 2)
        budget = CPU_BATCH_BYTES if self.total.device.type == "cpu" else DEVICE_BATCH_BYTES
        self.batch = max(1, budget // (16 * self.total.numel()))

    def __call__(self, points: Tensor, squares: Tensor | float = 0.0) -> Tensor:
        """Return H(z) - s^2 at points z (P,) for squares s^2 (P,), (P, r, r) complex128."""
        one = torch.ones_like(points.real)
        scalars = torch.stack([one, points.real, points.imag, points.abs() ** 2 - squares], dim=1)
        return torch.view_as_complex((scalars @ self.parts).reshape(len(points), *self.total.shape, 2))

    def batches(self, points: Tensor) -> Iterator[Tensor]:
        """Split points (P,) so that their forms fit into the memory meant for them."""
        return iter(points.split(self.batch))

    def margins(self, points: Tensor) -> Tensor:
        """Return a bound of the rounding in eigenvalues of H(z), (P,)."""
        largest = (self.norms[0] + points.abs()) ** 2 + self.norms[1] ** 2
        return len(self.total) * torch.finfo(torch.float64).eps * largest

    def exceed(self, points: Tensor, level: float) -> Tensor:
        """Tell where tau(z) > level for certain, bool (P,), at points (P,)."""
        parts = self.batches(points)
        return torch.cat([torch.linalg.cholesky_ex(self(p, level**2 + self.margins(p))).info == 0 for p in parts])

    def trial(self, points: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """Return v* A~ v, (P,), and ||A~ v||^2 + ||D^1/2 v||^2, (P,), of functions v that nearly attain tau.

        v comes from inverse iteration; all it is used for is true of every v of norm one.
        """
        generator = torch.Generator().manual_seed(0)
        start = torch.randn(len(self.total), 1, dtype=torch.complex128, generator=generator).to(points.device)
        means, squares = [], []
        for part in self.batches(points):
            triangle = torch.linalg.cholesky_ex(self(part, -self.margins(part))).L
            vectors = start.expand(len(part), -1, -1)
            for _ in range(iterations):
                vectors = torch.cholesky_solve(vectors, triangle)
                vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
            columns = vectors[..., 0].mT
            image = self.compression @ columns
            means.append((columns.conj() * image).sum(dim=0))
            squares.append((image.abs() ** 2).sum(dim=0) + ((self.leak @ columns).abs() ** 2).sum(dim=0))
        return torch.cat(means), torch.cat(squares)
