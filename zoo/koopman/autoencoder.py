"""The autoencoder with a Koopman operator that depends on the state (Lusch, Kutz and Brunton, 2018).

An encoder gives coordinates y that consist of pairs, which turn and grow, and of single ones, which grow:

    pair      y -> exp(mu dt) [[cos(omega dt), -sin(omega dt)], [sin(omega dt), cos(omega dt)]] y
    single    y -> exp(mu dt) y

A pair is a complex number y_1 + i y_2 that is multiplied by exp((mu + i omega) dt). The rates of each pair are
functions of its radius, those of a single coordinate of its value, by an auxiliary network each: every orbit may have
frequencies of its own, as in a pendulum, whose spectrum is continuous. A decoder leads back to states.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.checks import require, require_above, require_positive
from zoo.koopman.networks import Linear
from zoo.registry import register


class ReluNetwork(nn.Sequential):
    """Linear maps with ReLU between them, as in the authors' code: weights U(+-1/sqrt(fan in)), biases zero.

    Args:
        widths: of input, hidden layers and output.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for source, target in pairwise(widths):
            linear = Linear(source, target)
            nn.init.uniform_(linear.weight, -(source**-0.5), source**-0.5)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        super().__init__(*layers[:-1])


@register("koopman-autoencoder")
class LuschAutoencoder(nn.Module):
    """Encoder, decoder, and a Koopman operator of blocks whose rates auxiliary networks give.

    Args:
        dim: number of coordinates d of a state.
        pairs: number of pairs of coordinates, each a complex pair of eigenvalues.
        real: number of single coordinates, each a real eigenvalue; `2 pairs + real` coordinates in all.
        widths: of the encoder's hidden layers; the decoder has them in reverse.
        auxiliary_widths: of the hidden layers of each auxiliary network.
        dt: time of one step.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        dim: int,
        pairs: int = 1,
        real: int = 0,
        widths: Sequence[int] = (80, 80),
        auxiliary_widths: Sequence[int] = (170,),
        dt: float = 1.0,
    ) -> None:
        super().__init__()
        require_positive(dim=dim)
        for name, number in (("pairs", pairs), ("real", real)):
            require(type(number) is int and number >= 0, name, number, "an integer >= 0")
        require(pairs + real > 0, "pairs", pairs, "at least one pair, or a single coordinate by real")
        for name, given in (("widths", widths), ("auxiliary_widths", auxiliary_widths)):
            positive = all(type(width) is int and width >= 1 for width in given)
            require(positive, name, given, "integers >= 1")
        require_above(0, dt=dt)
        self.dim, self.pairs, self.real, self.dt = dim, pairs, real, dt
        self.size = 2 * pairs + real
        self.encoder = ReluNetwork([dim, *widths, self.size])
        self.decoder = ReluNetwork([self.size, *reversed(widths), dim])
        self.pair_rates = nn.ModuleList(ReluNetwork([1, *auxiliary_widths, 2]) for _ in range(pairs))
        self.real_rates = nn.ModuleList(ReluNetwork([1, *auxiliary_widths, 1]) for _ in range(real))

    def rates(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return (omega, mu) of the pairs, (M, pairs, 2), and mu of the single coordinates, (M, real), at y (M, size).

        Both are per unit of time.
        """
        turning, single = self._split(y)
        squares = (turning**2).sum(2)
        pairs = [network(squares[:, i : i + 1]) for i, network in enumerate(self.pair_rates)]
        real = [network(single[:, i : i + 1]) for i, network in enumerate(self.real_rates)]
        return (
            torch.stack(pairs, dim=1) if pairs else y.new_zeros(len(y), 0, 2),
            torch.cat(real, dim=1) if real else y.new_zeros(len(y), 0),
        )

    def advance(self, y: Tensor) -> Tensor:
        """Return the coordinates (M, size) one step later."""
        turning, single = self._split(y)
        pairs, growth = self.rates(y)
        angle, scale = pairs[..., 0] * self.dt, (pairs[..., 1] * self.dt).exp()
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        first, second = turning.unbind(2)
        turned = torch.stack([cosine * first - sine * second, sine * first + cosine * second], dim=2)
        return torch.cat([turned.flatten(1), single * (growth * self.dt).exp()], dim=1)

    def advanced(self, y: Tensor, steps: int) -> Tensor:
        """Return the coordinates after 0 .. steps steps from y (M, size): (M, steps + 1, size); rates are renewed."""
        rows = [y]
        for _ in range(steps):
            rows.append(self.advance(rows[-1]))
        return torch.stack(rows, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the coordinates at states (M, dim), (M, size): first the pairs, then the single ones."""
        return self.encoder(x)

    def forecast(self, x: Tensor, steps: int) -> Tensor:
        """Return the states after 0 .. steps steps from x (M, dim): (M, steps + 1, dim), each through the decoder."""
        return self.decoder(self.advanced(self.encoder(x), steps))

    def _split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        turning, single = y.split([2 * self.pairs, self.real], dim=1)
        return turning.unflatten(1, (self.pairs, 2)), single
