"""Batch norms as part of the convolutions before them: the same network for evaluation, with fewer operations."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.lsm.convolutions import DoubleConvolution

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norms(network: Network) -> Network:
    """Return a copy of a network in evaluation mode whose running statistics are in its convolutions.

    Args:
        network: a network with `DoubleConvolution`s, such as `LSM`; left as it is.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if not isinstance(module, DoubleConvolution):
            continue
        for place in (0, 3):
            norm = module[place + 1]
            if isinstance(norm, _BatchNorm):
                module[place] = _folded(module[place], norm)
                module[place + 1] = nn.Identity()
    return network


def _folded(convolution: nn.Module, norm: _BatchNorm) -> nn.Module:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None  # as `make_norm` builds them
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    folded = copy.deepcopy(convolution)
    weight = convolution.weight
    assert isinstance(weight, nn.Parameter)
    folded.weight = nn.Parameter((weight * scale.reshape(-1, *[1] * (weight.dim() - 1))).detach())
    folded.bias = nn.Parameter((norm.bias - mean * scale).detach())
    return folded
