r"""`GauntConvolution`: features of neighbours times filters on the sphere around them, summed at each node.

    z_i = sum_j P_L3 [ sum_r f_{w^r_ij . x_j} * f_{h^r_ij . Y(u_ij)} ],      u_ij = the unit vector of an edge

The filter sum_l h_l Y_l(u) . Y_l(r) = sum_l h_l (2l + 1) / 4 pi P_l(u . r) depends on the angle to the edge alone. Four
forms of the same function:

    general   sample features and filter of each edge on a grid, multiply, project
    aligned   rotate each edge to the pole, where orders m do not mix and a grid in cos t is enough; rotate back
    grid      sample features at nodes, multiply and sum over edges in the space of samples, project at nodes
    paths     the Clebsch-Gordan coefficients themselves, with weights g(l1, l2, l3) sum_r w^r_l1 h^r_l2

"grid" transforms nodes where the others transform edges, but has no weights w of edges. "aligned" is the form of eSCN
(Passaro and Zitnick, arXiv 2302.03655).

Source: Luo, Chen, Krishnapriyan, ICLR 2024, arXiv 2401.10216, section 3.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require_choice, require_positive
from zoo.gaunt.alignment import Alignment
from zoo.gaunt.coefficients import (
    bracket_factor,
    factor_table,
    gaunt_factor,
    scaled_bracket_factor,
    unit_variance_scales,
)
from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.costs import fastest
from zoo.gaunt.harmonics import degrees, require_degree, spherical_harmonics
from zoo.gaunt.paths import PathCoupling
from zoo.gaunt.quadrature import gauss_legendre_nodes
from zoo.gaunt.sampling import degree_major_index, latitude_functions, order_major_index, smallest_rule

FORMS = ("paths", "aligned", "general", "grid")


class GauntConvolution(ConstantModule):
    """The convolution with filters of degree L2, exact to rounding, differentiable any number of times.

    Args:
        lmax_in: degree L1 of the features.
        lmax_filter: degree L2 of the filters.
        lmax_out: degree L3 of the result.
        normalize: scale each degree of the result to unit variance of each message, for features of unit variance and
            h = sqrt(4 pi), on average over m.
        form: one of `FORMS`; "auto" takes the one that was fastest when costs were measured, but never "grid", which
            has no weights of edges.

    Raises:
        ValueError: an argument is out of its range.
    """

    degrees_in: Tensor
    scale: Tensor
    path_factors: Tensor
    points: Tensor
    samples: Tensor
    projection: Tensor
    latitudes_in: Tensor
    latitudes_out: Tensor
    zonal: Tensor
    orders_in: Tensor
    place_out: Tensor

    def __init__(
        self, lmax_in: int, lmax_filter: int, lmax_out: int, normalize: bool = False, form: str = "auto"
    ) -> None:
        super().__init__()
        require_degree(lmax_in=lmax_in, lmax_filter=lmax_filter, lmax_out=lmax_out)
        require_choice("form", form, ("auto", *FORMS))
        if form == "auto":
            form = fastest("convolution", max(lmax_in, lmax_filter), lmax_out, FORMS[:3])
        self.lmax_in, self.lmax_filter, self.lmax_out = lmax_in, lmax_filter, lmax_out
        self.normalize, self.form = normalize, form
        self.register_buffer("degrees_in", degrees(lmax_in), persistent=False)
        if normalize:
            factors = factor_table(gaunt_factor, lmax_in, lmax_filter, lmax_out)
            # |Y_l(u)|^2 = (2l + 1) / 4 pi for every u, as much as 2l + 1 entries of variance 1 / 4 pi.
            self.register_constant("scale", unit_variance_scales(factors)[degrees(lmax_out)])
        {
            "paths": self._prepare_paths,
            "aligned": self._prepare_aligned,
            "general": self._prepare_grid,
            "grid": self._prepare_grid,
        }[form]()

    def _prepare_paths(self) -> None:
        self.coupling = PathCoupling(self.lmax_in, self.lmax_filter, self.lmax_out)
        factors = factor_table(gaunt_factor, self.lmax_in, self.lmax_filter, self.lmax_out)
        self.register_constant("path_factors", self.coupling.factors(factors))

    def _prepare_grid(self) -> None:
        rule = smallest_rule(self.lmax_in + self.lmax_filter + self.lmax_out)
        self.register_constant("points", rule.points)
        self.register_constant("samples", spherical_harmonics(self.lmax_in, rule.points).T.contiguous())
        projection = rule.weights[:, None] * spherical_harmonics(self.lmax_out, rule.points)
        self.register_constant("projection", projection)

    def _prepare_aligned(self) -> None:
        self.alignment_in, self.alignment_out = Alignment(self.lmax_in), Alignment(self.lmax_out)
        cosines, weights, _ = gauss_legendre_nodes(self.lmax_in + self.lmax_filter + self.lmax_out)
        common = min(self.lmax_in, self.lmax_out)  # orders above it vanish in the result
        keep_in = slice(self.lmax_in - common, self.lmax_in + common + 1)
        keep_out = slice(self.lmax_out - common, self.lmax_out + common + 1)
        latitudes = latitude_functions(self.lmax_out, cosines) * weights * 2 * math.pi
        self.register_constant("latitudes_in", latitude_functions(self.lmax_in, cosines)[keep_in].contiguous())
        self.register_constant("latitudes_out", latitudes[keep_out].transpose(1, 2).contiguous())
        self.register_constant("zonal", zonal_functions(self.lmax_filter, cosines))
        self.register_buffer("orders_in", order_major_index(self.lmax_in)[keep_in], persistent=False)
        self.register_buffer("place_out", degree_major_index(self.lmax_out), persistent=False)

    def forward(
        self,
        x: Tensor,
        vectors: Tensor,
        radial: Tensor,
        edge_index: Tensor,
        weights: Tensor | None = None,
        num_nodes: int | None = None,
    ) -> Tensor:
        """Return the summed messages.

        Args:
            x: features of nodes (N, C, d(L1)).
            vectors: of edges, from source to target or the other way (E, 3), any length but zero.
            radial: h of edges (E, C, L2 + 1), or (E, R, C, L2 + 1).
            edge_index: source j and target i of edges (2, E) int64.
            weights: w of edges, (E, C, L1 + 1), or (E, R, C, L1 + 1); None for ones.
            num_nodes: number of targets, N by default.

        Returns:
            (num_nodes, C, d(L3)).

        Raises:
            ValueError: weights of edges are given to the form "grid".
        """
        directions = vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        source, target = edge_index
        radial, weights = _with_rank(radial), None if weights is None else _with_rank(weights)
        size = x.size(0) if num_nodes is None else num_nodes
        if self.form == "grid":
            if weights is not None:
                raise ValueError("weights are not allowed with form='grid', which samples nodes; take another form")
            messages = (x @ self.samples)[source] * self._filter(directions, radial.sum(1, keepdim=True))[:, 0]
            result = sum_at(target, messages, size) @ self.projection
        else:
            couple = {"paths": self._paths, "aligned": self._aligned, "general": self._general}[self.form]
            result = sum_at(target, couple(x[source], directions, radial, weights), size)
        return result * self.scale if self.normalize else result

    def _filter(self, directions: Tensor, radial: Tensor) -> Tensor:
        zonal = zonal_functions(self.lmax_filter, directions @ self.points.T)  # (L2 + 1, E, N)
        return radial @ zonal.transpose(0, 1).unsqueeze(1)

    def _weighted(self, x: Tensor, weights: Tensor | None) -> Tensor:
        return x.unsqueeze(1) if weights is None else x.unsqueeze(1) * weights[..., self.degrees_in]

    def _general(self, x: Tensor, directions: Tensor, radial: Tensor, weights: Tensor | None) -> Tensor:
        samples = (self._weighted(x, weights) @ self.samples) * self._filter(directions, radial)
        return samples.sum(1) @ self.projection

    def _aligned(self, x: Tensor, directions: Tensor, radial: Tensor, weights: Tensor | None) -> Tensor:
        x = self.alignment_in.align(x, self.alignment_in.frames(directions))
        x = torch.nn.functional.pad(self._weighted(x, weights), (0, 1))[..., self.orders_in]  # (E, R, C, m, L1 + 1)
        edges, rank, channels, orders, _ = x.shape
        values = x.flatten(0, 2).transpose(0, 1) @ self.latitudes_in  # (m, E R C, latitudes)
        values = values.reshape(orders, edges, rank, channels, -1) * (radial @ self.zonal)
        by_order = values.sum(2).flatten(1, 2) @ self.latitudes_out  # (m, E C, L3 + 1)
        missing = self.lmax_out - orders // 2
        by_order = torch.nn.functional.pad(by_order, (0, 0, 0, 0, missing, missing))
        result = by_order.transpose(0, 1).flatten(1)[:, self.place_out].reshape(edges, channels, -1)
        return self.alignment_out.restore(result, self.alignment_out.frames(directions))

    def _paths(self, x: Tensor, directions: Tensor, radial: Tensor, weights: Tensor | None) -> Tensor:
        harmonics = spherical_harmonics(self.lmax_filter, directions, normalize=False)
        return self.coupling(x, harmonics, self.coupling.weights_by_degree(radial, weights) * self.path_factors)


class BracketConvolution(ConstantModule):
    """The convolution with the Poisson bracket in place of the product, along odd paths; see `zoo.gaunt.bracket`.

    It turns tensors of parity (-1)^l into pseudo-tensors, and back.

    Args:
        lmax_in: degree L1 >= 1 of the features.
        lmax_filter: degree L2 >= 1 of the filters.
        lmax_out: degree L3 >= 1 of the result.
        normalize: divide arguments by sqrt(l (l + 1)) and scale the result as `GauntConvolution` does.

    Raises:
        ValueError: an argument is out of its range.
    """

    path_factors: Tensor

    def __init__(self, lmax_in: int, lmax_filter: int, lmax_out: int, normalize: bool = False) -> None:
        super().__init__()
        require_positive(lmax_in=lmax_in, lmax_filter=lmax_filter, lmax_out=lmax_out)
        factor = scaled_bracket_factor if normalize else bracket_factor
        factors = factor_table(factor, lmax_in, lmax_filter, lmax_out)
        factors = factors * unit_variance_scales(factors) if normalize else factors
        self.coupling = PathCoupling(lmax_in, lmax_filter, lmax_out, odd=True)
        self.register_constant("path_factors", self.coupling.factors(factors))

    def forward(
        self, x: Tensor, vectors: Tensor, radial: Tensor, edge_index: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Return the summed messages (N, C, d(L3)); the arguments are those of `GauntConvolution`."""
        directions = vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        harmonics = spherical_harmonics(self.coupling.lmax_filter, directions, normalize=False)
        radial, weights = _with_rank(radial), None if weights is None else _with_rank(weights)
        source, target = edge_index
        by_path = self.coupling.weights_by_degree(radial, weights) * self.path_factors
        return sum_at(target, self.coupling(x[source], harmonics, by_path), x.size(0))


def zonal_functions(lmax: int, cosines: Tensor) -> Tensor:
    """Return (2l + 1) / 4 pi P_l(c) = sum_m Y_lm(r) Y_lm(r'), c = r . r': (L + 1, ...)."""
    polynomials = [torch.ones_like(cosines), cosines]
    for degree in range(2, lmax + 1):
        polynomials.append(((2 * degree - 1) * cosines * polynomials[-1] - (degree - 1) * polynomials[-2]) / degree)
    return torch.stack([(2 * degree + 1) / (4 * math.pi) * polynomials[degree] for degree in range(lmax + 1)])


def _with_rank(weights: Tensor) -> Tensor:
    return weights.unsqueeze(1) if weights.dim() == 3 else weights


def sum_at(target: Tensor, messages: Tensor, size: int) -> Tensor:
    """Return the sums of messages (E, ...) at their targets (E,): (size, ...)."""
    return messages.new_zeros(size, *messages.shape[1:]).index_add(0, target, messages)
