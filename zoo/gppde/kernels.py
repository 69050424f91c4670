"""Stationary kernels whose spectrum is a mixture of bumps, with closed-form derivatives to fourth order.

With a signed lag t = x - y, k(t) = sum_q w_q m(t; r_q) cos(2 pi mu_q t): by the Wiener-Khinchin theorem the kernel of a
spectral density with a bump of weight w_q at each frequency mu_q, in cycles per unit length.

    "stm"     Student-t bumps, 5 degrees of freedom:  m = (1 + z + z^2/3) e^-z, z = sqrt(5) r |t|  (Matern-5/2)
    "gm"      Gaussian bumps:                         m = e^(-r t^2)                               (spectral mixture)
    "matern"  "stm" without the cosine
    "se"      "gm" without the cosine

Parameters are held in the log domain, which for the weights amounts to Jeffreys' prior p(w) ~ 1/w. Mind that r is an
inverse length scale in the Matern kernels, but 1 / (2 lengthscale^2) in the Gaussian ones.

Derivatives are those of functions of the lag and must be taken from here: automatic differentiation through |t| has a
wrong second derivative at t = 0. The Matern kernels have no fifth derivative at 0, hence four is the limit.

Source: Fang, Cooley, Long, Li, Kirby and Zhe, 2024, section 3; Wilson and Adams, 2013, arXiv 1302.4245.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_positive

Kind = Literal["stm", "gm", "matern", "se"]
KINDS = get_args(Kind)

MAX_ORDER = 4
CHUNK = 1 << 12  # lags at a time: intermediate results of all components then stay in the cache


@dataclass(frozen=True)
class SpectralMixture:
    """A mixture kernel in one dimension, or a batch of them.

    Attributes:
        kind: "stm", "gm", "matern" or "se", see the top of this file.
        log_weight: log w_q, (..., Q).
        log_scale: log r_q, (..., Q).
        frequency: mu_q, (..., Q), in cycles per unit length; unused by "matern" and "se".

    Raises:
        ValueError: unknown kind, or the shapes differ.

    Example:
        >>> kernel = SpectralMixture.comb("stm", num_components=3, largest_frequency=2.0)
        >>> kernel.frequency
        tensor([0., 1., 2.], dtype=torch.float64)
        >>> float(kernel.derivatives(torch.zeros(1), [0])[0])
        1.0
    """

    kind: Kind
    log_weight: Tensor
    log_scale: Tensor
    frequency: Tensor

    def __post_init__(self) -> None:
        """Refuse unknown kinds and shapes that do not fit."""
        require_choice("kind", self.kind, KINDS)
        shapes = [tuple(tensor.shape) for tensor in (self.log_weight, self.log_scale, self.frequency)]
        require(
            len(set(shapes)) == 1 and len(shapes[0]) > 0,
            "shapes of log_weight, log_scale, frequency",
            shapes,
            "equal shapes (..., Q)",
        )

    @classmethod
    def comb(cls, kind: Kind, num_components: int = 30, largest_frequency: float = 20.0) -> SpectralMixture:
        """Return the published start: equal weights of sum 1, r = 1, frequencies equispaced from 0.

        Args:
            kind: see the class.
            num_components: number Q of components, > 0.
            largest_frequency: of the last component, in cycles per unit length.
        """
        require_positive(num_components=num_components)
        weight = torch.full((num_components,), -math.log(num_components), dtype=torch.float64)
        spacing = torch.linspace(0, 1, num_components, dtype=torch.float64)
        return cls(kind, weight, torch.zeros_like(weight), spacing * largest_frequency)

    @property
    def oscillates(self) -> bool:
        """Whether the components have a cosine."""
        return self.kind in ("stm", "gm")

    def scaled(self, factor: Tensor | float) -> SpectralMixture:
        """Return the kernel times a positive factor, (...) or a number."""
        log_factor = torch.as_tensor(factor, dtype=self.log_weight.dtype, device=self.log_weight.device).log()
        return SpectralMixture(self.kind, self.log_weight + log_factor[..., None], self.log_scale, self.frequency)

    def detach(self) -> SpectralMixture:
        """Return the kernel without gradients of its parameters."""
        return SpectralMixture(self.kind, self.log_weight.detach(), self.log_scale.detach(), self.frequency.detach())

    def derivatives(self, lag: Tensor, orders: Iterable[int]) -> dict[int, Tensor]:
        """Return derivatives of k by the lag, by order.

        Covariances of derivatives of the process follow by cov(u^(i)(x), u^(j)(y)) = (-1)^j k^(i+j)(x - y).

        Args:
            lag: t = x - y with sign, any shape S.
            orders: which derivatives, each 0 .. 4.

        Returns:
            k^(j)(t) for each order j, (..., *S), in the dtype of the parameters.

        Raises:
            ValueError: an order is not 0 .. 4.
        """
        orders = sorted(set(orders))
        require(
            all(type(order) is int and 0 <= order <= MAX_ORDER for order in orders),
            "orders",
            orders,
            f"derivatives of orders 0 .. {MAX_ORDER} (an operator may have order 2 in each dimension)",
        )
        flat = lag.detach().to(self.log_weight.dtype).flatten()
        chunks = [self._derivatives(chunk, orders) for chunk in flat.split(CHUNK)]
        values = {order: torch.cat([chunk[order] for chunk in chunks], dim=-1) for order in orders}
        return {order: value.reshape((*value.shape[:-1], *lag.shape)) for order, value in values.items()}

    def _derivatives(self, flat: Tensor, orders: list[int]) -> dict[int, Tensor]:
        """Return the derivatives at lags (n,), (..., n) for each order."""
        highest = max(orders, default=0)
        envelope = _matern52 if self.kind in ("stm", "matern") else _squared_exponential
        envelopes = envelope(self.log_scale.exp()[..., None], flat.abs(), highest)
        waves = _cosine(2 * math.pi * self.frequency[..., None], flat.abs(), highest) if self.oscillates else None
        weight, sign = self.log_weight.exp(), flat.sign()
        result = {}
        for order in orders:
            if waves is None:
                terms = envelopes[order]
            else:
                terms = sum(  # type: ignore[assignment] # the rule of Leibniz; a sum of tensors is one
                    math.comb(order, i) * envelopes[i] * waves[order - i] for i in range(order + 1)
                )
            values = torch.einsum("...q,...qn->...n", weight, terms)
            result[order] = values * sign if order % 2 else values
        return result

    def spectrum(self, frequency: Tensor) -> Tensor:
        """Return the spectral density S(s), with k(t) = int S(s) exp(2 pi i s t) ds.

        Args:
            frequency: s, (n,), in cycles per unit length.

        Returns:
            (..., n).
        """
        scale, mean = self.log_scale.exp()[..., None], self.frequency[..., None]
        bump = _student_t if self.kind in ("stm", "matern") else _gaussian
        if self.oscillates:
            density = (bump(frequency - mean, scale) + bump(frequency + mean, scale)) / 2
        else:
            density = bump(frequency - torch.zeros_like(mean), scale)
        return torch.einsum("...q,...qn->...n", self.log_weight.exp(), density)


def _matern52(inverse_length: Tensor, lag: Tensor, highest: int) -> list[Tensor]:
    """Return m, m', .. of (1 + z + z^2/3) e^-z with z = a t, a = sqrt(5) r, at t >= 0."""
    a = math.sqrt(5) * inverse_length
    z = a * lag
    decay = torch.exp(-z)
    derivatives = [(1 + z + z**2 / 3) * decay]
    if highest >= 1:
        derivatives.append(-(a / 3) * z * (1 + z) * decay)
    if highest >= 2:
        derivatives.append(-(a**2 / 3) * (1 + z - z**2) * decay)
    if highest >= 3:
        derivatives.append((a**3 / 3) * z * (3 - z) * decay)
    if highest >= 4:
        derivatives.append((a**4 / 3) * (3 - 5 * z + z**2) * decay)
    return derivatives


