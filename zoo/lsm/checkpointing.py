"""Activation checkpointing that leaves running statistics as if every layer had run once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, *inputs: Any) -> Any:
    """Return `module(*inputs)`, whose activations are computed again in the backward pass instead of kept."""

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), kept_statistics(module)

    return checkpoint(module, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


@contextmanager
def kept_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of their batch without adding them to the running ones."""
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm) and norm.track_running_stats]
    before = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    try:
        for norm in norms:
            # On copies: the originals may be part of a graph.
            norm.running_mean, norm.running_var, norm.num_batches_tracked = (
                norm.running_mean.clone(),  # type: ignore[union-attr]
                norm.running_var.clone(),  # type: ignore[union-attr]
                norm.num_batches_tracked.clone(),  # type: ignore[union-attr]
            )
        yield
    finally:
        for norm, buffers in zip(norms, before, strict=True):
            norm.running_mean, norm.running_var, norm.num_batches_tracked = buffers
