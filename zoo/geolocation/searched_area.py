r"""How much of the Earth a score map makes one search before the truth is found: counted, never sorted.

Cells are searched from the highest score down. For an image whose truth lies in cell c, with cell areas a_n,

    before = sum_n a_n 1[s_n > s_c]        tied = sum_n a_n 1[s_n = s_c], the cell c among them

say all: one pass over the scores, O(N) instead of the O(N log N) of sorting them. What is searched among tied cells is
a matter of convention:

    linear          the tied cells are searched all at once, evenly: found with probability (A - before) / tied
    expected        cell by cell in random order: the mean area, before + a_c + (tied - a_c) / 2
    worst           c comes last of them: before + tied
    inclusive_min   c comes first of them: before + a_c

Source: Bianco, Eigen, Gormish, "Enhancing Worldwide Image Geolocation by Ensembling Satellite-Based Ground-Level
Attribute Predictors", WACV 2025, arXiv 2407.13862, for the idea; that counting suffices, and ties, are of this code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from zoo.checks import require, require_positive

Ties = Literal["linear", "expected", "worst", "inclusive_min"]
TIES: tuple[Ties, ...] = ("linear", "expected", "worst", "inclusive_min")

Scores = Tensor | Callable[[int, int], Tensor]
"""Scores (B, N), or a function that computes those of the cells from `first` to `last - 1`, (B, last - first)."""

TILE = 65_536
"""Cells whose scores are looked at together, of few images."""

TOGETHER = 2**26
"""Scores that are looked at together, of many images: 256 MiB in float32."""


class Searched(NamedTuple):
    """What is searched before the truth is found, in km^2, (B,) float64.

    Attributes:
        before: area of the cells with a higher score than the truth's.
        tied: area of the cells with its score, itself included.
        own: area of its cell.
        score: the truth's score, of the dtype of the scores; where it is -inf, all that is finite is searched before.
    """

    before: Tensor
    tied: Tensor
    own: Tensor
    score: Tensor

    def needed(self, ties: Ties = "linear") -> Tensor:
        """Return the area that is searched until the truth is found, on the mean where that is random: (B,)."""
        if ties == "linear":
            return self.before + self.tied / 2
        if ties == "expected":
            return self.before + self.own + (self.tied - self.own) / 2
        return self.before + (self.tied if ties == "worst" else self.own)

    def recall(self, budgets: Tensor, ties: Ties = "linear") -> Tensor:
        """Return the probability that the truth is found within each budget (K,) of km^2: (B, K) float64."""
        if ties != "linear":
            return (self.needed(ties)[:, None] <= budgets).to(torch.float64)
        beyond = budgets - self.before[:, None]
        # Predicted points are single places without any area.
        found = (beyond >= self.tied[:, None]).to(torch.float64)
        return torch.where(self.tied[:, None] > 0, (beyond / self.tied[:, None]).clamp(0, 1), found)


def searched_area(
    scores: Scores, truth: Tensor, areas: Tensor, *, truth_scores: Tensor | None = None, tile: int = TILE
) -> Searched:
    """Count what is searched before the truth.

    Scores may be computed tile by tile: memory is that of one tile then, whatever the number of cells.

    Args:
        scores: (B, N) of any real dtype, or a function, see `Scores`; higher is searched earlier, -inf is allowed.
        truth: (B,) int64, the cell of the truth.
        areas: (N,) float64, in km^2.
        truth_scores: (B,), with a function: the scores at the truth, if they are known. Otherwise tiles that hold a
            truth are computed twice. The truth's own cell counts as tied even where rounding makes its score another.
        tile: number of cells that are looked at together, > 0; fewer where the images have more than `TOGETHER` scores
            of them.

    Raises:
        ValueError: a shape is another, also of what a function gives; a cell is not on the grid, or a score is NaN.
    """
    require_positive(tile=tile)
    number = len(areas)
    require(truth.dim() == 1, "truth.shape", tuple(truth.shape), "(B,), a cell for each image")
    tile = min(tile, max(TOGETHER // max(len(truth), 1), 1))
    outside = (truth < 0) | (truth >= number)
    require(not bool(outside.any()), "truth", truth[outside][:1].tolist(), f"cells from 0 to {number - 1}")
    if isinstance(scores, Tensor):
        require(
            tuple(scores.shape) == (len(truth), number), "scores.shape", tuple(scores.shape), f"{(len(truth), number)}"
        )
        target = scores.gather(1, truth[:, None])[:, 0]
        blocks = [(0, number)] if scores.device.type == "cpu" else _tiles(number, tile)
    else:
        blocks = _tiles(number, tile)
        target = _scores_at(scores, truth, blocks) if truth_scores is None else truth_scores
        shape = tuple(target.shape)
        require(shape == (len(truth),), "truth_scores.shape", shape, f"{(len(truth),)}, a score for each image")
    _refuse_nan(target)
    areas = areas.to(target.device)
    own = areas[truth]
    equal = bool((areas == areas[0]).all())
    before, tied = torch.zeros_like(own), torch.zeros_like(own)
    for first, last in blocks:
        block = scores_between(scores, first, last, len(truth))
        _refuse_nan(block)
        higher, same = _count(block, target, areas[first:last], equal)
        inside = torch.nonzero((truth >= first) & (truth < last))[:, 0]
        value = block[inside, truth[inside] - first]
        higher[inside] -= torch.where(value > target[inside], own[inside], 0)
        same[inside] += torch.where(value != target[inside], own[inside], 0)
        before += higher
        tied += same
        # Before the next is computed, or there would be two.
        del block
    return Searched(before, tied, own, target)


def scores_between(scores: Scores, first: int, last: int, images: int) -> Tensor:
    """Return the scores (B, last - first) of some cells.

    Raises:
        ValueError: a function gives another shape.
    """
    if isinstance(scores, Tensor):
        return scores[:, first:last]
    block = scores(first, last)
    shape, needed = tuple(block.shape), (images, last - first)
    require(shape == needed, f"scores({first}, {last}).shape", shape, f"{needed}: images, cells")
    return block


def _tiles(number: int, tile: int) -> list[tuple[int, int]]:
    return [(first, min(first + tile, number)) for first in range(0, number, tile)]


def _scores_at(scores: Callable[[int, int], Tensor], truth: Tensor, blocks: list[tuple[int, int]]) -> Tensor:
    target: Tensor | None = None
    for first, last in blocks:
        inside = torch.nonzero((truth >= first) & (truth < last))[:, 0]
        if len(inside) == 0:
            continue
        block = scores_between(scores, first, last, len(truth))
        if target is None:
            target = torch.empty(len(truth), dtype=block.dtype, device=block.device)
        target[inside] = block[inside, truth[inside] - first]
        del block
    return torch.empty(0) if target is None else target


def _count(block: Tensor, target: Tensor, areas: Tensor, equal: bool) -> tuple[Tensor, Tensor]:
    """Return the areas of the cells of a block (B, w) with higher scores and with the same."""
    if block.device.type != "cpu":
        if equal:
            higher, same = (block > target[:, None]).sum(1), (block == target[:, None]).sum(1)
            return higher * areas[0], same * areas[0]
        return (block > target[:, None]).to(areas.dtype) @ areas, (block == target[:, None]).to(areas.dtype) @ areas
    # Row by row: what is compared is counted while it is in the cache.
    higher, same = torch.zeros(2, len(block), dtype=areas.dtype)
    for number, (row, value) in enumerate(zip(block, target, strict=True)):
        equals = row == value
        count = torch.count_nonzero(equals)
        if equal:
            higher[number], same[number] = torch.count_nonzero(row > value) * areas[0], count * areas[0]
        else:
            higher[number] = (row > value).to(areas.dtype) @ areas
            same[number] = areas[equals].sum() if count else 0.0
    return higher, same


def _refuse_nan(scores: Tensor) -> None:
    # The sum is cheap, and NaN if any score is; infinities of both signs make it so, too.
    if not bool(torch.isnan(scores.sum())):
        return
    if bool(torch.isnan(scores).any()):
        raise ValueError("scores hold NaN; give numbers, or -inf where the truth cannot be")
