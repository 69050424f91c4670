"""Photographs without pixels: what predictors see of a place, drawn from distributions that are known.

A place is drawn from the prior of a set, as people take photographs where people are: with density proportional to
population^alpha on land. Its view is a direction around it, von Mises-Fisher distributed. Its land cover and population
bucket are each observed through a table of confusions. All three are independent given the place, so that its posterior
is known exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules import keys
from datamodules.earth.world import BUCKETS, NUM_COVERS, World

Array = NDArray[Any]

SETS = {"urban": 1.0, "rural": 0.2, "wild": 0.0}
"""Exponents alpha of the population in the density of photographs, by name."""

ATTRIBUTES = {keys.COVER: NUM_COVERS, keys.POPULATION: len(BUCKETS) + 1}
"""Numbers of classes of the attributes."""

HEADS_TRAINED_ON = "urban"
"""The set whose priors the base model and the heads of the attributes have learned."""


class Camera(NamedTuple):
    """How well predictors see.

    Attributes:
        kappa: concentration of the view about the place.
        accuracy: probability that an attribute is observed as it is; the other classes share the rest.
        overconfidence: factor of the concentration that the base model claims.
        sharpness: exponent of the posteriors that the heads claim, before they are normalised.
    """

    kappa: float
    accuracy: float
    overconfidence: float
    sharpness: float


def prior_of(world: World, name: str) -> Tensor:
    """Return the probability of each cell, (N,) float64, that a photograph of a set was taken there."""
    weight = torch.where(world.land, world.population ** SETS[name], 0.0)
    return weight / weight.sum()


def classes_of(world: World) -> dict[str, Tensor]:
    """Return the class of each cell in each attribute, (N,) int64."""
    return {keys.COVER: world.cover, keys.POPULATION: world.bucket}


def class_priors(world: World) -> dict[str, Tensor]:
    """Return the frequencies of the classes in the training of the heads, (K,) float64 each."""
    prior, classes = prior_of(world, HEADS_TRAINED_ON), classes_of(world)
    return {
        name: torch.zeros(size, dtype=torch.float64).index_add_(0, classes[name], prior)
        for name, size in ATTRIBUTES.items()
    }


def confusion(size: int, accuracy: float) -> Tensor:
    """Return the probabilities (K, K) of an observation (column) given the class (row)."""
    table = torch.full((size, size), (1 - accuracy) / (size - 1), dtype=torch.float64)
    return table.fill_diagonal_(accuracy)


def head_posteriors(prior: Tensor, camera: Camera) -> Tensor:
    """Return what a head claims of each observation, (K observations, K classes): q ~ (confusion prior)^sharpness."""
    joint = confusion(len(prior), camera.accuracy) * prior[:, None]
    posterior = (joint / joint.sum(0)).T ** camera.sharpness
    return posterior / posterior.sum(1, keepdim=True)


def take(
    world: World, directions: Tensor, name: str, number: int, camera: Camera, generator: np.random.Generator
) -> dict[str, Tensor]:
    """Draw photographs of a set.

    Args:
        world: the planet.
        directions: (N, 3), unit vectors of its cells.
        name: of the set.
        number: M, of photographs.
        camera: how well predictors see.
        generator: source of randomness.

    Returns:
        `TRUE_CELL`, `STRATUM`, `VIEW`, `COVER`, `POPULATION`, and see `gates_of`.
    """
    cell = torch.from_numpy(generator.choice(len(world.land), number, p=prior_of(world, name).numpy()))
    view = von_mises_fisher(directions[cell].numpy(), camera.kappa, generator)
    priors, classes = class_priors(world), classes_of(world)
    entries = {
        keys.TRUE_CELL: cell,
        keys.STRATUM: torch.full((number,), list(SETS).index(name)),
        keys.VIEW: torch.from_numpy(camera.overconfidence * camera.kappa * view).float(),
    }
    for attribute, size in ATTRIBUTES.items():
        cumulated = confusion(size, camera.accuracy).cumsum(1)[classes[attribute][cell]]
        drawn = torch.from_numpy(generator.random((number, 1)))
        observed = (drawn > cumulated[:, :-1]).sum(1)
        entries[attribute] = head_posteriors(priors[attribute], camera)[observed].float()
    return entries | gates_of(entries[keys.COVER], entries[keys.POPULATION])


def gates_of(cover: Tensor, population: Tensor) -> dict[str, Tensor]:
    """Return what weights may depend on, `BUCKET` and `GATE`, from what heads claim, (M, K) each."""
    expected = population @ torch.linspace(0, 1, population.size(1)).to(population)
    return {keys.BUCKET: population.argmax(1), keys.GATE: torch.stack([expected, cover.amax(1)], dim=1)}


def von_mises_fisher(means: Array, kappa: float, generator: np.random.Generator) -> Array:
    """Draw a direction around each mean (M, 3), with density proportional to exp(kappa cos(angle)).

    Source: Wood, "Simulation of the von Mises Fisher distribution", Comm. Stat. 23 (1994); in three dimensions the
    cosine is drawn by inverting its distribution.
    """
    u = generator.random(len(means))
    cosine = 1 + np.log(u + (1 - u) * np.exp(-2 * kappa)) / kappa
    across = np.cross(means, generator.standard_normal(means.shape))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return cosine[:, None] * means + np.sqrt(np.clip(1 - cosine**2, 0, None))[:, None] * across
