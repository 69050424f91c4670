"""Which points of a surface are labelled, and which are to be predicted: the tasks.

"super_resolution"    labels at a random part of the points, the others are asked for
"inpainting"          labels everywhere but in a ball, which is asked for
"denoising"           labels with noise at all points, the truth is asked for at all
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from datamodules.surfaces.shapes import Array
from zoo.checks import require, require_choice

Task = Literal["super_resolution", "inpainting", "denoising"]
TASKS: tuple[Task, ...] = get_args(Task)
Indices = NDArray[np.int64]


def split_points(
    points: Array, task: Task, seed: int, label_fraction: float = 0.5, hole: float = 0.25
) -> dict[str, Indices]:
    """Return the points of the splits "train", "val" and "test", all different and ascending.

    Validation takes a fifth of the points that are asked for, at least one; for "denoising", of all points.

    Args:
        points: (n, D).
        task: see the top of this file.
        seed: of the choice; for "inpainting", of the centre of the ball.
        label_fraction: part of the points with labels, in (0, 1), for "super_resolution".
        hole: radius of the ball, in units of the largest distance from its centre, in (0, 1), for "inpainting".

    Raises:
        ValueError: an argument is out of its range, or too few points are left in a split.
    """
    require_choice("task", task, TASKS)
    require(0 < label_fraction < 1, "label_fraction", label_fraction, "a number in (0, 1)")
    require(0 < hole < 1, "hole", hole, "a number in (0, 1)")
    generator = np.random.default_rng(seed)
    n = len(points)
    if task == "super_resolution":
        labelled = generator.permutation(n)[: round(label_fraction * n)]
        asked = np.setdiff1d(np.arange(n), labelled)
    elif task == "inpainting":
        distances = np.linalg.norm(points - points[generator.integers(n)], axis=1)
        inside = distances < hole * distances.max()
        labelled, asked = np.flatnonzero(~inside), np.flatnonzero(inside)
    else:
        labelled = asked = np.arange(n)
    require(len(labelled) >= 2, "label_fraction", label_fraction, f"a larger one: {len(labelled)} of {n} points")
    require(len(asked) >= 2, "hole", hole, f"a larger one: {len(asked)} of {n} points are to be predicted")
    mixed = generator.permutation(asked)
    number = max(1, len(asked) // 5)
    return {"train": np.sort(labelled), "val": np.sort(mixed[:number]), "test": np.sort(mixed[number:])}
