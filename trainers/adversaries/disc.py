"""The disc adversary: two systems with the same data, bit by bit, and spectra as different as spectra can be.

F(r, phi) = (r, phi + a(r)) on the unit disc. With a = 2 pi p / q the spectrum is the q-th roots of unity; a bump of a
on an annulus that holds no sample makes it the whole circle. Whatever a learner answers, it gives the same answer for
both, hence is wrong by half of the distance of the two spectra for one of them (Colbrook, Mezić and Stepanenko, 2024,
arXiv 2407.06312). More data move the annulus and change nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from datamodules import keys
from datamodules.dynamics import DiscAdversary
from trainers.adversaries.report import Report
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import Factors, factorize_snapshots
from zoo.koopman.kernels import kernel_edmd, kernel_eigenpairs, make_kernel
from zoo.koopman.mpedmd import mpedmd
from zoo.koopman.pseudospectrum import grid
from zoo.koopman.spectrum import spectrum
from zoo.koopman.tensor_bases import Monomials
from zoo.koopman.towers import hausdorff

CIRCLE = torch.polar(torch.ones(3600), 2 * math.pi * torch.arange(3600) / 3600).to(torch.complex128)
"""The unit circle, up to 1e-3."""

DEGREE = 6
KERNEL_PAIRS = 300  # kernel EDMD costs their cube

Learner = Callable[[Tensor, Tensor], Tensor]
"""From snapshots (M, 2) and their successors to a set of points, the learner's spectrum."""


def _factors(x: Tensor, y: Tensor) -> Factors:
    dictionary = Monomials(2, DEGREE)
    return factorize_snapshots(dictionary(x), dictionary(y))


def _kernel_edmd(x: Tensor, y: Tensor) -> Tensor:
    x, y = x[:KERNEL_PAIRS], y[:KERNEL_PAIRS]
    return kernel_eigenpairs(kernel_edmd(x, y, make_kernel("gaussian", x), functions=20)).eigenvalues


def _verified(x: Tensor, y: Tensor) -> Tensor:
    return spectrum(_factors(x, y), grid((-1.25, 1.25), (-1.25, 1.25), 0.05), measure_preserving=True).points


LEARNERS: dict[str, Learner] = {
    "EDMD": lambda x, y: edmd(_factors(x, y)).eigenvalues,
    "mpEDMD": lambda x, y: mpedmd(_factors(x, y)).eigenvalues,
    "kernel EDMD": _kernel_edmd,
    "verified spectrum": _verified,
}
"""Dictionary: monomials up to degree 6."""


@dataclass(frozen=True)
class Answer:
    """What a learner said.

    Attributes:
        points: for the tame system.
        identical: whether it said the same for the adversary's, bit by bit.
        tame: Hausdorff distance of the answer from the roots of unity.
        twisted: and from the circle.
    """

    points: Tensor
    identical: bool
    tame: float
    twisted: float


def ask(tame: DiscAdversary, twisted: DiscAdversary) -> tuple[bool, dict[str, Answer]]:
    """Return whether the training data of two systems are identical, and what all learners say about them."""
    data, other = (
        [torch.from_numpy(arrays[key]) for key in (keys.STATE, keys.NEXT_STATE)]
        for arrays in (tame.arrays("train"), twisted.arrays("train"))
    )
    roots = torch.polar(torch.ones(tame.order), 2 * math.pi * torch.arange(tame.order) / tame.order).to(CIRCLE)
    answers = {}
    for name, learner in LEARNERS.items():
        points, again = learner(*data), learner(*other)
        answers[name] = Answer(points, torch.equal(points, again), hausdorff(points, roots), hausdorff(points, CIRCLE))
    return all(torch.equal(one, two) for one, two in zip(data, other, strict=True)), answers


