"""Dictionaries of radial functions around centres, and where to put these."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.cluster.vq
import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.koopman.dictionaries import Dictionary

RadialKernel = Literal["gaussian", "laplacian", "thin_plate"]


class RadialFunctions(Dictionary):
    """Radial functions around centres: exp(-(factor r / scale)^2), exp(-factor r / scale), or r^2 log(r + 1e-4).

    Args:
        centers: (N, d), for instance from `kmeans_centers`.
        kernel: "gaussian", "laplacian" (the authors' choice for oscillators, with factor 2) or "thin_plate".
        scale: of distances, such as the mean distance of the data from their mean; unused by "thin_plate".
        factor: multiplies r / scale.
    """

    centers: Tensor
    scale: Tensor

    def __init__(
        self, centers: Tensor, kernel: RadialKernel = "laplacian", scale: float = 1.0, factor: float = 1.0
    ) -> None:
        require_choice("kernel", kernel, get_args(RadialKernel))
        require(centers.ndim == 2, "centers", tuple(centers.shape), "a matrix (N, d)")
        require(scale > 0, "scale", scale, "a number > 0")
        super().__init__(centers.shape[1], [f"{kernel}{i + 1}" for i in range(len(centers))])
        self.kernel, self.factor = kernel, factor
        self.register_buffer("centers", centers.to(torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def adapt(self, x: Tensor) -> None:
        """Put the centres and the scale where states (M, d) are: clusters, and the mean distance from the mean.

        Raises:
            ValueError: there are fewer states than centres.
        """
        self.centers.copy_(kmeans_centers(x, len(self.centers)))
        self.scale.fill_(mean_radius(x))

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, d), (M, N)."""
        # Differences and not inner products: these would leave 1e-8 where a state is a centre.
        mode = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(x, self.centers.to(x.dtype), compute_mode=mode)
        if self.kernel == "thin_plate":
            return distance**2 * torch.log(distance + 1e-4)
        exponent = self.factor * distance / self.scale.to(x.dtype)
        return torch.exp(-(exponent**2 if self.kernel == "gaussian" else exponent))


def kmeans_centers(x: Tensor, count: int, seed: int = 0, iterations: int = 50) -> Tensor:
    """Return centres of clusters of states (M, d), (count, d) float64, by Lloyd's algorithm from distinct states.

    Raises:
        ValueError: there are fewer states than centres.
    """
    require_positive(count=count)
    require(count <= len(x), "count", count, f"at most {len(x)}, the number of states")
    states = x.detach().cpu().double().numpy()
    start = states[np.random.default_rng(seed).choice(len(states), count, replace=False)]
    centers, _ = scipy.cluster.vq.kmeans2(states, start, iter=iterations, minit="matrix", missing="warn")
    return torch.from_numpy(centers)


def mean_radius(x: Tensor) -> float:
    """Return the mean distance of states (M, d) from their mean, the length unit of kernels and radial functions."""
    return float(torch.linalg.vector_norm(x - x.mean(dim=0), dim=1).mean())
