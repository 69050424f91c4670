"""The two attentions of the neural spectral block: points of a patch to latent tokens, and back.

    encoder   a = softmax_L(q . k(x)),  z = a v(x) + q        queries q are learned, the same for all patches
    decoder   a = softmax_T(r(x) . z),  y = a z

Keys, values and decoder queries r are linear in x; the logits are not scaled. With q constant, the projections can be
taken out of the sums over points (section "folded"): logits are x . (Wk^T q), since the key's bias shifts all logits of
a token alike; values are projected after pooling, z = Wv (a x) + bv + q, as the weights a sum to 1; and the decoder's
logits are x . (Wd^T z) + bd . z. Per point that takes 4 h T C products instead of 3 C^2.

Shapes: P patches of L points with C channels, h heads of d = C / h channels, T tokens; channel = head * d + position in
the head. The encoder's 2 C outputs are interleaved: output 2 c is the key and 2 c + 1 the value of channel c.
"""

from __future__ import annotations

from torch import Tensor, einsum, eye
from torch.nn.functional import linear


def folding_pays(channels: int, heads: int, tokens: int) -> bool:
    """Tell whether the folded form takes fewer products per point than the direct one."""
    return 3 * channels > 4 * heads * tokens


def encode_direct(patches: Tensor, latent: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Pool the points of each patch into latent tokens.

    Args:
        patches: x, (P, L, C).
        latent: q, (h, T, d).
        weight: of the linear map to interleaved keys and values, (2 C, C).
        bias: of that map, (2 C,).

    Returns:
        z, (P, h, T, d).
    """
    heads, _, width = latent.shape
    projected = linear(patches, weight, bias).unflatten(-1, (heads, width, 2))
    keys, values = projected.permute(4, 0, 2, 1, 3)  # (P, h, L, d) each
    attention = (latent @ keys.mT).softmax(-1)
    return attention @ values + latent


def encode_folded(patches: Tensor, latent: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the same as `encode_direct`, with the projections taken out of the sums over points."""
    heads, tokens, width = latent.shape
    keys, values = weight.unflatten(0, (heads, width, 2)).unbind(2)  # (h, d, C) each
    queries = (latent @ keys).flatten(0, 1)  # (h T, C)
    attention = linear(patches, queries).softmax(1)  # (P, L, h T)
    pooled = (attention.mT @ patches).unflatten(1, (heads, tokens))
    return einsum("ahtx,hcx->ahtc", pooled, values) + (latent + bias.unflatten(0, (heads, 1, width, 2))[..., 1])


def decode_direct(patches: Tensor, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return to each point a mean of its patch's tokens.

    Args:
        patches: x, (P, L, C).
        tokens: z, (P, h, T, d).
        weight: of the linear map to queries, (C, C).
        bias: of that map, (C,).

    Returns:
        y, (P, L, C).
    """
    heads, width = tokens.size(1), tokens.size(3)
    queries = linear(patches, weight, bias).unflatten(-1, (heads, width)).transpose(1, 2)  # (P, h, L, d)
    attention = (queries @ tokens.mT).softmax(-1)
    return (attention @ tokens).transpose(1, 2).flatten(2)


def decode_folded(patches: Tensor, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the same as `decode_direct`, with the projection taken out of the sums over points."""
    heads, number, width = tokens.shape[1:]
    keys = einsum("hcx,ahtc->ahtx", weight.unflatten(0, (heads, width)), tokens).flatten(1, 2)  # (P, h T, C)
    offsets = einsum("hc,ahtc->aht", bias.unflatten(0, (heads, width)), tokens).flatten(1)
    logits = (patches @ keys.mT + offsets[:, None]).unflatten(-1, (heads, number))
    attention = logits.softmax(-1).flatten(2)  # (P, L, h T)
    # Block-diagonal tokens, so that one product serves all heads.
    diagonal = eye(heads, dtype=tokens.dtype, device=tokens.device)[:, None, :, None]
    return attention @ (tokens[:, :, :, None] * diagonal).reshape(len(tokens), heads * number, heads * width)
