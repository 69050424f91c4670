"""The six shapes of ShapeTex, by inequalities in coordinates (u, v) of the shape: v points down, the radius is 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datamodules.images.geometry import Array

SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: np.hypot(u, v) <= 1,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) <= 0.85,
    "triangle": lambda u, v: (v <= 0.5) & (np.sqrt(3) * abs(u) - v <= 1),
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.28) & (np.maximum(abs(u), abs(v)) <= 1),
    "ring": lambda u, v: (np.hypot(u, v) >= 0.55) & (np.hypot(u, v) <= 1),
    "bars": lambda u, v: (abs(u) <= 1) & (abs(abs(v) - 0.6) <= 0.22),
}


def shape_mask(shape: str, size: int, center: Array, radius: float, angle: float) -> Array:
    """Return which pixels of an image have their centre in a shape.

    Args:
        shape: name of a shape in `SHAPES`.
        size: S, height and width of the image in pixels.
        center: (2,), x and y of the shape's centre in pixels.
        radius: of the shape in pixels.
        angle: by which the shape is turned, in radians.

    Returns:
        (S, S) bool, row y and column x.
    """
    pixel = np.arange(size) + 0.5
    x, y = (pixel - center[0]) / radius, ((pixel - center[1]) / radius)[:, None]
    return SHAPES[shape](np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)


def tight_box(mask: Array) -> Array:
    """Return the smallest box (4,) around the pixels of a mask: x0, y0, x1, y1, end-exclusive; zeros if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(4, dtype=np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
