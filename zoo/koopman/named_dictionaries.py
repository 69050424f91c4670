"""Dictionaries by name and plain arguments, as hyper-parameters and files hold them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from zoo.checks import require, require_choice, require_positive
from zoo.koopman.delays import DelayedFunctions, Delays
from zoo.koopman.dictionaries import Concatenation, Dictionary, Product
from zoo.koopman.principal_components import PrincipalComponents
from zoo.koopman.radial_functions import RadialFunctions, RadialKernel
from zoo.koopman.tensor_bases import Chebyshev, Fourier, Hermite, HermiteFunctions, Monomials


def build_dictionary(name: str, dim: int, **arguments: Any) -> Dictionary:
    """Return a dictionary of states with `dim` coordinates.

    Args:
        name: "monomials", "chebyshev", "hermite", "hermite_functions" or "fourier", with the arguments of their classes
            in `zoo.koopman.tensor_bases`; "radial", with `count`, `kernel` and `factor` of
            `zoo.koopman.radial_functions.RadialFunctions`; "delays", with `delays`, for states that are windows of so
            many snapshots; "delayed", with `delays` and `inner`, a dict with `name` and arguments of functions of one
            snapshot; "principal_components", with `count`, of the training states; "concatenation", with
            `parts`, a list of dicts with `name` and arguments each; or "product", with `first` and `second`, dicts as
            above that also say their `dim`, and `cross`.
        dim: number of coordinates.
        **arguments: see `name`.

    Raises:
        ValueError: no dictionary has the name, or an argument is out of its range.
        TypeError: the dictionary takes no such argument, or one is missing.
    """
    require_choice("dictionary", name, BUILDERS)
    require_positive(dim=dim)
    try:
        return BUILDERS[name](dim, **arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"dictionary_kwargs of {name!r}: {error}") from error


def _radial(dim: int, count: int, kernel: RadialKernel = "laplacian", factor: float = 1.0) -> Dictionary:
    require_positive(count=count)
    return RadialFunctions(torch.zeros(count, dim, dtype=torch.float64), kernel, factor=factor)


def _delays(dim: int, delays: int) -> Dictionary:
    require_positive(delays=delays)
    require(dim % delays == 0, "delays", delays, f"a divisor of the number of coordinates of a state, {dim}")
    return Delays(dim // delays, delays)


def _delayed(dim: int, inner: dict[str, Any], delays: int) -> Dictionary:
    require_positive(delays=delays)
    require(dim % delays == 0, "delays", delays, f"a divisor of the number of coordinates of a state, {dim}")
    return DelayedFunctions(build_dictionary(dim=dim // delays, **inner), delays)


def _fourier(dim: int, degree: int, kind: Any = "full", period: float = 2 * math.pi) -> Dictionary:
    return Fourier(dim, degree, kind, period)


def _concatenation(dim: int, parts: list[dict[str, Any]]) -> Dictionary:
    require(len(parts) > 0, "parts", parts, "at least one dict with a name and arguments")
    return Concatenation(*(build_dictionary(dim=dim, **part) for part in parts))


def _product(dim: int, first: dict[str, Any], second: dict[str, Any], cross: int | None = None) -> Dictionary:
    product = Product(build_dictionary(**first), build_dictionary(**second), cross)
    require(product.dim == dim, "first.dim + second.dim", product.dim, f"{dim}, the number of coordinates of a state")
    return product


BUILDERS: dict[str, Callable[..., Dictionary]] = {
    "monomials": Monomials,
    "chebyshev": Chebyshev,
    "hermite": Hermite,
    "hermite_functions": HermiteFunctions,
    "fourier": _fourier,
    "radial": _radial,
    "delays": _delays,
    "delayed": _delayed,
    "principal_components": PrincipalComponents,
    "concatenation": _concatenation,
    "product": _product,
}
