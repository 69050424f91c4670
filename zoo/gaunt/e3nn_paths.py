r"""Weights by degree and e3nn's weights by path, exactly, in both directions.

A product of rank R is e3nn's `TensorProduct` ("uuu", no normalisation) whose path (l1, l2, l3) of channel c has the
weight

    W[c, l1, l2, l3] = factor(l1, l2, l3) sum_r w1^r[c, l1] w2^r[c, l2] w3^r[c, l3].

Back, W / factor is to be decomposed into R terms, where paths that the product lacks are free. Some rank always
suffices; a given one may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.optimize import least_squares
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.gaunt.bracket import BracketTensorProduct
from zoo.gaunt.layout import natural_irreps
from zoo.gaunt.product import DegreeWeightedProduct, GauntTensorProduct

if TYPE_CHECKING:
    from e3nn.o3 import TensorProduct

Product = GauntTensorProduct | BracketTensorProduct

STARTS = 20
"""Random starts of a decomposition of given rank."""

REPRESENTABLE = 1e-9
"""Relative error of the weights of paths below which a decomposition counts as exact."""


def path_weights(product: DegreeWeightedProduct) -> Tensor:
    """Return the coefficients W of e3nn's 3j tensors in a product: (C, L1 + 1, L2 + 1, L3 + 1) float64."""
    factors = product.path_factors()
    if product.weight1 is None or product.weight2 is None or product.weight3 is None:
        return factors[None]
    weights = (weight.detach().double().cpu() for weight in (product.weight1, product.weight2, product.weight3))
    return factors * torch.einsum("rca,rcb,rcd->cabd", *weights)


def to_e3nn(product: Product) -> TensorProduct:
    """Return the same function as an `e3nn.o3.TensorProduct`, of the product's dtype, on flat features.

    See `zoo.gaunt.layout` for features of either layout.
    """
    from e3nn import o3

    weights, factors = path_weights(product), product.path_factors()
    paths = factors.nonzero().tolist()
    # e3nn takes the root of the weight of a path, and rounds its constants to the default dtype for good.
    instructions = [(l1, l2, l3, "uuu", True, float(factors[l1, l2, l3] ** 2)) for l1, l2, l3 in paths]
    default = torch.get_default_dtype()
    torch.set_default_dtype(next(buffer.dtype for buffer in product.buffers() if buffer.is_floating_point()))
    try:
        tensor_product = o3.TensorProduct(
            product.irreps_in1,
            product.irreps_in2,
            product.irreps_out,
            instructions,
            irrep_normalization="none",
            path_normalization="none",
        )
    finally:
        torch.set_default_dtype(default)
    by_path = [weights[:, l1, l2, l3] / factors[l1, l2, l3] for l1, l2, l3 in paths]
    with torch.no_grad():
        tensor_product.weight.copy_(torch.cat(by_path))
    return tensor_product


