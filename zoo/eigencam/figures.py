"""Figures of maps over the images they belong to."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.eigencam.heatmaps import min_max

COLORMAP = "jet"  # what readers of such maps expect
OPACITY = 0.45
INCHES = 1.3


def compared_maps(
    images: Tensor, heatmaps: dict[str, Tensor], boxes: Tensor | None = None, num_boxes: Tensor | None = None
) -> Figure:
    """Return a grid with an image per column and, below it, a map per row.

    Args:
        images: (B, 3, H, W), normalised in any way.
        heatmaps: by name, (B, H, W) in [0, 1].
        boxes: true ones, (B, K, 4) in pixels, drawn on the images.
        num_boxes: (B,), how many of the K are boxes.
    """
    rows, columns = 1 + len(heatmaps), len(images)
    margin = 0.1 * max(map(len, heatmaps))  # of the names
    figure = Figure(figsize=(INCHES * columns + margin, INCHES * rows), layout="compressed")
    axes = figure.subplots(rows, columns, squeeze=False)
    pixels = displayed(images)
    for column in range(columns):
        axes[0, column].imshow(pixels[column])
        if boxes is not None and num_boxes is not None:
            for box in boxes[column, : int(num_boxes[column])].tolist():
                axes[0, column].add_patch(_outline(box))
        for row, maps in enumerate(heatmaps.values(), start=1):
            axes[row, column].imshow(pixels[column])
            axes[row, column].imshow(maps[column].numpy(), cmap=COLORMAP, alpha=OPACITY, vmin=0, vmax=1)
    for row, name in enumerate(["image", *heatmaps]):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    return figure


def components(image: Tensor, maps: Tensor, explained: Tensor) -> Figure:
    """Return an image beside its components, each with the share of the variance that it explains.

    Args:
        image: (3, H, W), normalised in any way.
        maps: signed, (r, H, W) or smaller.
        explained: (r,).
    """
    figure = Figure(figsize=(2.2 * (1 + len(maps)), 2.5), layout="compressed")
    first, *others = figure.subplots(1, 1 + len(maps), squeeze=False)[0]
    first.imshow(displayed(image[None])[0])
    for number, (axis, values, share) in enumerate(zip(others, maps, explained.tolist(), strict=True), start=1):
        limit = float(values.abs().max()) or 1.0
        axis.imshow(values.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(f"component {number}: {share:.1%}", fontsize="small")
    for axis in (first, *others):
        axis.set(xticks=[], yticks=[])
    return figure


def overlay(image: Image.Image, heatmap: Tensor, box: list[float] | None = None) -> Image.Image:
    """Return an image under its heatmap, pixel by pixel, with a box.

    Args:
        image: RGB, of any size.
        heatmap: (h, w) in [0, 1], of the whole image; it is resized to it.
        box: x0, y0, x1, y1 in pixels of the image, end-exclusive.
    """
    size = (image.height, image.width)
    resized = interpolate(heatmap.float().cpu()[None, None], size=size, mode="bilinear")[0, 0]
    colours = colormaps[COLORMAP](resized.clamp(0, 1).numpy())[..., :3] * 255
    blended = Image.fromarray(((1 - OPACITY) * np.asarray(image) + OPACITY * colours).round().astype(np.uint8))
    if box is not None:
        x0, y0, x1, y1 = (round(side) for side in box)
        thickness = max(1, round(min(size) / 100))
        ImageDraw.Draw(blended).rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline="lime", width=thickness)
    return blended


def displayed(images: Tensor) -> NDArray[np.float32]:
    """Return normalised images (B, 3, H, W) as pixels (B, H, W, 3) in [0, 1], each from its darkest to its lightest."""
    return min_max(images.float().flatten(1)).reshape(images.shape).permute(0, 2, 3, 1).numpy()


def _outline(box: list[float]) -> Rectangle:
    x0, y0, x1, y1 = box
    return Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor="lime", linewidth=1.5)
