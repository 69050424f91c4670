"""`ConstantModule`: constants that are exact in every precision a module is cast to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class ConstantModule(nn.Module):
    """A module whose constants are kept in float64 and rounded from there whenever it changes dtype.

    A float32 buffer that is cast to float64 would keep errors of 1e-7, and break identities that hold to 1e-12.
    Constants are non-persistent buffers: they follow from the arguments and do not belong into a checkpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def register_constant(self, name: str, value: Tensor) -> None:
        """Register a float64 tensor as a constant, visible as a buffer of the default dtype."""
        self._exact[name] = value.detach().double()
        self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        before = {name: getattr(self, name).dtype for name in self._exact}
        super()._apply(fn, recurse)
        for name, exact in self._exact.items():
            rounded = getattr(self, name)
            if rounded.dtype != before[name]:
                # Modules are also moved in inference mode, whose tensors no gradient may pass through later.
                with torch.inference_mode(False):
                    setattr(self, name, exact.to(rounded.dtype).to(rounded.device))
        return self
