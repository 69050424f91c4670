"""How sure a curve of recall is: bands, intervals, and the difference of two models on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.checks import require, require_above, require_positive


class Interval(NamedTuple):
    """An estimate between two bounds."""

    low: float
    value: float
    high: float


def dkw_halfwidth(number: float, delta: float = 0.05) -> float:
    """Return how far a whole empirical curve may be from the true one, with probability 1 - delta.

    Args:
        number: of images, > 0; if they are weighted their effective number, (sum w)^2 / sum w^2, for which the bound is
            an approximation.
        delta: in (0, 1).

    Source: Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Ann. Probab. 18 (1990).
    """
    require_above(0, number=number)
    require(0 < delta < 1, "delta", delta, "a number in (0, 1)")
    return math.sqrt(math.log(2 / delta) / (2 * number))


def wilson(found: int, number: int, delta: float = 0.05) -> Interval:
    """Return the Wilson interval of a share, for one budget.

    Args:
        found: number of images found, from 0 to `number`.
        number: of images, > 0.
        delta: probability that the interval does not hold the true share, in (0, 1).
    """
    require_positive(number=number)
    require(0 <= found <= number, "found", found, f"an integer from 0 to {number}")
    require(0 < delta < 1, "delta", delta, "a number in (0, 1)")
    z = NormalDist().inv_cdf(1 - delta / 2)
    share = found / number
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2)
    return Interval(middle - half, share, middle + half)


def paired_bootstrap(
    one: Tensor,
    other: Tensor,
    statistic: Callable[[Tensor], Tensor],
    *,
    resamples: int = 1000,
    delta: float = 0.05,
    seed: int = 0,
) -> Interval:
    """Return the interval of the difference of a statistic between two models, by resampling the images of both.

    Args:
        one: (M,), needed areas of the first model, see `RecallVsArea(keep_ranks=True)`.
        other: (M,), those of the second, of the same images in the same order.
        statistic: of needed areas (S, M) along the last dimension: (S,), such as `lambda areas: areas.median(-1)[0]`.
        resamples: number of resamples S, > 0.
        delta: probability that the interval does not hold the true difference, in (0, 1).
        seed: of the resamples.

    Raises:
        ValueError: the models have not the same number of images, or an argument is out of its range.
    """
    require_positive(resamples=resamples)
    require(0 < delta < 1, "delta", delta, "a number in (0, 1)")
    require(one.shape == other.shape and one.dim() == 1, "other.shape", tuple(other.shape), f"{tuple(one.shape)}, (M,)")
    index = torch.randint(len(one), (resamples, len(one)), generator=torch.Generator().manual_seed(seed))
    differences = (statistic(one[index]) - statistic(other[index])).to(torch.float64)
    low, high = torch.quantile(differences, torch.tensor([delta / 2, 1 - delta / 2], dtype=torch.float64)).tolist()
    return Interval(low, float((statistic(one[None]) - statistic(other[None]))[0]), high)
