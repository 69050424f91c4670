r"""`GauntTensorProduct`: the product of functions on the sphere as an equivariant bilinear map.

    z = sum_r P_L3 [ w3^r . ( f_{w1^r . x} * f_{w2^r . y} ) ],      f_x = sum_lm x_lm Y_lm,      (w . x)_lm = w_l x_lm

Its coefficients are Clebsch-Gordan coefficients times g(l1, l2, l3) w1_l1 w2_l2 w3_l3, see `zoo.gaunt.coefficients`;
paths of odd l1 + l2 + l3 are missing, which `zoo.gaunt.bracket.BracketTensorProduct` has. R terms make the weights of
paths a tensor of rank R instead of 1.

Source: Luo, Chen, Krishnapriyan, ICLR 2024, arXiv 2401.10216, sections 3.1 and 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from zoo.checks import require, require_choice, require_positive
from zoo.gaunt.coefficients import factor_table, gaunt_factor, unit_variance_scales
from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.costs import fastest_backend
from zoo.gaunt.fourier import FourierSampling
from zoo.gaunt.harmonics import degrees, dim, require_degree
from zoo.gaunt.layout import natural_irreps
from zoo.gaunt.low_rank import RANKS, LowRankSampling
from zoo.gaunt.quadrature import LEBEDEV_ORDERS
from zoo.gaunt.sampling import AntipodalSampling, DenseSampling, Sampling, SeparableSampling

if TYPE_CHECKING:
    from e3nn.o3 import Irreps

BACKENDS: dict[str, Callable[[int, int, int], Sampling]] = {
    "dense": DenseSampling,
    "antipodal": AntipodalSampling,
    "separable": SeparableSampling,
    "fourier": FourierSampling,
    "low_rank": LowRankSampling,
}
"""Ways to compute the same product."""

DegreeWeights = tuple[Tensor | None, Tensor | None, Tensor | None]
"""w1 (..., R, C, L1 + 1), w2 (..., R, C, L2 + 1), w3 (..., R, C, L3 + 1), each broadcastable; None for ones."""


class DegreeWeightedProduct(ConstantModule):
    """What products of two features share: weights by degree, of any rank, and the variance of the result.

    Args:
        lmax_in1: degree L1 of the first argument, >= 0.
        lmax_in2: degree L2 of the second argument, >= 0.
        lmax_out: degree L3 of the result, >= 0; at most L1 + L2 of it is not zero.
        channels: number C of channels, which have learnt weights of their own; None for a product without weights.
        rank: number R of terms with weights of their own, >= 1.
        normalize: scale each degree of the result so that arguments of independent entries of unit variance give unit
            variance, on average over m.

    Raises:
        ValueError: an argument is out of its range.
    """

    pseudo: ClassVar[bool] = False
    """Whether the product of tensors of parity (-1)^l has the opposite parity."""

    scale: Tensor
    weight1: nn.Parameter | None
    weight2: nn.Parameter | None
    weight3: nn.Parameter | None
    degrees1: Tensor
    degrees2: Tensor
    degrees3: Tensor

    def __init__(
        self, lmax_in1: int, lmax_in2: int, lmax_out: int, channels: int | None, rank: int, normalize: bool
    ) -> None:
        super().__init__()
        require_degree(lmax_in1=lmax_in1, lmax_in2=lmax_in2, lmax_out=lmax_out)
        require_positive(rank=rank)
        require(channels is not None or rank == 1, "rank", rank, "1 where channels=None, or a number of channels")
        self.lmax_in1, self.lmax_in2, self.lmax_out = lmax_in1, lmax_in2, lmax_out
        self.channels, self.rank, self.normalize = channels, rank, normalize
        for number, lmax in enumerate((lmax_in1, lmax_in2, lmax_out), start=1):
            weight = None
            if channels is not None:
                require_positive(channels=channels)
                # Unit variance of the sum of R products of three.
                weight = nn.Parameter(torch.randn(rank, channels, lmax + 1) * rank ** (-1 / 6))
            self.register_parameter(f"weight{number}", weight)
            self.register_buffer(f"degrees{number}", degrees(lmax), persistent=False)
        if normalize:
            scales = unit_variance_scales(factor_table(self.factor, lmax_in1, lmax_in2, lmax_out))
            self.register_constant("scale", scales[degrees(lmax_out)])

    @property
    def irreps_in1(self) -> Irreps:
        """The first argument in e3nn's terms: C copies of each degree, of parity (-1)^l."""
        return natural_irreps(self.lmax_in1, self.channels or 1)

    @property
    def irreps_in2(self) -> Irreps:
        """The second argument in e3nn's terms."""
        return natural_irreps(self.lmax_in2, self.channels or 1)

    @property
    def irreps_out(self) -> Irreps:
        """The result in e3nn's terms."""
        return natural_irreps(self.lmax_out, self.channels or 1, self.pseudo)

    def factor(self, l1: int, l2: int, l3: int) -> float:
        """Return the coefficient of e3nn's 3j tensor of degrees (l1, l2, l3) in the product without weights."""
        raise NotImplementedError(f"{type(self).__name__} must define factor()")

    def path_factors(self) -> Tensor:
        """Return the coefficients of e3nn's 3j tensors, `normalize` included: (L1 + 1, L2 + 1, L3 + 1) float64."""
        factors = factor_table(self.factor, self.lmax_in1, self.lmax_in2, self.lmax_out)
        return factors * unit_variance_scales(factors) if self.normalize else factors

    def forward(self, x: Tensor, y: Tensor, weights: DegreeWeights | None = None) -> Tensor:
        """Return the product of two features.

        Args:
            x: (..., C, d(L1)).
            y: (..., C, d(L2)); leading dimensions and channels broadcast.
            weights: weights by degree, for instance of each edge, in place of the learnt ones.

        Returns:
            (..., C, d(L3)).

        Raises:
            ValueError: the last dimension of an argument is not d(L).
        """
        for name, tensor, lmax in (("x", x, self.lmax_in1), ("y", y, self.lmax_in2)):
            if tensor.size(-1) != dim(lmax):
                raise ValueError(
                    f"{name} has {tensor.size(-1)} coefficients; give {dim(lmax)}, of degrees up to {lmax}"
                )
        if weights is None:
            weights = (self.weight1, self.weight2, self.weight3)
        weight1, weight2, weight3 = weights
        # Samples of cancelling terms are no matter for half precision.
        with torch.autocast(x.device.type, enabled=False):
            if all(weight is None for weight in weights):
                result = self.multiply(x, y)
            else:
                x = x.unsqueeze(-3) if weight1 is None else x.unsqueeze(-3) * weight1[..., self.degrees1]
                y = y.unsqueeze(-3) if weight2 is None else y.unsqueeze(-3) * weight2[..., self.degrees2]
                result = self.multiply(x, y)
                if weight3 is not None:
                    result = result * weight3[..., self.degrees3]
                result = result.sum(-3)
            return result * self.scale if self.normalize else result

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the product without weights and scale: (..., d(L1)), (..., d(L2)) -> (..., d(L3))."""
        raise NotImplementedError(f"{type(self).__name__} must define multiply()")


class GauntTensorProduct(DegreeWeightedProduct):
    """The product of functions on the sphere, exact to rounding, any degree, differentiable any number of times.

    Args:
        lmax_in1: degree L1 of the first argument, >= 0.
        lmax_in2: degree L2 of the second argument, >= 0.
        lmax_out: degree L3 of the result, >= 0.
        channels: number C of channels, which have learnt weights of their own; None for a product without weights.
        rank: number R of terms with weights of their own, >= 1.
        normalize: scale each degree of the result to unit variance, see `DegreeWeightedProduct`.
        backend: a name in `BACKENDS`; "auto" takes the one that was fastest when costs were measured.

    Raises:
        ValueError: an argument is out of its range; or the backend cannot do these degrees.

    Example:
        >>> import torch
        >>> product = GauntTensorProduct(2, 2, 2)
        >>> product(torch.randn(10, 16, 9), torch.randn(10, 16, 9)).shape
        torch.Size([10, 16, 9])
    """

    def __init__(
        self,
        lmax_in1: int,
        lmax_in2: int,
        lmax_out: int,
        channels: int | None = None,
        rank: int = 1,
        normalize: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out, channels, rank, normalize)
        require_choice("backend", backend, ("auto", *BACKENDS))
        allowed = available_backends(lmax_in1, lmax_in2, lmax_out)
        if backend == "auto":
            backend = fastest_backend(lmax_in1, lmax_in2, lmax_out, allowed)
        require_choice("backend", backend, allowed)
        self.backend = backend
        self.sampling = BACKENDS[backend](lmax_in1, lmax_in2, lmax_out)

    def factor(self, l1: int, l2: int, l3: int) -> float:
        """See `DegreeWeightedProduct`: g(l1, l2, l3)."""
        return gaunt_factor(l1, l2, l3)

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """See `DegreeWeightedProduct`."""
        return self.sampling.project(self.sampling.sample1(x) * self.sampling.sample2(y))


def available_backends(lmax_in1: int, lmax_in2: int, lmax_out: int) -> list[str]:
    """Return the backends that can do a product of some degrees."""
    names = list(BACKENDS)
    if max(lmax_in1, lmax_in2, lmax_out) > max(RANKS):
        names.remove("low_rank")
    if lmax_in1 + lmax_in2 + lmax_out > LEBEDEV_ORDERS[-1]:
        names.remove("antipodal")
    return names


def unit(lmax: int) -> Tensor:
    """Return the coefficients of the constant function 1: (d(L),) float64."""
    coefficients = torch.zeros(dim(lmax), dtype=torch.float64)
    coefficients[0] = math.sqrt(4 * math.pi)
    return coefficients
