"""Recall versus area: counting the cells that score higher against sorting all of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.benchmark import Case, Variant
from zoo.geolocation.searched_area import searched_area
from zoo.spectral.grids import HEALPixGrid, merge_cells

IMAGES = 64
NSIDE = 128  # 196 608 cells


def by_sorting(scores: Tensor, truth: Tensor, areas: Tensor) -> Tensor:
    """Return the area searched until the truth is found, (B,), the way everybody would compute it."""
    order = scores.argsort(dim=1, descending=True)
    total = areas[order].cumsum(1)
    position = (order == truth[:, None]).to(torch.uint8).argmax(1, keepdim=True)
    return total.gather(1, position)[:, 0]


def by_counting(scores: Tensor, truth: Tensor, areas: Tensor) -> Tensor:
    """Return it by counting."""
    return searched_area(scores, truth, areas).needed("worst")


def by_tiles(scores: Tensor, truth: Tensor, areas: Tensor) -> Tensor:
    """Return it from tiles of the scores, as if they were computed one at a time."""
    return searched_area(lambda first, last: scores[:, first:last], truth, areas).needed("worst")


def variant(name: str, area: Callable[[Tensor, Tensor, Tensor], Tensor], *arguments: Tensor) -> Variant:
    """Return an implementation with the scores that it ranks."""

    def step() -> None:
        area(*arguments)

    return Variant(name, step, lambda: area(*arguments))


def cases() -> list[Case]:
    """Return the cases: scores that all differ, and scores with one value for each combination of two labels."""
    generator = torch.Generator().manual_seed(0)
    grid = HEALPixGrid(NSIDE)
    scores = torch.randn(IMAGES, grid.n, generator=generator)
    truth = torch.randint(grid.n, (IMAGES,), generator=generator)
    unequal = grid.areas * (0.5 + torch.rand(grid.n, dtype=torch.float64, generator=generator))

    labels = [torch.randint(number, (grid.n,), generator=generator) for number in (2000, 10)]
    index, merged = merge_cells(labels, grid.areas)
    values = torch.randn(IMAGES, merged.n, generator=generator)
    painted = values[:, index]
    return [
        Case(
            "64 images x 196 608 cells of equal area",
            variant("ours", by_counting, scores, truth, grid.areas),
            [
                variant("ours, in tiles", by_tiles, scores, truth, grid.areas),
                variant("sort and cumulate", by_sorting, scores, truth, grid.areas),
            ],
        ),
        Case(
            "64 images x 196 608 cells of unequal areas",
            variant("ours", by_counting, scores, truth, unequal),
            [variant("sort and cumulate", by_sorting, scores, truth, unequal)],
        ),
        Case(
            f"64 images x 196 608 cells with {merged.n:,} values".replace(",", " "),
            variant("ours, merged cells", by_counting, values, index[truth], merged.areas),
            [variant("ours, all cells", by_counting, painted, truth, grid.areas)],
        ),
    ]
