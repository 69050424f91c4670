"""Curves of recall, and maps in Mollweide's projection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor, distributed

from zoo.geolocation.intervals import dkw_halfwidth
from zoo.spectral.grids import Grid
from zoo.spectral.sphere import DISCS_KM, EARTH_AREA_KM2, cap_area_km2

if TYPE_CHECKING:
    from zoo.geolocation.recall_vs_area import RecallVsArea

ROWS = 180
"""Rows of the raster that maps are drawn as."""

MASSES = (0.5, 0.8, 0.95)
"""Masses of the nested regions that a posterior is drawn as."""


def draw_recall(
    metrics: Mapping[str, RecallVsArea], ax: Axes | None = None, delta: float = 0.05, stratum: str | None = None
) -> tuple[Figure, Axes]:
    """Draw curves of recall versus area on a logarithmic scale of areas, with the discs of the usual accuracies.

    Args:
        metrics: what has seen the images, by name; one with strata and without a name is drawn stratum by stratum.
        ax: where to draw; a new figure if None.
        delta: each band holds the true curve with probability 1 - delta, about so if images are weighted.
        stratum: of all metrics, only the images of this stratum, by name.
    """
    if ax is None:
        ax = Figure(figsize=(6.4, 4.2), layout="constrained").subplots()
    curves = {name: (metric, stratum) for name, metric in metrics.items()}
    if "" in metrics and metrics[""].strata and stratum is None:
        curves = {name: (metrics[""], name) for name in metrics[""].strata}
    for name, (metric, group) in curves.items():
        areas, recall = (values.cpu().numpy() for values in metric.curve(group))
        line = ax.plot(areas, recall, label=name or None)[0]
        number = metric.effective_images(group)
        if number > 0:
            half = dkw_halfwidth(number, delta)
            low, high = (recall - half).clip(min=0), (recall + half).clip(max=1)
            ax.fill_between(areas, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    ax.set(xscale="log", xlim=(10, EARTH_AREA_KM2), ylim=(0, 1), xlabel="searched area, km²", ylabel="recall")
    top = ax.secondary_xaxis("top")
    radii = [radius for radius in DISCS_KM if float(cap_area_km2(radius)) > 10]
    top.set_xticks([float(cap_area_km2(radius)) for radius in radii], [f"{radius:g} km" for radius in radii])
    top.tick_params(labelsize="x-small")
    top.minorticks_off()
    ax.grid(alpha=0.3)
    if any(curves):
        ax.legend(fontsize="small", loc="upper left")
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure, ax


def recall_by_stratum(metrics: Mapping[str, RecallVsArea], strata: Sequence[str] | None) -> Figure:
    """Return a panel for each stratum, or one for all images, with the curves of all metrics, over all processes.

    Args:
        metrics: by name; every process calls it with its own.
        strata: of the metrics; those without an image are left out.
    """
    parallel = distributed.is_available() and distributed.is_initialized()
    with ExitStack() as stack:
        for metric in metrics.values():
            stack.enter_context(metric.sync_context(should_sync=parallel))
        some = next(iter(metrics.values()))
        shown: list[str | None] = [None]
        if strata:
            shown = [name for index, name in enumerate(strata) if some.images[index]]
        figure = Figure(figsize=(4.6 * len(shown) + 0.4, 4.2), layout="constrained")
        for ax, stratum in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            draw_recall(metrics, ax, stratum=stratum)
            if stratum:
                ax.set_title(stratum)
            if ax is not figure.axes[0]:
                ax.get_legend().remove()
    return figure


def posterior_maps(log_masses: Tensor, grid: Grid, truth: Tensor, base: Tensor) -> Figure:
    """Return a Mollweide map for each posterior: the densest cells that hold half, 80 % and 95 % of it, and the truth.

    Args:
        log_masses: (B, N).
        grid: the cells.
        truth: (B, 2), latitudes and longitudes in degrees, drawn as stars.
        base: (N,) in [0, 1], drawn in grey underneath, for instance where there is land.
    """
    columns = min(len(log_masses), 3)
    rows = math.ceil(len(log_masses) / columns)
    figure = Figure(figsize=(3.6 * columns, 2.1 * rows), layout="compressed")
    blues = ListedColormap(colormaps["viridis"]([0.9, 0.55, 0.2]))
    raster, *edges = _raster(grid)
    lon, lat = (edge.numpy() for edge in edges)
    for number, log_mass in enumerate(log_masses):
        ax = figure.add_subplot(rows, columns, number + 1, projection="mollweide")
        ax.pcolormesh(lon, lat, base[raster].numpy(), cmap="Greys", vmin=0, vmax=4, rasterized=True)
        regions = _regions(log_mass, grid)[raster].to(torch.float32)
        ax.pcolormesh(
            lon,
            lat,
            regions.where(regions > 0, math.nan),
            cmap=blues,
            vmin=0.5,
            vmax=len(MASSES) + 0.5,
            rasterized=True,
        )
        place = torch.deg2rad(truth[number]).tolist()
        ax.plot(place[1], place[0], marker="*", markersize=9, color="crimson", markeredgecolor="white")
        ax.set(xticks=[], yticks=[])
    return figure


def _raster(grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cell of each pixel, and the borders of the pixels in radians."""
    step = 180 / ROWS
    lat = -90 + step * (torch.arange(ROWS, dtype=torch.float64) + 0.5)
    lon = -180 + step * (torch.arange(2 * ROWS, dtype=torch.float64) + 0.5)
    cells = grid.locate(torch.stack(torch.meshgrid(lat, lon, indexing="ij"), dim=-1))
    edges = torch.linspace(-1, 1, 2 * ROWS + 1) * math.pi
    return cells, edges, torch.linspace(-1, 1, ROWS + 1) * (math.pi / 2)


def _regions(log_mass: Tensor, grid: Grid) -> Tensor:
    """Return how many of the regions of `MASSES` each cell belongs to, the densest to all of them: (N,) int64."""
    mass = torch.softmax(log_mass.to(torch.float64), 0)
    order = (mass / grid.areas).argsort(descending=True)
    outside = torch.empty_like(mass)
    outside[order] = mass[order].cumsum(0) - mass[order]
    return sum((outside < share).long() for share in MASSES)  # type: ignore[return-value] # there are some
