"""Autoregressive prediction: frames in, one step further, and again from its own answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.checks import require_positive


def rollout(step: Callable[[Tensor], Tensor], frames: Tensor, num_steps: int, truth: Tensor | None = None) -> Tensor:
    """Predict frames one after the other.

    Args:
        step: from past frames (B, *grid, T C) to the next (B, *grid, C); gradients flow through the whole rollout.
        frames: the past (B, *grid, T C), the oldest first.
        num_steps: number of frames to predict, > 0.
        truth: (B, *grid, num_steps C), to continue from instead of from the predictions; None for those.

    Returns:
        (B, *grid, num_steps C), the predicted frames in their order.

    Raises:
        ValueError: `num_steps` is out of its range.
    """
    require_positive(num_steps=num_steps)
    predictions: list[Tensor] = []
    for number in range(num_steps):
        predicted = step(frames)
        predictions.append(predicted)
        channels = predicted.size(-1)
        newest = predicted if truth is None else truth[..., number * channels : (number + 1) * channels]
        frames = torch.cat([frames[..., channels:], newest], dim=-1)
    return torch.cat(predictions, dim=-1)
