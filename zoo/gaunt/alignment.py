r"""Rotations that bring directions to the polar axis y, applied to coefficients.

A rotation about y by an angle mixes only (l, m) and (l, -m). With Q the quarter turn about z that takes x to y, the
rotation that takes r = (sin t sin p, cos t, sin t cos p) to y is Q^-1 R_y(-t) Q R_y(-p): two sparse rotations and two
constant matrices.

Angles are singular at the poles. Directions near them are turned by Q first, into a chart where they lie on the
equator; so what is invariant under rotations about the direction has smooth derivatives of any order everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.harmonics import degrees, dim, spherical_harmonics
from zoo.gaunt.quadrature import gauss_legendre

POLAR = 0.9
"""|cos t| beyond which a direction counts as near a pole."""


class Alignment(ConstantModule):
    """Rotate the coefficients of functions of degree L, one rotation for each direction.

    Args:
        lmax: degree L.
    """

    turn: Tensor
    order: Tensor
    opposite: Tensor

    def __init__(self, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        rule = gauss_legendre(2 * lmax)
        turned = spherical_harmonics(lmax, quarter_turn(rule.points))
        turn = turned.T @ (rule.weights[:, None] * spherical_harmonics(lmax, rule.points))
        degree = degrees(lmax)
        self.register_constant("turn", torch.where(degree[:, None] == degree, turn, 0.0))
        order = torch.arange(dim(lmax)) - degree**2 - degree
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("opposite", degree**2 + degree - order, persistent=False)

    def frames(self, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what rotates functions so that unit vectors (E, 3) come to lie at the pole, for the two methods below.

        Returns:
            Cosines and sines of m p and of m t, (2, E, 1, d(L)) each, and which directions are near a pole (E, 1, 1).
        """
        polar = directions[:, 1:2].abs() > POLAR
        x, y, z = torch.where(polar, quarter_turn(directions), directions).unbind(1)
        sine = (x.square() + z.square()).sqrt()
        angles = torch.stack([torch.stack([z / sine, y]), torch.stack([x / sine, sine])], dim=-1)  # (2, E, 2)
        powers = [torch.stack([torch.ones_like(angles[..., 0]), torch.zeros_like(angles[..., 0])], dim=-1)]
        for _ in range(self.lmax):
            real, imaginary = powers[-1].unbind(-1)
            c, s = angles.unbind(-1)
            powers.append(torch.stack([real * c - imaginary * s, real * s + imaginary * c], dim=-1))
        waves = torch.stack(powers, dim=-2)[..., self.order.abs(), :].unsqueeze(2)
        return waves[..., 0], waves[..., 1] * self.order.sign(), polar[:, :, None]

    def align(self, x: Tensor, frames: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return the functions with coefficients (E, C, d(L)), rotated so that their directions are the pole."""
        cosines, sines, polar = frames
        x = torch.where(polar, x @ self.turn.T, x)
        x = cosines[0] * x + sines[0] * x[..., self.opposite]
        x = x @ self.turn.T
        x = cosines[1] * x + sines[1] * x[..., self.opposite]
        return x @ self.turn

    def restore(self, x: Tensor, frames: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return the inverse of `align`."""
        cosines, sines, polar = frames
        x = x @ self.turn.T
        x = cosines[1] * x - sines[1] * x[..., self.opposite]
        x = x @ self.turn
        x = cosines[0] * x - sines[0] * x[..., self.opposite]
        return torch.where(polar, x @ self.turn, x)


def quarter_turn(vectors: Tensor) -> Tensor:
    """Return vectors (..., 3) turned about z, x to y and y to -x."""
    x, y, z = vectors.unbind(-1)
    return torch.stack([-y, x, z], dim=-1)
