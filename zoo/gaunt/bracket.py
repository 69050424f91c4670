r"""`BracketTensorProduct`: the paths that the Gaunt tensor product has lost, by the Poisson bracket of the sphere.

    {f1, f2} = r . (grad f1 x grad f2)        (surface gradients)

couples degrees of odd l1 + l2 + l3, with e3nn's 3j coefficients times b(l1, l2, l3) > 0; see `zoo.gaunt.coefficients`.
It is antisymmetric, and the cross product at degree 1. The bracket of functions of degrees L1 and L2 is a polynomial of
degree L1 + L2 - 1. Its parity is p1 p2, like that of any product: of arguments of parity (-1)^l the result is a
pseudo-tensor, of parity -(-1)^l.

Sources: the identity is derived from gradients of harmonics and tested; see also Xie et al., arXiv 2602.21466.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from zoo.gaunt.coefficients import bracket_factor, scaled_bracket_factor
from zoo.gaunt.harmonics import degrees, dim, spherical_harmonics, tangential_gradients
from zoo.gaunt.product import DegreeWeightedProduct
from zoo.gaunt.sampling import smallest_rule


class BracketTensorProduct(DegreeWeightedProduct):
    """The Poisson bracket of functions on the sphere, exact to rounding, any degree.

    With `normalize` the arguments are divided by sqrt(l (l + 1)), so that gradients of high degrees do not prevail.

    Args:
        lmax_in1: degree L1 of the first argument, >= 0.
        lmax_in2: degree L2 of the second argument, >= 0.
        lmax_out: degree L3 of the result, >= 0.
        channels: see `DegreeWeightedProduct`.
        rank: see `DegreeWeightedProduct`.
        normalize: see `DegreeWeightedProduct`.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> import torch
        >>> bracket = BracketTensorProduct(1, 1, 1)
        >>> bracket(torch.eye(4)[1:2], torch.eye(4)[2:3]).sign().int().tolist()  # x times y is z
        [[0, 0, 0, 1]]
    """

    pseudo: ClassVar[bool] = True
    gradients1: Tensor
    gradients2: Tensor
    projection: Tensor

    def __init__(
        self,
        lmax_in1: int,
        lmax_in2: int,
        lmax_out: int,
        channels: int | None = None,
        rank: int = 1,
        normalize: bool = False,
    ) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out, channels, rank, normalize)
        rule = smallest_rule(max(0, lmax_in1 + lmax_in2 + lmax_out - 1))
        for name, lmax in (("gradients1", lmax_in1), ("gradients2", lmax_in2)):
            # (d, 2N): derivatives along both directions of the frame, one after the other.
            gradients = tangential_gradients(lmax, rule.points) * self._input_scale(lmax)
            self.register_constant(name, gradients.permute(2, 0, 1).flatten(1).contiguous())
        harmonics = spherical_harmonics(lmax_out, rule.points)
        self.register_constant("projection", rule.weights[:, None] * harmonics)

    def _input_scale(self, lmax: int) -> Tensor:
        degree = degrees(lmax).double()
        return (degree * (degree + 1)).clamp(min=1).rsqrt() if self.normalize else torch.ones(dim(lmax)).double()

    def factor(self, l1: int, l2: int, l3: int) -> float:
        """See `DegreeWeightedProduct`: b(l1, l2, l3), over sqrt(l1 (l1 + 1) l2 (l2 + 1)) with `normalize`."""
        return scaled_bracket_factor(l1, l2, l3) if self.normalize else bracket_factor(l1, l2, l3)

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """See `DegreeWeightedProduct`."""
        x1, x2 = (x @ self.gradients1).chunk(2, dim=-1)
        y1, y2 = (y @ self.gradients2).chunk(2, dim=-1)
        return (x1 * y2 - x2 * y1) @ self.projection
