"""Figures of graph regression."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor


def predicted_against_true(predictions: Tensor, targets: Tensor, names: list[str]) -> Figure:
    """Draw predictions against true values, one panel per target, in the targets' units.

    Args:
        predictions: (B, T).
        targets: (B, T).
        names: the T targets' names, used as titles.

    Returns:
        The figure; it belongs to no window manager, so nothing has to be closed.
    """
    figure = Figure(figsize=(3.2 * len(names), 3.6), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, name, predicted, true in zip(axes, names, predictions.T, targets.T, strict=True):
        both = torch.cat([predicted, true])
        limits = [float(both.min()), float(both.max())]
        axis.plot(limits, limits, color="0.7", linewidth=1)
        axis.scatter(true, predicted, s=6, alpha=0.4, linewidths=0)
        axis.set(title=name, xlabel="true", box_aspect=1)
        axis.text(0.05, 0.95, f"MAE {float((predicted - true).abs().mean()):.3g}", transform=axis.transAxes, va="top")
    axes[0].set_ylabel("predicted")
    return figure
