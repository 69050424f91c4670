"""Certificates for any learner, from any data that it has not seen."""

from __future__ import annotations

from typing import Any

from zoo.koopman.certificate import Certificate, Origin
from zoo.koopman.learner import KoopmanLearner
from zoo.koopman.snapshots import Array


def certify(
    learner: KoopmanLearner,
    data: Any,
    successors: Array | None = None,
    lag: int | None = None,
    weights: Array | None = None,
    *,
    origin: Origin = "held_out",
    shards: int | None = None,
    level: float = 0.95,
) -> Certificate:
    """Return, for every eigenpair of a learner, how far it is from being one of the Koopman operator.

    Args:
        learner: that has been fitted, or loaded from a checkpoint.
        data: a trajectory (T, d), a list of trajectories, states (M, d) with `successors`; or a datamodule of
            `datamodules.dynamics` that has been set up, whose test set is taken.
        successors: of states, (M, d).
        lag: steps between the states of a pair, by default that of `fit`; unused with successors and datamodules.
        weights: relative ones of the pairs, equal if None; unused with datamodules.
        origin: "held_out", or "training" for the data of training, of which residuals are too small: with a warning and
            without intervals.
        shards: number of stretches of the data that the intervals come from; by default the learner's.
        level: probability that an interval covers the residual of infinitely much data.

    Raises:
        ValueError: "held_out" data hold pairs of training; or the data cannot be used.
        RuntimeError: the learner has no eigenpairs yet.
    """
    options: dict[str, Any] = {"origin": origin, "shards": shards, "level": level}
    if hasattr(data, "entries"):
        return learner.certify_batch(data.entries("test"), **options)
    return learner.certify(data, successors, lag, weights, **options)
