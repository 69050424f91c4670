"""Eigen-CAM and its relatives: maps from the activations of a layer and, for the class-aware ones, their gradients.

    eigen          L = X v_1 (Muhammad and Yeasin, 2020, arXiv 2008.00299); class-agnostic, as all without a gradient
    eigen-grad     the same of activations times gradients (of the package `grad-cam`)
    seg-eigen      the same of activations times absolute gradients, centred (Chung and Ying, Appl. Sci. 15(13), 2025)
    kpca           first component of kernel principal component analysis (KPCA-CAM, 2024)
    grad           sum over channels, weighted by their mean gradients (Selvaraju et al., 2017, arXiv 1610.02391)
    grad++         the same with weights of pixels (Chattopadhay et al., 2018, arXiv 1710.11063, equation 19)
    lafam          mean over channels (LaFAM, 2024)
    energy         norm over channels
    fem            sum over channels, weighted by how often each is exceptionally large (Fuad et al., 2020)

All take activations (B, C, h, w), or (B, C, d, h, w) of volumes, and return raw maps (B, h, w) or (B, d, h, w).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from zoo.checks import require_choice
from zoo.eigencam.cam import eigen_cam

Kernel = Literal["sigmoid", "rbf", "linear", "poly", "cosine"]
KERNELS = ("sigmoid", "rbf", "linear", "poly", "cosine")


def eigen_grad_cam(activations: Tensor, gradients: Tensor, **options: Any) -> Tensor:
    """Return the first component of activations times gradients, which rises with their sum over channels.

    Args:
        activations: (B, C, h, w).
        gradients: of the class score with respect to the activations, the same shape.
        **options: those of `eigen_cam`, by default sign="mean".
    """
    return eigen_cam(activations * gradients, **{"sign": "mean", **options}).maps[:, 0]


def seg_eigen_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return the first component of the centred activations times absolute gradients, its largest entry positive."""
    return eigen_cam(activations * gradients.abs(), mode="centered", sign="magnitude").maps[:, 0]


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return the sum over channels of the activations, weighted by the channels' mean gradients."""
    return weighted(activations, grad_cam_weights(activations, gradients)).sum(1)


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return the sum over channels of the activations, weighted by the channels' pixel-wise weighted gradients."""
    return weighted(activations, grad_cam_plus_plus_weights(activations, gradients)).sum(1)


def lafam(activations: Tensor) -> Tensor:
    """Return the mean over channels."""
    return activations.mean(1)


def energy_cam(activations: Tensor) -> Tensor:
    """Return the Euclidean norm over channels."""
    return torch.linalg.vector_norm(activations, dim=1)


def fem(activations: Tensor, deviations: float = 2.0) -> Tensor:
    """Return the sum over channels, weighted by how often each is `deviations` standard deviations above its mean."""
    flat = activations.flatten(2)
    threshold = flat.mean(2, keepdim=True) + deviations * flat.std(2, correction=0, keepdim=True)
    return weighted(activations, (flat > threshold).to(flat.dtype).mean(2)).sum(1)


def kpca_cam(activations: Tensor, kernel: Kernel = "sigmoid", gamma: float | None = None) -> Tensor:
    """Return the first component of kernel principal component analysis of the centred activations.

    Kernels and their defaults are scikit-learn's: tanh(gamma x.y + 1), exp(-gamma |x - y|^2), x.y, (gamma x.y + 1)^3
    and the cosine. The component is oriented by the energy of the activations.

    Args:
        activations: (B, C, h, w).
        kernel: "sigmoid", "rbf", "linear", "poly" or "cosine".
        gamma: scale of the kernel, by default 1 / C.

    Raises:
        ValueError: `kernel` is not allowed.
    """
    require_choice("kernel", kernel, KERNELS)
    batch, num_channels, *shape = activations.shape
    features = activations.flatten(2).mT
    centered = features - features.mean(1, keepdim=True)
    gram = _kernel_matrix(centered, kernel, 1 / num_channels if gamma is None else gamma)
    rows = gram.mean(1, keepdim=True)
    gram = gram - rows - rows.mT + rows.mean(2, keepdim=True)
    eigvals, eigvecs = torch.linalg.eigh(gram)
    component = eigvecs[..., -1] * eigvals[:, -1:].clamp(min=0).sqrt()
    energy = torch.linalg.vector_norm(features, dim=2)
    covariance = (component * (energy - energy.mean(1, keepdim=True))).sum(1, keepdim=True)
    return torch.where(covariance < 0, -component, component).reshape(batch, *shape)


def _kernel_matrix(features: Tensor, kernel: Kernel, gamma: float) -> Tensor:
    products = torch.bmm(features, features.mT)
    if kernel == "sigmoid":
        return torch.tanh(gamma * products + 1)
    if kernel == "rbf":
        squares = products.diagonal(dim1=1, dim2=2)
        return torch.exp(-gamma * (squares.unsqueeze(1) + squares.unsqueeze(2) - 2 * products).clamp(min=0))
    if kernel == "poly":
        return (gamma * products + 1) ** 3
    if kernel == "cosine":
        norms = products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        norms = torch.where(norms > 0, norms, 1.0)
        return products / (norms.unsqueeze(1) * norms.unsqueeze(2))
    return products


def grad_cam_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return Grad-CAM's weights of the channels, (B, C)."""
    return gradients.flatten(2).mean(2)


def grad_cam_plus_plus_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return Grad-CAM++'s weights of the channels, (B, C)."""
    flat = gradients.flatten(2)
    total = activations.flatten(2).sum(2, keepdim=True)
    alpha = flat**2 / (2 * flat**2 + total * flat**3 + 1e-6)
    return (torch.where(flat != 0, alpha, 0.0) * flat.clamp(min=0)).sum(2)


def weighted(activations: Tensor, weights: Tensor) -> Tensor:
    """Return activations times the weights (B, C) of their channels."""
    return activations * weights.reshape(*weights.shape, *(1,) * (activations.dim() - 2))


WITHOUT_GRADIENT: dict[str, Callable[..., Tensor]] = {
    "lafam": lafam,
    "energy": energy_cam,
    "fem": fem,
    "kpca": kpca_cam,
}
WITH_GRADIENT: dict[str, Callable[..., Tensor]] = {
    "seg-eigen": seg_eigen_cam,
    "grad": grad_cam,
    "grad++": grad_cam_plus_plus,
}
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad": grad_cam_weights,
    "grad++": grad_cam_plus_plus_weights,
}
METHODS = ("eigen", "eigen-grad", *WITH_GRADIENT, *WITHOUT_GRADIENT)
"""Names of all maps."""

NEEDS_GRADIENT = ("eigen-grad", *WITH_GRADIENT)
"""Names of those that need a class and the gradient of its score."""