def demonstrate(order: int = 3, sizes: tuple[int, ...] = (300, 3000, 30000), seed: int = 0) -> Report:
    """Ask all learners about both systems, with ever more data.

    Args:
        order: q, of the rotation by 1 / q turns.
        sizes: numbers of training snapshots.
        seed: of the data.
    """
    lines = [f"rotation by 1/{order} of a turn, and the same with a twist in an annulus without samples"]
    for size in sizes:
        options: dict[str, Any] = {"numerator": 1, "denominator": order, "num_train": size, "seed": seed}
        tame, twisted = DiscAdversary(**options), DiscAdversary(twisted=True, **options)
        identical, answers = ask(tame, twisted)
        low, high = twisted.annulus()
        lines += [
            "",
            f"{size} snapshots, identical bit by bit: {_yes(identical)}; annulus {low:.6f} < r < {high:.6f}",
            f"distance of the two spectra: {tame.spectral_gap:.4f}, hence an error of {tame.spectral_gap / 2:.4f} "
            "at least for one of them",
            f"{'learner':<18} {'same answer':>11} {'error, tame':>12} {'error, twisted':>15}",
        ]
        lines += [
            f"{name:<18} {_yes(answer.identical):>11} {answer.tame:12.4f} {answer.twisted:15.4f}"
            for name, answer in answers.items()
        ]
    return Report("disc", lines, {"disc": _figure(tame, twisted, answers)})


def _yes(fact: bool) -> str:
    return "yes" if fact else "NO"


def _figure(tame: DiscAdversary, twisted: DiscAdversary, answers: dict[str, Answer]) -> Figure:
    figure = Figure(figsize=(13, 4.3), layout="constrained")
    profile, disc, spectra = figure.subplots(1, 3)
    low, high = twisted.annulus()
    width = high - low
    radii = np.linspace(low - 1.5 * width, high + 1.5 * width, 800)
    on_axis = np.stack([radii, np.zeros_like(radii)], axis=1)
    for system, style in ((tame, {"linewidth": 4, "color": "0.75"}), (twisted, {"color": "tab:red"})):
        image = system.step(on_axis)
        turns = np.unwrap(np.arctan2(image[:, 1], image[:, 0])) / (2 * np.pi)
        label = "adversary" if system.twisted else "rotation"
        profile.plot(radii, turns - turns[0] + tame.angle / (2 * np.pi), label=label, **style)
    samples = np.hypot(*tame.arrays("train")[keys.STATE].T)
    near = samples[(samples > radii[0]) & (samples < radii[-1])]
    profile.plot(near, np.zeros_like(near), "|", color="black", markersize=14, label="samples")
    profile.set(title="angle of rotation", xlabel="r", ylabel="turns")
    profile.ticklabel_format(axis="x", useOffset=False)
    profile.locator_params(axis="x", nbins=4)
    profile.legend(loc="upper left")

    start, edge = np.array([[low + 0.3 * width, 0.0]]), low + 2 * width
    disc.plot(*tame.arrays("train")[keys.STATE].T, ".", color="black", markersize=4, label="samples")
    for system, style in ((twisted, {"color": "tab:red", "markersize": 3}), (tame, {"color": "0.6", "markersize": 12})):
        orbit = [start]
        for _ in range(300):
            orbit.append(system.step(orbit[-1]))
        disc.plot(*np.concatenate(orbit).T, ".", label="adversary" if system.twisted else "rotation", **style)
    for radius in (low, high):
        disc.add_patch(Circle((0, 0), radius, fill=False, linestyle="dashed", linewidth=0.8))
    disc.set(title="orbits of one state in the annulus", aspect="equal", xlim=(-edge, edge), ylim=(-edge, edge))
    disc.set(xlabel="x", ylabel="y")
    disc.locator_params(nbins=4)
    disc.legend(loc="upper right", fontsize="small")

    spectra.plot(CIRCLE.real, CIRCLE.imag, color="tab:red", label="exact, adversary")
    roots = np.exp(2j * np.pi * np.arange(tame.order) / tame.order)
    spectra.plot(roots.real, roots.imag, "o", color="0.7", markersize=16, label="exact, rotation")
    for (name, answer), marker in zip(answers.items(), ("C0x", "C1+", "C2d", "k."), strict=True):
        spectra.plot(answer.points.real, answer.points.imag, marker, markersize=8, label=name)
    spectra.set(title="what learners answer for both", aspect="equal", xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$")
    spectra.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
