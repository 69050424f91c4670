"""Koopman: EDMD from many snapshots against peers, and a verified pseudospectrum against a loop over points.

Peers come with `pip install -e '.[bench]'`; those that are not installed are left out, with a line that says so. They
get their features from scikit-learn, inside the timing, and are given a trajectory or pairs as they want them. Ours
sums G, A and L by chunks, kooplearn computes all three too, deeptime G and A, PyDMD a singular value decomposition.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from datamodules import keys
from datamodules.dynamics import Duffing
from trainers.benchmark import Case, Variant, installed
from zoo.koopman.certified_region import certified_region
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import Factors, factorize, factorize_gram, factorize_snapshots
from zoo.koopman.radial_functions import RadialFunctions, kmeans_centers, mean_radius
from zoo.koopman.tensor_bases import Monomials
from zoo.spectral.accumulators import GramAccumulator, RowAccumulator, TSQRAccumulator

Array = NDArray[np.float64]

CHUNK = 2048
"""Snapshots at a time: features that fit into the cache are not worth a page fault."""

MOST_DECOMPOSED = 5 * 10**7
"""Numbers in a matrix of features that PyDMD is asked to decompose: it holds several of its size, for minutes."""

SMALL = 2048
"""Snapshots of a small step, which loads every method's libraries."""

TESTED = 200
"""States whose forecasts are compared."""


def trajectory(steps: int) -> Array:
    """Return a linear oscillator driven by noise, standard deviation 1/2, (steps, 2)."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(steps) + 1j * generator.standard_normal(steps)
    states = lfilter([1], [1, -0.9 * np.exp(0.7j)], noise) * 0.5 * (1 - 0.9**2) ** 0.5
    return np.stack([states.real, states.imag], axis=1)


def statistics(degree: int, pairs: int) -> Case:
    """Return EDMD with monomials; what must be equal is the forecast of the state after one lag."""
    states = trajectory(pairs + 1)
    tested = states[:TESTED]
    dictionary = Monomials(2, degree)
    variants = [
        _ours("ours", dictionary, states, GramAccumulator),
        _ours("ours, triangular", dictionary, states, TSQRAccumulator),
    ]
    if installed("sklearn"):
        peers = {"deeptime": _deeptime, "kooplearn": _kooplearn}
        if pairs * dictionary.size <= MOST_DECOMPOSED:
            peers["pydmd"] = _pydmd
        else:
            print(f"left out: PyDMD, from {pairs} snapshots of {dictionary.size} functions")
        for package, fit in peers.items():
            if installed(package):
                variants.append(_peer(package, fit, degree, states, tested))
    return Case(f"EDMD, {pairs} pairs, {dictionary.size} monomials", variants[0], variants[1:])


def _ours(name: str, dictionary: Monomials, states: Array, kind: type[RowAccumulator]) -> Variant:
    x, y = torch.from_numpy(states[:-1]), torch.from_numpy(states[1:])
    coordinates = [dictionary.indices.tolist().index(unit) for unit in ([1, 0], [0, 1])]

    def fit(number: int) -> Tensor:
        sums = kind(2 * dictionary.size)
        for start in range(0, number, CHUNK):
            rows = slice(start, min(start + CHUNK, number))
            sums.update(dictionary(x[rows]), dictionary(y[rows]))
        factors = factorize(sums.factor) if isinstance(sums, TSQRAccumulator) else factorize_gram(sums.gram)
        return edmd(factors).matrix

    def step() -> None:
        fit(len(x))

    def small_step() -> None:
        fit(SMALL)

    return Variant(name, step, lambda: dictionary(x[:TESTED]) @ fit(len(x))[:, coordinates], small_step)


Fit = Callable[[Callable[[Array], Array], Array], Callable[[Array], Array]]
"""From features and a trajectory to a forecast of features from features."""


def _peer(name: str, fit: Fit, degree: int, states: Array, tested: Array) -> Variant:
    from sklearn.preprocessing import PolynomialFeatures

    features = PolynomialFeatures(degree).fit_transform

    def step() -> None:
        fit(features, states)

    def small_step() -> None:
        fit(features, states[:SMALL])

    def output() -> Tensor:
        return torch.from_numpy(fit(features, states)(features(tested))[:, 1:3].real.copy())

    return Variant(name, step, output, small_step)


def _deeptime(features: Callable[[Array], Array], states: Array) -> Callable[[Array], Array]:
    from deeptime.decomposition import EDMD

    model = EDMD(features).fit((states[:-1], states[1:])).fetch_model()
    return lambda psi: psi @ model.operator


def _kooplearn(features: Callable[[Array], Array], states: Array) -> Callable[[Array], Array]:
    from kooplearn.linear_model import Ridge

    model = Ridge(reduced_rank=False, copy_X=False).fit(features(states))
    return lambda psi: psi @ model.estimator_


def _pydmd(features: Callable[[Array], Array], states: Array) -> Callable[[Array], Array]:
    from pydmd import DMD

    model = DMD(svd_rank=-1).fit(features(states[:-1]).T, features(states[1:]).T)
    return lambda psi: model.predict(psi.T).T


def oscillator(functions: int) -> Factors:
    """Return the orthonormal form of radial functions on snapshots of the damped Duffing oscillator."""
    arrays = Duffing(damping=0.3, num_train=1000, num_val=1, num_test=1, num_steps=5).arrays("train")
    x, y = (torch.from_numpy(arrays[key]) for key in (keys.STATE, keys.NEXT_STATE))
    dictionary = RadialFunctions(kmeans_centers(x, functions), scale=mean_radius(x), factor=2.0)
    return factorize_snapshots(dictionary(x), dictionary(y))


def pseudospectrum(functions: int, depth: int, epsilon: float) -> Case:
    """Return {tau < epsilon} on cells of [-1.5, 1.5]^2.

    The peer finds the smallest singular value at the middle of every cell of the upper half, which says nothing about
    the rest of the cell. What must be equal is on which side of epsilon it is, where ours decided on the whole cell.
    """
    factors = oscillator(functions)
    side = 2**depth
    middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 3 - 1.5
    points = torch.complex(middles.expand(side // 2, -1), middles[side // 2 :, None].expand(-1, side))
    compression, leak = factors.compression.numpy(), factors.leak.numpy()

    def ours() -> Tensor:
        return certified_region(factors, epsilon, (-1.5, 1.5), (-1.5, 1.5), depth).labels[side // 2 :].double()

    decided = ours() != 0

    def loop() -> Tensor:
        identity, values = np.eye(len(compression)), []
        for point in points.flatten().tolist():
            stacked = np.concatenate([compression - point * identity, leak])
            values.append(np.linalg.svd(stacked, compute_uv=False)[-1])
        return torch.tensor(values, dtype=torch.float64).reshape(points.shape)

    def variant(name: str, work: Callable[[], Tensor], labels: Callable[[Tensor], Tensor]) -> Variant:
        def step() -> None:
            work()

        return Variant(name, step, lambda: labels(work()))

    return Case(
        f"{side} x {side} cells, N {functions}, tau < {epsilon:g}",
        variant("ours", ours, lambda labels: labels),
        [variant("loop over points", loop, lambda tau: (epsilon - tau).sign() * decided)],
    )


def cases() -> list[Case]:
    """Return the workloads."""
    return [
        *(statistics(degree, pairs) for pairs in (10**5, 10**6) for degree in (8, 15)),
        *(pseudospectrum(150, 6, epsilon) for epsilon in (0.1, 0.3)),
    ]
