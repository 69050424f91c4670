"""Evaluation with the batch statistics of the evaluated data, beside the running ones of training.

The published Navier-Stokes script never leaves the training mode: its numbers come from batch norms that see the test
batches. To report such numbers is only honest beside those of the running statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.lsm.checkpointing import kept_statistics


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Let the batch norms of a network use the statistics of each batch; the running ones stay as they are."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [norm.training for norm in norms]
    try:
        for norm in norms:
            norm.train()
        with kept_statistics(network):
            yield
    finally:
        for norm, training in zip(norms, before, strict=True):
            norm.train(training)
