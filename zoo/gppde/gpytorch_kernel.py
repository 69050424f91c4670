"""The mixture kernels as kernels of GPyTorch, for those who have models there (the extra `gpytorch`).

Values only: GPyTorch's kernels with gradients have neither the cosine nor all second derivatives; use this package's
own solvers where derivatives are data.
"""

from __future__ import annotations

from typing import Any

import gpytorch
import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.kernels import SpectralMixture


class GPyTorchMixture(gpytorch.kernels.Kernel):
    """A spectral mixture kernel in one dimension; its parameters are trained in the log domain, as here.

    Args:
        kernel: where the parameters start; leading dimensions become the batch shape.
        **kwargs: of `gpytorch.kernels.Kernel`, as `active_dims`.
    """

    is_stationary = True

    def __init__(self, kernel: SpectralMixture, **kwargs: Any) -> None:
        super().__init__(batch_shape=kernel.log_weight.shape[:-1], **kwargs)
        self.kind = kernel.kind
        for name in ("log_weight", "log_scale", "frequency"):
            self.register_parameter(name, torch.nn.Parameter(getattr(kernel, name).detach().clone()))

    @property
    def mixture(self) -> SpectralMixture:
        """The kernel with its present parameters."""
        return SpectralMixture(self.kind, self.log_weight, self.log_scale, self.frequency)

    def forward(
        self, x1: Tensor, x2: Tensor, diag: bool = False, last_dim_is_batch: bool = False, **params: Any
    ) -> Tensor:
        """Return the covariances of x1 (..., n, 1) and x2 (..., m, 1), (..., n, m), or their diagonal.

        Raises:
            ValueError: the points have more than one coordinate; choose one by `active_dims`.
        """
        require(x1.size(-1) == 1, "x1", tuple(x1.shape), "points with one coordinate; choose it by active_dims")
        if diag:
            variance = self.log_weight.exp().sum(-1)
            return variance[..., None].expand(*torch.broadcast_shapes(variance.shape, x1.shape[:-2]), x1.size(-2))
        require(x1.ndim == x2.ndim == 2, "x1", tuple(x1.shape), "points (n, 1) without a batch dimension")
        return self.mixture.derivatives(x1 - x2.mT, [0])[0]
