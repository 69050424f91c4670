"""phi: learnable functions of the spectrum, equivariant to permutations of eigenvalues (psi in the paper's code).

Every phi maps eigenvalues Lambda (B, d), of which `valid` (B, d) are no padding, to Z (B, d, M),
Z_{b,j,l} = phi_l(Lambda_b)_j. The M functions have separate weights and are evaluated together, by matrix products
batched over l. What they do (SPE, Huang et al., arXiv 2310.02579, section 3):

    mlp               phi_l(Lambda)_j = MLP_l(Lambda_j)
    deepsets          layers of  W x_j + b + U sum_j' x_j',  the sum over all d entries, padding included
    masked_deepsets   the same, the sum over valid entries only
    transformer       pre-norm self-attention blocks over the valid eigenvalues
    bare_transformer  the published one: self-attention alone, no residual, norm or feed-forward, padding included
    constant          phi = 1: W = V V^T, positional encodings that ignore the eigenvalues
    heat              phi_l(Lambda)_j = exp(-t_l Lambda_j) with learnable times t_l > 0: heat kernels
    polynomial        phi_l(Lambda)_j = sum_m c_lm (1 - Lambda_j)^m, m < M, at first (1 - Lambda_j)^l: random walks

"deepsets" and "bare_transformer" are defined by the published code and depend on how far the spectrum is padded; so
does "mlp" in training with `official_padding`. All others do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from zoo.spe.normalization import BatchNorm1d

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


class GroupedLinear(nn.Module):
    """M linear maps side by side: (M, R, in_features) -> (M, R, out_features), initialised as M `torch.nn.Linear`."""

    def __init__(self, groups: int, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(groups, in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, out_features).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply map l to x[l]."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class GroupedBatchNorm(BatchNorm1d):
    """Batch normalisation of M groups of features, (M, R, C): statistics over the R rows."""

    def __init__(self, groups: int, features: int) -> None:
        super().__init__(groups * features)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each feature of each group."""
        groups, rows, features = input.shape
        flat = input.transpose(0, 1).reshape(rows, groups * features)
        return super().forward(flat).view(rows, groups, features).transpose(0, 1)


