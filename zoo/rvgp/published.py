"""What the published code does to its labels before it trains on them."""

from __future__ import annotations

import math

import numpy as np

from zoo.checks import require
from zoo.spectral.point_graph import Indices


def inner_split(labelled: Indices, test_size: float = 0.2, seed: int = 0) -> tuple[Indices, Indices]:
    """Split labels once more, as the published `fit` does: it trains on four fifths of those that it is given.

    The split is that of scikit-learn's `train_test_split` with the same seed.

    Args:
        labelled: (m,) the points with labels, which may repeat.
        test_size: part that is held out, in (0, 1).
        seed: of the permutation.

    Returns:
        The labels that are trained on, and those that are held out.

    Raises:
        ValueError: an argument is out of its range, or a part is empty.
    """
    require(0 < test_size < 1, "test_size", test_size, "a number in (0, 1)")
    number = len(labelled)
    held_out, kept = math.ceil(test_size * number), math.floor((1 - test_size) * number)
    require(kept >= 1, "labelled", f"{number} labels", "more, so that some are left to train on")
    order = np.random.RandomState(seed).permutation(number)  # the published generator
    return labelled[order[held_out : held_out + kept]], labelled[order[:held_out]]