def _squared_exponential(rate: Tensor, lag: Tensor, highest: int) -> list[Tensor]:
    """Return m, m', .. of e^(-b t^2) at t >= 0."""
    bt, bt2 = rate * lag, rate * lag**2
    decay = torch.exp(-bt2)
    derivatives = [decay]
    if highest >= 1:
        derivatives.append(-2 * bt * decay)
    if highest >= 2:
        derivatives.append(rate * (4 * bt2 - 2) * decay)
    if highest >= 3:
        derivatives.append(rate * bt * (12 - 8 * bt2) * decay)
    if highest >= 4:
        derivatives.append(rate**2 * (16 * bt2**2 - 48 * bt2 + 12) * decay)
    return derivatives


def _cosine(omega: Tensor, lag: Tensor, highest: int) -> list[Tensor]:
    cosine = torch.cos(omega * lag)
    sine = torch.sin(omega * lag) if highest else cosine
    derivatives = [cosine, -omega * sine, -(omega**2) * cosine, omega**3 * sine, omega**4 * cosine]
    return derivatives[: highest + 1]


def _student_t(deviation: Tensor, inverse_length: Tensor) -> Tensor:
    """Return the density of Student's t with 5 degrees of freedom and scale r / (2 pi)."""
    scale = inverse_length / (2 * math.pi)
    normalization = math.gamma(3) / (math.gamma(2.5) * math.sqrt(5 * math.pi)) / scale
    return normalization * (1 + (deviation / scale) ** 2 / 5) ** -3


def _gaussian(deviation: Tensor, rate: Tensor) -> Tensor:
    """Return the normal density of variance r / (2 pi^2)."""
    return (math.pi / rate).sqrt() * torch.exp(-((math.pi * deviation) ** 2) / rate)
