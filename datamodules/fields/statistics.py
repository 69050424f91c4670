"""Mean and deviation of training fields, as the benchmarks' protocols normalise them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Normalization = Literal["point", "point_unguarded", "channel", "none"]

NORMALIZATIONS = ("point", "point_unguarded", "channel", "none")
FLOOR = 1e-3  # of the deviation at a point, as a share of that over all points


def fit_statistics(fields: Tensor, normalization: Normalization) -> tuple[Tensor, Tensor]:
    """Return mean and unbiased standard deviation of training fields.

    Args:
        fields: (n, ..., C), n > 1.
        normalization: "point": over the samples alone, for each point and channel, where the deviation is at least a
            thousandth of that over all points: where few samples happen to agree, it would be 0, and others would
            become huge. "point_unguarded": the same without that floor, as published. "channel": over samples and
            points, for each channel.

    Returns:
        Both (..., C) or (C,), of the dtype of the fields.
    """
    channels = fields.size(-1)
    flat = fields.reshape(-1, channels).double()
    if normalization == "channel":
        return flat.mean(0).to(fields.dtype), flat.std(0).to(fields.dtype)
    values = fields.double()
    mean, std = values.mean(0), values.std(0)
    if normalization == "point":
        std = torch.maximum(std, FLOOR * flat.std(0))
    return mean.to(fields.dtype), std.to(fields.dtype)
