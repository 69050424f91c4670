"""Figures of force fields."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor


def parity(predicted: dict[str, Tensor], true: dict[str, Tensor]) -> Figure:
    """Draw predictions against true values, one panel per quantity.

    Args:
        predicted: values (M,) by name, which is the title, with its unit.
        true: the same.

    Returns:
        The figure; it belongs to no window manager, so nothing has to be closed.
    """
    figure = Figure(figsize=(3.6 * len(true), 3.6), layout="constrained")
    axes = figure.subplots(1, len(true), squeeze=False)[0]
    for axis, name in zip(axes, true, strict=True):
        limits = [float(true[name].min()), float(true[name].max())]
        axis.plot(limits, limits, color="0.7", linewidth=1)
        axis.scatter(true[name], predicted[name], s=4, alpha=0.3, linewidths=0)
        rmse = float((predicted[name] - true[name]).square().mean().sqrt())
        axis.set(title=name, xlabel="true", box_aspect=1)
        axis.text(0.05, 0.95, f"RMSE {rmse:.3g}", transform=axis.transAxes, va="top")
    axes[0].set_ylabel("predicted")
    return figure
