"""LSM on point clouds: the U-Net on a latent grid, between two Fourier transforms of scattered points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from zoo.checks import require, require_choice, require_positive
from zoo.lsm.convolutions import Norm
from zoo.lsm.deformation import Deformation
from zoo.lsm.fourier import HERMITIANS, Hermitian, SpectralProjection
from zoo.lsm.grid_network import HIDDEN, unit_grid
from zoo.lsm.patches import REDUCTION
from zoo.lsm.unet import UNet
from zoo.registry import register


@register("lsm-points")
class PointLSM(nn.Module):
    """Latent spectral model on points in the plane: from features of the points to fields at these or other points.

    Points are deformed by a learned map, their features are transformed to Fourier modes and to a latent grid, the
    U-Net with spectral blocks runs there, and its output is evaluated at the points. The sum over points is not
    normalised: a point that is given twice counts twice.

    Args:
        in_channels: features of a point; 2 for its position, which is the default of `forward`.
        out_channels: channels of the output.
        code_channels: numbers that describe the geometry of a sample; 0 for none.
        width: see `LSM`.
        modes: Fourier modes along each axis, at most half the size of the latent grid.
        latent_size: points of the latent grid along each axis, a multiple of 16.
        hermitian: "exact", or "official" for weights that were trained with the published code, see `zoo.lsm.fourier`.
        tokens: see `LSM`.
        basis: see `LSM`.
        heads: see `LSM`.
        norm: see `LSM`.
        spectral: see `LSM`.
        recompute: see `LSM`.

    Example:
        >>> import torch
        >>> PointLSM(out_channels=1, width=8, latent_size=32, modes=4)(torch.rand(2, 50, 2)).shape
        torch.Size([2, 50, 1])

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 1,
        code_channels: int = 0,
        width: int = 32,
        modes: int = 12,
        latent_size: int = 96,
        hermitian: Hermitian = "exact",
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        norm: Norm = "batch",
        spectral: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        require_positive(in_channels=in_channels, out_channels=out_channels, width=width, heads=heads, modes=modes)
        multiple = type(latent_size) is int and latent_size >= 2 * REDUCTION and latent_size % REDUCTION == 0
        require(multiple, "latent_size", latent_size, f"a multiple of {REDUCTION} >= {2 * REDUCTION}")
        require(2 * modes <= latent_size, "modes", modes, f"at most half of latent_size={latent_size}")
        require_choice("hermitian", hermitian, HERMITIANS)
        self.in_channels, self.latent_size, self.hermitian = in_channels, latent_size, hermitian
        self.unet = UNet(2, width, tokens, basis, heads, norm, spectral, recompute)
        self.lift = nn.Linear(in_channels, width)
        self.enter = SpectralProjection(width, modes)
        self.leave = SpectralProjection(width, modes)
        self.grid_features = nn.Linear(2, width)
        self.point_features = nn.Linear(2, width)
        self.hidden = nn.Linear(width, HIDDEN)
        self.project = nn.Linear(HIDDEN, out_channels)
        self.deformation = Deformation(code_channels)

    def forward(
        self,
        positions: Tensor,
        code: Tensor | None = None,
        features: Tensor | None = None,
        queries: Tensor | None = None,
    ) -> Tensor:
        """Return the output at points.

        Args:
            positions: of the given points, (B, N, 2).
            code: of the geometry, (B, code_channels), given exactly if there are any.
            features: of the given points, (B, N, in); None for their positions.
            queries: positions (B, M, 2) at which the output is wanted; None for the given points.

        Returns:
            (B, M, out).

        Raises:
            ValueError: an input has another shape.
        """
        features = positions if features is None else features
        for name, entry, channels in (
            ("positions", positions, 2),
            ("features", features, self.in_channels),
            ("queries", positions if queries is None else queries, 2),
        ):
            if entry.dim() != 3 or entry.size(-1) != channels:
                raise ValueError(f"{name} of shape {tuple(entry.shape)} is not allowed; give (B, points, {channels})")
        # Phases of many turns and sums over all points: not in half precision.
        with torch.autocast(positions.device.type, enabled=False):
            xi = self.deformation(positions, code)
            targets = positions if queries is None else queries
            xi_targets = xi if queries is None else self.deformation(queries, code)
            u = self.enter.to_grid(self.lift(features).mT, xi, self.latent_size)
        grid = unit_grid((self.latent_size, self.latent_size), positions.device).to(positions.dtype)
        u = self.unet(gelu(u + self.grid_features(grid).movedim(-1, 0)), [self.latent_size // REDUCTION] * 2)
        with torch.autocast(positions.device.type, enabled=False):
            u = self.leave.to_points(u.to(xi.dtype), xi_targets, self.hermitian).mT + self.point_features(targets)
        return self.project(gelu(self.hidden(u)))
