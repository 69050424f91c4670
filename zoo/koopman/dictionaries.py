"""Dictionaries: the functions whose span a Koopman learner looks into.

Each is a module without trainable parameters (except for a network of one's own) that maps states (M, d) to values
(M, N) in the precision of the states, real or complex, and knows the names of its N functions. Here is what they share,
and how to combine them; polynomials and Fourier functions are in `tensor_bases`, radial functions in
`radial_functions`, delays in `delays`.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from zoo.checks import require


class Dictionary(nn.Module):
    """Functions psi_1 .. psi_N of a state.

    Args:
        dim: number of coordinates d of a state.
        names: of the functions.
    """

    def __init__(self, dim: int, names: list[str]) -> None:
        super().__init__()
        self.dim = dim
        self.names = names

    @property
    def size(self) -> int:
        """Number of functions N."""
        return len(self.names)

    @property
    def orders(self) -> Tensor | None:
        """Orders of the functions, (N,) int64, if they have any: a hyperbolic cross is cut by them."""
        return None

    def adapt(self, x: Tensor) -> None:
        """Place the functions where states (M, d) are; those that depend on nothing but their arguments do nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, d), (M, N).

        Raises:
            ValueError: the states have another number of coordinates.
        """
        require(
            x.ndim == 2 and x.shape[1] == self.dim, "x", tuple(x.shape), f"states (M, {self.dim}), one row for each"
        )
        return self.values(x)

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at states of the right shape."""
        raise NotImplementedError


class Product(Dictionary):
    """All products of the functions of two dictionaries of different coordinates, the first's functions outermost.

    Args:
        first: dictionary of the first coordinates.
        second: dictionary of the others.
        cross: keep products of orders with max(1, |j|) max(1, |k|) <= cross only (hyperbolic cross), where the order of
            a function is the largest entry of its multi-index; all if None.

    Raises:
        ValueError: a hyperbolic cross is wanted of dictionaries without orders, or it is empty.
    """

    kept: Tensor

    def __init__(self, first: Dictionary, second: Dictionary, cross: int | None = None) -> None:
        kept = torch.ones(first.size, second.size, dtype=torch.bool)
        if cross is not None:
            orders = []
            for name, factor in (("first", first), ("second", second)):
                if factor.orders is None:
                    raise ValueError(f"{name}={type(factor).__name__} is not allowed with cross; give one with orders")
                orders.append(factor.orders.clamp(min=1))
            kept = orders[0][:, None] * orders[1] <= cross
            require(bool(kept.any()), "cross", cross, "an integer >= 1")
        pairs = kept.nonzero().tolist()
        second_names = [_shift_names(name, first.dim) for name in second.names]
        super().__init__(first.dim + second.dim, [f"{first.names[j]} * {second_names[k]}" for j, k in pairs])
        self.first, self.second = first, second
        self.register_buffer("kept", torch.tensor(pairs))

    def adapt(self, x: Tensor) -> None:
        """Place both factors."""
        self.first.adapt(x[:, : self.first.dim])
        self.second.adapt(x[:, self.first.dim :])

    def values(self, x: Tensor) -> Tensor:
        """Return the products at states (M, d1 + d2), (M, N)."""
        left, right = self.first(x[:, : self.first.dim]), self.second(x[:, self.first.dim :])
        return left[:, self.kept[:, 0]] * right[:, self.kept[:, 1]]


def _shift_names(name: str, by: int) -> str:
    return re.sub(r"\bx(\d+)", lambda found: f"x{int(found[1]) + by}", name)


class Concatenation(Dictionary):
    """The functions of several dictionaries of the same states, one after the other.

    Raises:
        ValueError: their states differ.
    """

    def __init__(self, *parts: Dictionary) -> None:
        require(len({part.dim for part in parts}) == 1, "parts", [part.dim for part in parts], "one kind of states")
        super().__init__(parts[0].dim, [name for part in parts for name in part.names])
        self.parts = nn.ModuleList(parts)

    def adapt(self, x: Tensor) -> None:
        """Place all parts."""
        for part in self.parts:
            part.adapt(x)  # type: ignore[operator] # a ModuleList forgets what it holds

    def values(self, x: Tensor) -> Tensor:
        """Return all functions at states (M, d), (M, N)."""
        values = [part(x) for part in self.parts]
        dtype = torch.complex(x[:0], x[:0]).dtype if any(value.is_complex() for value in values) else x.dtype
        return torch.cat([value.to(dtype) for value in values], dim=1)


class ModuleDictionary(Dictionary):
    """A network's outputs as functions, after 1 and the state: Psi = [1, x, network(x)] needs no decoder.

    Args:
        module: maps (M, d) to (M, outputs).
        dim: d.
        outputs: number of the network's outputs.
        with_state: put 1 and x before them.
    """

    def __init__(self, module: nn.Module, dim: int, outputs: int, with_state: bool = True) -> None:
        state = ["1", *(f"x{i + 1}" for i in range(dim))] if with_state else []
        super().__init__(dim, state + [f"network{i + 1}" for i in range(outputs)])
        self.module, self.outputs, self.with_state = module, outputs, with_state

    def values(self, x: Tensor) -> Tensor:
        """Return 1, the state, and the network's outputs, (M, N).

        Raises:
            ValueError: the network has another number of outputs.
        """
        outputs = self.module(x)
        require(outputs.shape == (len(x), self.outputs), "module", tuple(outputs.shape), f"outputs (M, {self.outputs})")
        return torch.cat([torch.ones_like(x[:, :1]), x, outputs], dim=1) if self.with_state else outputs
