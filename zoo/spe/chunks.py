"""Sum a function over chunks of its work in the memory of one chunk, also when gradients are wanted.

`torch.utils.checkpoint` frees the activations of each chunk but keeps its graph: many small objects between large freed
blocks, which the C library's allocator then cannot give to the next chunk. Here nothing of a chunk outlives it. The
price is that gradients cannot be differentiated once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import get_device_states, set_device_states


def sum_over_chunks(
    function: Callable[..., Tensor], starts: Iterable[int], tensors: Sequence[Tensor], parameters: Iterable[Tensor]
) -> Tensor:
    """Return sum_s function(s, *tensors), whose terms are computed one by one, in the backward pass again.

    Args:
        function: called with the start of a chunk and the tensors, always with the same random numbers and autocasting.
        starts: where the chunks start, one or more.
        tensors: what the function is applied to; all on one device.
        parameters: what else it depends on, as far as gradients are wanted.
    """
    return _ChunkedSum.apply(function, list(starts), len(tensors), *tensors, *parameters)


class _ChunkedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], starts: list[int], count: int, *inputs: Tensor) -> Tensor:
        """Return the sum."""
        device = inputs[0].device.type
        ctx.function, ctx.starts, ctx.count, ctx.random_states = function, starts, count, []
        ctx.autocast = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
        ctx.save_for_backward(*inputs)
        total: Any = 0.0
        for start in starts:
            ctx.random_states.append(_random_state(inputs[0]))
            total = total + function(start, *inputs[:count])
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of tensors and parameters."""
        wanted = ctx.needs_input_grad[3:]
        # Detached, so that the graph of a chunk ends here; parameters are leaves that the function holds itself.
        saved, count = ctx.saved_tensors, ctx.count
        tensors = [x.detach().requires_grad_(want) for x, want in zip(saved[:count], wanted[:count], strict=True)]
        inputs = [*tensors, *saved[count:]]
        sources = [x for x, want in zip(inputs, wanted, strict=True) if want]
        totals: list[Tensor | None] = [None] * len(sources)
        devices, _ = get_device_states(gradient)
        with torch.random.fork_rng(devices), torch.enable_grad(), torch.autocast(*ctx.autocast):
            for start, (state, *device_states) in zip(ctx.starts, ctx.random_states, strict=True):
                torch.set_rng_state(state)
                set_device_states(*device_states)
                term = ctx.function(start, *tensors)
                terms = torch.autograd.grad(term, sources, gradient, allow_unused=True)
                totals = [b if a is None else a if b is None else a + b for a, b in zip(totals, terms, strict=True)]
        found = iter(totals)
        return None, None, None, *(next(found) if want else None for want in wanted)


def _random_state(x: Tensor) -> tuple[Tensor, list[int], list[Tensor]]:
    return torch.get_rng_state(), *get_device_states(x)
