"""Figures of fields: what was given, what was wanted, what was predicted, and the difference."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

ROWS = 3
"""Samples in a figure."""


def compared_fields(
    given: Tensor | None, target: Tensor, prediction: Tensor, errors: Tensor, positions: Tensor | None = None
) -> Figure:
    """Draw the last channel of some samples: input, target, prediction, difference, in a row each.

    Args:
        given: (B, *grid, C), or None where only points are given.
        target: (B, *grid, C) or (B, N, C).
        prediction: of the same shape.
        errors: relative L2 error of each sample, (B,), for the titles.
        positions: (B, N, 2) of point clouds.

    Returns:
        The figure; it belongs to no window manager, so nothing has to be closed.
    """
    columns = {"input": given, "target": target, "prediction": prediction, "difference": prediction - target}
    shown = {name: field[..., -1].cpu() for name, field in columns.items() if field is not None}
    if target.dim() == 3 and positions is None:
        return _lines(shown, errors)
    rows = min(ROWS, len(target))
    figure = Figure(figsize=(3 * len(shown), 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, len(shown), squeeze=False)
    for row in range(rows):
        low, high = float(shown["target"][row].min()), float(shown["target"][row].max())
        for axis, (name, fields) in zip(axes[row], shown.items(), strict=True):
            limits: dict[str, Any] = {"vmin": low, "vmax": high} if name in ("target", "prediction") else {}
            if name == "difference":
                largest = float(fields[row].abs().max()) or 1.0
                limits = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
            field = fields[row]
            if positions is not None:
                image = axis.scatter(*positions[row].cpu().T.numpy(), c=field.numpy(), s=4, **limits)
                axis.set_aspect("equal")
            else:
                # Of three axes, the last layer; the first axis to the right, the second upwards.
                image = axis.imshow((field if field.dim() == 2 else field[..., -1]).T.numpy(), origin="lower", **limits)
                axis.set(xticks=[], yticks=[])
            figure.colorbar(image, ax=axis, shrink=0.8)
            axis.set_title(f"{name}, {float(errors[row]):.2%}" if name == "difference" else name, fontsize=9)
    return figure


def _lines(shown: dict[str, Tensor], errors: Tensor) -> Figure:
    rows = min(ROWS, len(errors))
    figure = Figure(figsize=(8, 2.2 * rows), layout="constrained")
    # Beside each other: outputs may be far smaller than inputs.
    axes = figure.subplots(rows, 2, squeeze=False, sharex=True)
    x = torch.linspace(0, 1, shown["target"].size(1)).numpy()
    for row, (left, right) in enumerate(axes):
        if "input" in shown:
            left.plot(x, shown["input"][row].numpy(), color="0.4")
        right.plot(x, shown["target"][row].numpy(), color="k", label="target")
        right.plot(x, shown["prediction"][row].numpy(), "--", color="C1", label="prediction")
        left.set_title("input", fontsize=9)
        right.set_title(f"relative error {float(errors[row]):.2%}", fontsize=9)
    axes[0, 1].legend(fontsize=8)
    return figure
