"""The neural spectral block (Wu et al., ICML 2023, section 3.2, with the constants of the published code).

In every patch, attention projects the points onto T latent tokens, a residual sum of trigonometric functions maps each
entry of the tokens by itself, and attention brings the tokens back to the points:

    z' = z + sum_j W_j sin(pi j z / K) + sum_j W_{K+j} cos(pi j z / K),    j = 0..K-1

There is no mixing of channels or tokens in the map; sin(0) = 0 makes W_0 dead, and cos(0) = 1 makes W_K a bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.checks import require, require_positive
from zoo.lsm.patches import patchify, unpatchify
from zoo.lsm.projection import decode_direct, decode_folded, encode_direct, encode_folded, folding_pays


def transition(tokens: Tensor, weights: Tensor) -> Tensor:
    """Map each entry of the tokens by its channel's trigonometric sum.

    Args:
        tokens: z, (P, h, T, d).
        weights: W, (C, 2 K) with C = h d, coefficients of the sines, then of the cosines.

    Returns:
        z', (P, h, T, d).
    """
    basis = weights.size(1) // 2
    # Made here in the dtype of the tokens: a buffer would keep float32's digits when the network becomes float64.
    frequencies = torch.arange(basis, dtype=tokens.dtype, device=tokens.device) * (math.pi / basis)
    angles = tokens[..., None] * frequencies
    sines, cosines = weights.unflatten(0, (tokens.size(1), 1, tokens.size(3))).split(basis, dim=-1)
    return tokens + (angles.sin() * sines).sum(-1) + (angles.cos() * cosines).sum(-1)


class NeuralSpectralBlock(nn.Module):
    """Attention to latent tokens, trigonometric map, attention back, and a residual around all of it.

    Softmax, sines and cosines are taken in float32 at least, under autocast too. The form of the attention follows from
    the number of channels: direct or folded, see `zoo.lsm.projection`; both have the same parameters.

    Args:
        width: channels C, a multiple of `heads`.
        tokens: latent tokens T of each patch.
        basis: number K of frequencies.
        heads: of the attention.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, width: int, tokens: int = 4, basis: int = 12, heads: int = 8) -> None:
        super().__init__()
        require_positive(width=width, tokens=tokens, basis=basis, heads=heads)
        require(width % heads == 0, "width", width, f"a multiple of heads={heads}")
        self.weights = nn.Parameter(torch.rand(width, 2 * basis) / width)
        self.latent = nn.Parameter(torch.rand(heads, tokens, width // heads) / width)
        self.encoder = nn.Linear(width, 2 * width)
        self.decoder = nn.Linear(width, width)
        self.folded = folding_pays(width, heads, tokens)

    def encode(self, patches: Tensor) -> Tensor:
        """Return the latent tokens (P, h, T, d) of patches (P, L, C)."""
        encode = encode_folded if self.folded else encode_direct
        return encode(patches, *_as(patches, self.latent, self.encoder.weight, self.encoder.bias))

    def decode(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Return what the points of patches (P, L, C) get from tokens (P, h, T, d): (P, L, C)."""
        decode = decode_folded if self.folded else decode_direct
        return decode(patches, tokens, *_as(patches, self.decoder.weight, self.decoder.bias))

    def forward(self, x: Tensor, patch: Sequence[int]) -> Tensor:
        """Return the feature map (B, C, *grid) after the block.

        Args:
            x: (B, C, *grid).
            patch: points of a patch along each axis, each a divisor of the size of the grid.
        """
        with torch.autocast(x.device.type, enabled=False):
            patches = patchify(x, patch)
            patches = patches if patches.dtype == torch.float64 else patches.float()
            tokens = transition(self.encode(patches), *_as(patches, self.weights))
            # The sum takes the memory format of x.
            return x + unpatchify(self.decode(patches, tokens).to(x.dtype), patch, x.shape[2:])


def _as(like: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    return tuple(parameter.to(like.dtype) for parameter in parameters)