class MLPPhi(nn.Module):
    """M elementwise perceptrons.

    Batch statistics are those of the valid eigenvalues or, with `official_padding`, of the padding too.
    """

    def __init__(
        self, channels: int, layers: int, width: int, batch_norm: bool, activation: str, official_padding: bool
    ) -> None:
        super().__init__()
        widths = [1, *[width] * (layers - 1), 1]
        self.linears = nn.ModuleList(GroupedLinear(channels, a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(
            GroupedBatchNorm(channels, width) if batch_norm else nn.Identity() for _ in range(layers - 1)
        )
        self.activation = ACTIVATIONS[activation]
        self.official_padding = official_padding
        self.channels = channels

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return Z (B, d, M), 0 at padding unless it counts."""
        if self.official_padding and self.training:
            valid = torch.ones_like(valid)
        x = eigvals[valid].expand(self.channels, -1).unsqueeze(-1)
        for linear, norm in zip(self.linears, self.norms, strict=False):
            x = self.activation(norm(linear(x)))
        z = eigvals.new_zeros(*eigvals.shape, self.channels)
        z[valid] = self.linears[-1](x).squeeze(-1).T
        return z


class DeepSetsPhi(nn.Module):
    """M deep sets, x_j <- act(W x_j + b + U sum_j' x_j').

    The published code applies the activation after the last layer as well. With ReLU a random initialisation then often
    gives phi that are zero everywhere and stay so; `final_activation=False` avoids it, and W is no longer positive
    semi-definite.
    """

    def __init__(
        self, channels: int, layers: int, width: int, activation: str, final_activation: bool, masked: bool
    ) -> None:
        super().__init__()
        widths = [1, *[width] * (layers - 1), 1]
        self.own = nn.ModuleList(GroupedLinear(channels, a, b) for a, b in pairwise(widths))
        self.total = nn.ModuleList(GroupedLinear(channels, a, b, bias=False) for a, b in pairwise(widths))
        self.activation = ACTIVATIONS[activation]
        self.final_activation = final_activation
        self.masked = masked
        self.channels = channels

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return Z (B, d, M)."""
        graphs, d = eigvals.shape
        weight = valid.to(eigvals.dtype)[:, :, None] if self.masked else 1.0
        x = eigvals[:, :, None].expand(self.channels, -1, -1, -1)
        for number, (own, total) in enumerate(zip(self.own, self.total, strict=True), start=1):
            summed = total((x * weight).sum(dim=2))
            x = own(x.reshape(self.channels, graphs * d, -1)).view(self.channels, graphs, d, -1) + summed[:, :, None]
            if number < len(self.own) or self.final_activation:
                x = self.activation(x)
        return x.squeeze(-1).permute(1, 2, 0)


class TransformerPhi(nn.Module):
    """M small transformers over the eigenvalues of a graph.

    Pre-norm blocks of self-attention and feed-forward network over the valid eigenvalues; or, `bare` as published,
    nothing but layers of self-attention over all d entries. Attention alone averages: at first, a bare phi is nearly
    the same for all eigenvalues, and W nearly a multiple of V V^T.
    """

    def __init__(self, channels: int, layers: int, width: int, heads: int, bare: bool) -> None:
        super().__init__()
        block = _SelfAttention if bare else _TransformerPhiBlock
        self.embedding = GroupedLinear(channels, 1, width)
        self.blocks = nn.ModuleList(block(channels, width, heads) for _ in range(layers))
        self.output = GroupedLinear(channels, width, 1)
        self.bare = bare
        self.channels = channels

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return Z (B, d, M)."""
        x = self.embedding(eigvals.flatten().expand(self.channels, -1).unsqueeze(-1))
        attended = torch.ones_like(valid) if self.bare else valid
        for block in self.blocks:
            x = block(x, attended)
        return self.output(x).view(self.channels, *eigvals.shape).permute(1, 2, 0)


class _SelfAttention(nn.Module):
    """M multi-head self-attentions, each with the formula of `torch.nn.MultiheadAttention`."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = GroupedLinear(channels, width, 3 * width)
        self.mix = GroupedLinear(channels, width, width)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """Mix x (M, B * d, width) over the entries of each graph that are attended to, (B, d)."""
        groups, rows, width = x.shape
        heads = self.query_key_value(x).view(groups, *attended.shape, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(3, 0, 1, 4, 2, 5)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=attended[:, None, None, :])
        return self.mix(mixed.transpose(2, 3).reshape(groups, rows, width))


class _TransformerPhiBlock(nn.Module):
    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = _SelfAttention(channels, width, heads)
        self.expand = GroupedLinear(channels, width, 2 * width)
        self.contract = GroupedLinear(channels, 2 * width, width)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """Update x (M, B * d, width)."""
        x = x + self.attention(self.norms[0](x), attended)
        return x + self.contract(torch.relu(self.expand(self.norms[1](x))))


class ConstantPhi(nn.Module):
    """phi = 1 in all M channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return ones (B, d, M)."""
        return eigvals.new_ones(*eigvals.shape, self.channels)


class HeatPhi(nn.Module):
    """phi_l = exp(-t_l Lambda), times learnable on a logarithmic scale, at first spread over 0.1 .. 10."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_times = nn.Parameter(torch.linspace(math.log(0.1), math.log(10.0), channels))

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return Z (B, d, M)."""
        return torch.exp(-eigvals[:, :, None] * self.log_times.exp())


class PolynomialPhi(nn.Module):
    """phi_l = sum_m c_lm (1 - Lambda)^m, m < M; at first the l-step random walk, GRIT's RRWP up to degrees."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.eye(channels))

    def forward(self, eigvals: Tensor, valid: Tensor) -> Tensor:
        """Return Z (B, d, M)."""
        powers = (1 - eigvals)[:, :, None] ** torch.arange(len(self.coefficients), device=eigvals.device)
        return powers @ self.coefficients.T


PHIS = ("mlp", "deepsets", "masked_deepsets", "transformer", "bare_transformer", "constant", "heat", "polynomial")


def make_phi(
    name: str,
    channels: int,
    layers: int = 3,
    width: int = 16,
    batch_norm: bool = True,
    activation: str = "relu",
    final_activation: bool = False,
    heads: int = 1,
    official_padding: bool = False,
) -> nn.Module:
    """Return the phi of a name in `PHIS`; arguments that it has no use for are ignored.

    Args:
        name: which phi.
        channels: number of functions M.
        layers: layers of mlp and deepsets, blocks of the transformers.
        width: width of the hidden layers.
        batch_norm: batch normalisation in mlp.
        activation: "relu" or "tanh", in mlp and deepsets.
        final_activation: activation also after the last layer of deepsets.
        heads: attention heads of both transformers.
        official_padding: in training, count padding in the batch statistics of mlp.
    """
    match name:
        case "mlp":
            return MLPPhi(channels, layers, width, batch_norm, activation, official_padding)
        case "deepsets" | "masked_deepsets":
            return DeepSetsPhi(channels, layers, width, activation, final_activation, masked=name == "masked_deepsets")
        case "transformer" | "bare_transformer":
            return TransformerPhi(channels, layers, width, heads, bare=name == "bare_transformer")
        case "constant":
            return ConstantPhi(channels)
        case "heat":
            return HeatPhi(channels)
        case "polynomial":
            return PolynomialPhi(channels)
    raise ValueError(f"phi={name!r} is not allowed; give one of {', '.join(map(repr, PHIS))}")
