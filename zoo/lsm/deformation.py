"""The learned deformation of point clouds onto the unit square of the latent grid (Li et al., arXiv 2207.05209)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.checks import require

WIDTH = 32
FEATURES = 4  # x, y, angle, radius

# Rounded to float32 as published, in any precision, so that a network is the same in float32 and float64: the highest
# frequencies would turn the last digits of pi into other features. Plain numbers, which no device has to be sent.
CENTER = torch.tensor(1e-4).item()
PI = torch.tensor(math.pi).item()


class Deformation(nn.Module):
    """xi = x + x g(x, code): a perceptron g of the points, their angle and radius, and Fourier features of all four.

    Args:
        code_channels: numbers that describe the geometry of a sample; 0 for none.

    Raises:
        ValueError: `code_channels` is negative.
    """

    def __init__(self, code_channels: int = 0) -> None:
        super().__init__()
        require(type(code_channels) is int and code_channels >= 0, "code_channels", code_channels, "an integer >= 0")
        self.code_channels = code_channels
        self.features = nn.Linear(FEATURES, WIDTH)
        # One of the two exists, so that every parameter gets a gradient.
        self.code = nn.Linear(code_channels, WIDTH) if code_channels else None
        self.no_code = None if code_channels else nn.Linear(3 * WIDTH, 4 * WIDTH)
        self.layers = nn.ModuleList(nn.Linear(4 * WIDTH, 4 * WIDTH) for _ in range(3))
        self.output = nn.Linear(4 * WIDTH, 2)

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        """Return the deformed points.

        Args:
            x: points (B, N, 2).
            code: (B, code_channels), given exactly if there are any.

        Returns:
            xi, (B, N, 2).

        Raises:
            ValueError: the code is missing, or none is wanted, or it has another width.
        """
        wanted = f"(B, {self.code_channels})" if self.code_channels else "None"
        given = None if code is None else tuple(code.shape)
        if (given or (0, 0))[-1] != self.code_channels:
            raise ValueError(f"code of shape {given} is not allowed; give {wanted}")
        offset = x - CENTER
        angle = torch.atan2(offset[..., 1], offset[..., 0])
        polar = torch.cat([x, angle[..., None], torch.linalg.vector_norm(offset, dim=-1, keepdim=True)], dim=-1)
        frequencies = PI * 2.0 ** torch.arange(WIDTH // 4, dtype=x.dtype, device=x.device)
        waves = (polar[..., None] * frequencies).flatten(-2)
        features = torch.cat([self.features(polar), waves.sin(), waves.cos()], dim=-1)
        if self.code is not None:
            code_features = self.code(code)[:, None].expand(-1, x.size(1), -1)
            features = torch.cat([code_features, features], dim=-1)
        elif self.no_code is not None:
            features = self.no_code(features)
        for layer in self.layers:
            features = layer(features).tanh()
        return x + x * self.output(features)