def from_e3nn(
    tensor_product: TensorProduct, rank: int | None = None
) -> tuple[GauntTensorProduct | None, BracketTensorProduct | None]:
    """Return the Gaunt product of an e3nn product's even paths and the bracket of its odd ones, whose sum it equals.

    Args:
        tensor_product: of arguments with C copies of each degree from 0 up, of parity (-1)^l, with one "uuu" path at
            most for each (l1, l2, l3). Even paths lead to degrees of parity (-1)^l, odd ones to the opposite; e3nn
            products of both kinds must be given in two parts.
        rank: of the result; None for one that always suffices.

    Returns:
        The two products in float64, None where there are no such paths.

    Raises:
        ValueError: the product is not of this kind; or no weights of this rank are equal to its own.
    """
    irreps = [getattr(tensor_product, f"irreps_{name}") for name in ("in1", "in2", "out")]
    channels = irreps[0][0].mul
    lmax1, lmax2, lmax3 = (len(irrep) - 1 for irrep in irreps)
    pseudo = irreps[2][0].ir.p == -1
    wanted = (natural_irreps(lmax1, channels), natural_irreps(lmax2, channels), natural_irreps(lmax3, channels, pseudo))
    for name, given, expected in zip(("in1", "in2", "out"), irreps, wanted, strict=True):
        require(given == expected, f"irreps_{name}", given, str(expected))
    weights = torch.zeros(channels, lmax1 + 1, lmax2 + 1, lmax3 + 1, dtype=torch.float64)
    for number, path in enumerate(tensor_product.instructions):
        require(path.connection_mode == "uuu", f"the connection of path {number}", path.connection_mode, "'uuu'")
        weight = tensor_product.weight_view_for_instruction(number) if path.has_weight else torch.ones(())
        weights[:, path.i_in1, path.i_in2, path.i_out] += path.path_weight * weight.detach().double().cpu()
    kind: type[Product] = BracketTensorProduct if pseudo else GauntTensorProduct
    factors = kind(lmax1, lmax2, lmax3).path_factors()
    allowed = factors > 0
    terms = decompose(weights / torch.where(allowed, factors, 1.0), allowed, rank)
    product = kind(lmax1, lmax2, lmax3, channels, rank=terms[0].size(0)).double()
    with torch.no_grad():
        for number, term in enumerate(terms, start=1):
            getattr(product, f"weight{number}").copy_(term)
    return (None, product) if isinstance(product, BracketTensorProduct) else (product, None)


def decompose(weights: Tensor, allowed: Tensor, rank: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return terms whose sum of products equals weights of paths, where paths are allowed.

    Args:
        weights: (C, A, B, D) float64.
        allowed: (A, B, D) bool; elsewhere the sum is free.
        rank: number R of terms; None for the singular vectors of all slices, which always suffice.

    Returns:
        (R, C, A), (R, C, B) and (R, C, D).

    Raises:
        ValueError: the weights are not of this rank.
    """
    if rank is None:
        return _by_slices(weights)
    require_positive(rank=rank)
    fits = [_fit(channel, allowed, rank) for channel in weights]
    first, second, third = (torch.stack(parts, dim=1) for parts in zip(*fits, strict=True))
    return first, second, third


def _by_slices(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    channels, size = weights.shape[:2]
    terms: list[tuple[Tensor, Tensor, Tensor]] = []
    for l1 in range(size):
        left, values, right = torch.linalg.svd(weights[:, l1], full_matrices=False)
        kept = int((values > 1e-14 * values.max()).any(0).sum()) if values.max() > 0 else 0
        for term in range(kept):
            selector = torch.zeros(channels, size, dtype=weights.dtype)
            selector[:, l1] = 1.0
            terms.append((selector, left[:, :, term] * values[:, term, None], right[:, term]))
    if not terms:
        terms = [tuple(torch.zeros(channels, n, dtype=weights.dtype) for n in weights.shape[1:])]  # type: ignore[list-item]
    first, second, third = (torch.stack(parts) for parts in zip(*terms, strict=True))
    return first, second, third


def _fit(weights: Tensor, allowed: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    sizes = [rank * size for size in weights.shape]
    target = weights[allowed].numpy()

    def terms(flat: Tensor) -> list[Tensor]:
        return [part.reshape(rank, -1) for part in flat.split(sizes)]

    def residuals(flat: object) -> object:
        rebuilt = torch.einsum("ra,rb,rd->abd", *terms(torch.as_tensor(flat)))
        return rebuilt[allowed].numpy() - target

    scale = max(float(weights[allowed].abs().max()), 1e-300)
    error = float("inf")
    for seed in range(STARTS):
        generator = torch.Generator().manual_seed(seed)
        start = scale ** (1 / 3) * torch.randn(sum(sizes), generator=generator, dtype=torch.float64)
        solution = least_squares(residuals, start.numpy(), xtol=1e-15, ftol=1e-15, gtol=1e-15)
        error = min(error, float(abs(solution.fun).max()) / scale)
        if error < REPRESENTABLE:
            first, second, third = terms(torch.from_numpy(solution.x))
            return first, second, third
    raise ValueError(f"rank={rank} is not allowed: the nearest weights of paths err by {error:.1e}; give a larger rank")
