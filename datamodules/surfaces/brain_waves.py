r"""Travelling waves on a head, made up: phases, and the velocities at which they move.

Complex signals at electrodes x,

.. math:: z(x, t) = \sum_q A_q \exp(i(\omega t - \kappa_q\,dist(x, c_q(t)) + \phi_q)) + noise, \qquad q = 1, 2, 3,

come from sources that wander over the scalp as Ornstein-Uhlenbeck processes. With :math:`\theta = arg z` the velocity
is :math:`v = -\dot\theta \nabla\theta / |\nabla\theta|^2`: derivatives in time are central differences, gradients local
least squares on the tangent plane. Lengths are in cm, times in s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from datamodules.surfaces.shapes import Array, sphere
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.gradients import gradients

AXES = np.array([9.0, 7.5, 8.5])
"""Half axes of the head: to the front, to the left, upwards."""

RATE = 250.0
FREQUENCY = 10.0
SOURCES = 3
WAVELENGTHS = (15.0, 25.0)
TIME_CONSTANT = 0.5
WANDERING = 0.3
"""Standard deviation of the wandering of sources, in radians of the unit sphere."""

NOISE = 0.05
OCCIPITAL = np.array([-1.0, 0.0, 0.3]) / math.sqrt(1.09)
CAP = math.cos(math.radians(35))
OCCIPITAL_SHARE = {0: 0.5, 1: 0.8}
"""Probability that a source belongs to the back of the head, by group."""

LEAST_GRADIENT = 2 * math.pi / 100
"""Radians per cm below which a wave is called standing: speeds stay finite where the phase is flat."""


@dataclass(frozen=True)
class Recording:
    """Velocities of one subject.

    Attributes:
        vectors: (T, n, 3) tangent vectors, in cm / s.
        phases: (T, n) of the signals, in radians.
        sources: (T, 3, 3), where the sources are, on the head.
    """

    vectors: Array
    phases: Array
    sources: Array


def head(n: int = 256) -> Array:
    """Return n electrodes on the upper part of the head, (n, 3), in cm: those above a third of its depth."""
    unit = sphere(math.ceil(1.5 * n))
    return unit[np.argsort(-unit[:, 2], kind="stable")[:n]] * AXES


def record(geometry: ConnectionLaplacian, frames: int, group: int, seed: int) -> Recording:
    """Return the velocities of a subject at all points of a head.

    Args:
        geometry: the electrodes.
        frames: number T of times.
        group: 0, or 1, whose sources are more often in the back.
        seed: of everything random.
    """
    generator = np.random.default_rng(seed)
    # A time more at both ends for the central differences.
    sources = _wander(frames + 2, group, generator)
    signal = _signal(geometry.points, sources, generator)
    turning = np.angle(signal[2:] * signal[:-2].conj()) * RATE / 2
    signal = signal[1:-1]
    slope = phase_gradient(geometry, signal)
    speed = -turning / ((slope**2).sum(axis=2) + LEAST_GRADIENT**2)
    vectors = np.einsum("npd,tnd->tnp", geometry.frames, speed[:, :, None] * slope)
    return Recording(vectors, np.angle(signal), sources[1:-1] * AXES)


def phase_gradient(geometry: ConnectionLaplacian, signal: np.ndarray) -> Array:
    """Return the gradient of the phase of complex signals (T, n) in the tangent frames, (T, n, 2).

    Differences of phases are those of the signals' ratio: they know nothing of jumps by a whole turn.
    """
    source, target = geometry.edge_index
    differences = (np.angle(row[target] * row[source].conj()) for row in signal)
    return gradients(geometry, differences).transpose(2, 0, 1)


def _wander(frames: int, group: int, generator: np.random.Generator) -> Array:
    """Return unit vectors (T, 3 sources, 3) that wander around fixed places."""
    homes = np.stack([_home(group, generator) for _ in range(SOURCES)])
    kept = math.exp(-1 / (RATE * TIME_CONSTANT))
    shift = WANDERING * generator.standard_normal((SOURCES, 3))
    places = np.empty((frames, SOURCES, 3))
    for frame in range(frames):
        places[frame] = homes + shift
        shift = kept * shift + WANDERING * math.sqrt(1 - kept**2) * generator.standard_normal((SOURCES, 3))
    return places / np.linalg.norm(places, axis=2, keepdims=True)


def _home(group: int, generator: np.random.Generator) -> Array:
    occipital = generator.random() < OCCIPITAL_SHARE[group]
    while True:
        place = generator.standard_normal(3)
        place /= np.linalg.norm(place)
        if place[2] > -1 / 3 and (place @ OCCIPITAL > CAP) == occipital:
            return place


def _signal(points: Array, sources: Array, generator: np.random.Generator) -> np.ndarray:
    frames = len(sources)
    unit = points / AXES
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    amplitude = generator.uniform(0.5, 1, SOURCES)
    wavenumber = 2 * math.pi / generator.uniform(*WAVELENGTHS, SOURCES)
    phase = generator.uniform(0, 2 * math.pi, SOURCES)
    # Along great circles of the sphere of the mean radius.
    distance = AXES.mean() * np.arccos(np.clip(np.einsum("np,tqp->tqn", unit, sources), -1, 1))
    time = np.arange(frames)[:, None, None] / RATE
    angle = 2 * math.pi * FREQUENCY * time - wavenumber[:, None] * distance + phase[:, None]
    noise = generator.standard_normal((2, frames, len(points))) * NOISE / math.sqrt(2)
    return (amplitude[:, None] * np.exp(1j * angle)).sum(axis=1) + noise[0] + 1j * noise[1]
