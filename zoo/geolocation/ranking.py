"""By which numbers cells are searched: masses per area, where the areas of cells differ."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require
from zoo.geolocation.searched_area import Scores, scores_between


def densities(
    scores: Scores, truth: Tensor, areas: Tensor, *, log: bool = False, truth_scores: Tensor | None = None
) -> tuple[Scores, Tensor | None]:
    """Return what ranks cells by mass per area, and the same of the truth if it is known.

    Args:
        scores: (B, N), masses of cells, or a function, see `zoo.geolocation.searched_area.Scores`.
        truth: (B,) int64 cells.
        areas: (N,) float64, in km^2.
        log: the scores are logarithms of masses.
        truth_scores: (B,), the scores at the truth, or None.

    Raises:
        ValueError: a shape is another; or a mass is negative, as logarithms without `log=True` are, for a function when
            it is called.
    """
    equal, images = bool((areas == areas[0]).all()), len(truth)

    def density(mass: Tensor, area: Tensor, name: str = "scores") -> Tensor:
        if not log:
            allowed = "masses >= 0, or their logarithms with log=True, or rank_by='score'"
            require(not bool((mass < 0).any()), name, "negative masses", allowed)
        # Equal areas change no order, and a division could make ties of what differed in the last digit.
        if equal:
            return mass
        # In half precision an area of a million km^2 is infinite.
        mass = mass.to(torch.promote_types(mass.dtype, torch.float32))
        area = area.to(mass)
        return mass - area.log() if log else mass / area

    if truth_scores is not None:
        shape = tuple(truth_scores.shape)
        require(shape == (images,), "truth_scores.shape", shape, f"{(images,)}, a score for each image")
        truth_scores = density(truth_scores, areas[truth.cpu()], "truth_scores")
    if isinstance(scores, Tensor):
        shape, needed = tuple(scores.shape), (images, len(areas))
        require(shape == needed, "scores.shape", shape, f"{needed}")
        return density(scores, areas), truth_scores
    given = scores
    return lambda first, last: density(scores_between(given, first, last, images), areas[first:last]), truth_scores
