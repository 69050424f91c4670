"""Limits that do not commute: eigenvalues that are wrong for every dictionary, and a spectrum that needs an order.

The doubling map and Arnold's cat map permute Fourier functions, never back to where they were: truncated to any finite
dictionary the Koopman operator is nilpotent but for the constants. EDMD therefore has the eigenvalues 1, 0, ..., 0 for
every N, settled from the start, and wrong: the residual of a 0 is 1, as K is an isometry, and the approximate point
spectrum is the unit circle.

The verified pseudospectrum {tau_N < epsilon} does find the circle, if N tends to infinity before epsilon to 0; the
other way round nothing is left but the eigenvalue 1. With N delays of e^(2 pi i x) under the doubling map,

    tau_N(z)^2 = 1 + |z|^2 - 2 |z| cos(pi / (N + 1)),

so that tau_N on the circle is about pi / N. Both iterated limits of the same stages are studied, the number of
snapshots M innermost; a path along which N and epsilon change together is refused.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from datamodules import keys
from datamodules.dynamics import ArnoldCat, DoublingMap
from trainers.adversaries.report import Report
from zoo.koopman.certified_region import certified_region
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import Factors, factorize_snapshots
from zoo.koopman.pseudospectrum import smallest_residuals
from zoo.koopman.residuals import pair_residuals
from zoo.koopman.tensor_bases import Fourier
from zoo.koopman.towers import Stage, TowerStudy, hausdorff

TOLERANCE = 0.2
"""Last change of a set with which a limit counts as settled; the levels of the study end at half of it."""

POLAR_GRID = torch.polar(
    torch.arange(0, 1.26, 0.05, dtype=torch.float64)[:, None],
    2 * math.pi * torch.arange(60, dtype=torch.float64) / 60,
).flatten()
"""Points where tau is looked at, circles of which one is the unit circle."""

CIRCLE = torch.polar(torch.ones(60), 2 * math.pi * torch.arange(60) / 60).to(torch.complex128)


def fourier_factors(system: str, degree: int) -> Factors:
    """Return the orthonormal form of the Fourier functions up to a degree, by quadrature without error.

    Args:
        system: "doubling" or "cat".
        degree: largest frequency of every coordinate.
    """
    points = 8 * degree
    data: DoublingMap | ArnoldCat
    if system == "doubling":
        data, period = DoublingMap(quadrature="equispaced", num_train=points), 1.0
    else:
        data, period = ArnoldCat(quadrature="equispaced", num_train=points**2), 2 * math.pi
    arrays = data.arrays("train")
    dictionary = Fourier(len(data.coordinates), degree, period=period)
    return factorize_snapshots(*(dictionary(torch.from_numpy(arrays[key])) for key in (keys.STATE, keys.NEXT_STATE)))


def polluted(factors: Factors) -> tuple[float, Tensor]:
    """Return the largest modulus and the residuals of the EDMD eigenvalues other than 1.

    They are 0 up to rounding, which makes about 1e-16^(1 / k) of a chain of k functions.
    """
    pairs = edmd(factors)
    residuals = pair_residuals(factors, pairs.eigenvalues, pairs.right).residual
    return float(pairs.eigenvalues[1:].abs().max()), residuals[1:]


def delay_factors(functions: int, snapshots: int, seed: int = 0) -> Factors:
    """Return the orthonormal form of 1 and N - 1 delays of e^(2 pi i x) under the doubling map, on random orbits."""
    data = DoublingMap(num_train=snapshots, delays=functions - 1, seed=seed).arrays("train")
    psi = [
        torch.from_numpy(np.concatenate([np.ones((snapshots, 1)), np.exp(2j * np.pi * data[key])], axis=1))
        for key in (keys.STATE, keys.NEXT_STATE)
    ]
    return factorize_snapshots(*psi)


def studies(
    snapshots: tuple[int, ...] = (1000, 4000, 16000),
    sizes: tuple[int, ...] = (5, 9, 17, 33, 65),
    levels: tuple[float, ...] = (0.8, 0.4, 0.2, 0.1),
) -> dict[str, TowerStudy]:
    """Return the pseudospectra of the delays for all M, N and epsilon, with either order of the last two limits.

    Inner limits go further than outer ones: the largest N resolves every level of the first order, and the smallest
    level of the second one leaves nothing of any N.
    """

    @lru_cache
    def tau(size: int, number: int) -> Tensor:
        return smallest_residuals(delay_factors(size, number), POLAR_GRID)

    def stage(**at: float) -> Stage:
        values = tau(int(at["N"]), int(at["M"]))
        kept = values < at["epsilon"]
        return Stage(POLAR_GRID[kept], float(values[kept].max()) if kept.any() else math.nan)

    vanishing = (*levels, *(levels[-1] * 2.0**-j for j in range(1, 5)))
    inner: tuple[str, list[float]] = ("M", list(snapshots))
    return {
        "N, then epsilon": TowerStudy([inner, ("N", list(sizes)), ("epsilon", list(levels))]).run(stage),
        "epsilon, then N": TowerStudy([inner, ("epsilon", list(vanishing)), ("N", list(sizes))]).run(stage),
    }


def demonstrate() -> Report:
    """Show what EDMD answers for every N, and what the two orders of limits do."""
    lines = [
        "EDMD with Fourier functions, quadrature without error; the exact spectrum contains the unit circle:",
        f"{'map':<10} {'N':>5} {'largest other than 1':>21} {'their residuals':>18}",
    ]
    for system, degrees in (("doubling", (4, 16, 64)), ("cat", (1, 3, 6))):
        for degree in degrees:
            factors = fourier_factors(system, degree)
            modulus, residuals = polluted(factors)
            span = f"{float(residuals.min()):.4f} .. {float(residuals.max()):.4f}"
            lines.append(f"{system:<10} {factors.size:5} {modulus:21.1e} {span:>18}")
    found = studies()
    lines += ["", "pseudospectra of delays under the doubling map, M innermost:"]
    lines.append(f"{'order':<16} {'points':>6} {'distance from the circle':>25} {'from 1':>8}")
    for order, study in found.items():
        points = study.stages[tuple(values[-1] for _, values in study.limits)].points
        distances = hausdorff(points, CIRCLE), hausdorff(points, torch.ones(1, dtype=torch.complex128))
        lines.append(f"{order:<16} {len(points):6} {distances[0]:25.4f} {distances[1]:8.4f}")
    lines += [f"{order}: {study.verdict(TOLERANCE).reason}" for order, study in found.items()]
    path = [{"M": 16000, "N": size, "epsilon": level} for size, level in ((9, 0.4), (17, 0.2), (33, 0.1))]
    try:
        found["N, then epsilon"].path_verdict(path, tolerance=0.1)
    except ValueError as refusal:
        lines += ["", f"the diagonal path is refused: {refusal}"]
    return Report("limits", lines, {"limits": _figure(found)})


def _figure(found: dict[str, TowerStudy]) -> Figure:
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    plane, *panels = figure.subplots(1, 3)
    factors = delay_factors(17, 16000)
    window = (-1.3, 1.3)
    shade = torch.zeros(())
    for level in (0.8, 0.4, 0.2):
        shade = shade + (certified_region(factors, level, window, window).labels + 1) / 2
    plane.imshow(shade.numpy(), extent=(*window, *window), origin="lower", cmap="Greys", vmin=0, vmax=6)
    plane.add_patch(Circle((0, 0), 1, fill=False, color="tab:red", label="approximate point spectrum"))
    eigenvalues = edmd(factors).eigenvalues
    plane.plot(eigenvalues.real, eigenvalues.imag, "C0o", markersize=4, label="EDMD, 1 and 16 delays")
    plane.set(title=r"verified: $\tau_{17}$ < 0.8, 0.4, 0.2", xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$")
    plane.legend(loc="upper left", fontsize="small")
    for axis, (order, study) in zip(panels, found.items(), strict=True):
        (_, _), (inner, inside), (outer, outside) = study.limits
        snapshots = study.limits[0][1][-1]
        for value in outside:
            line = [hausdorff(study.stages[snapshots, at, value].points, CIRCLE) for at in inside]
            axis.plot(inside, line, marker=".", label=f"{outer} = {value:g}")
        axis.set_xscale("log", base=2)
        axis.set(xlabel=inner, title=f"{order}: distance from the circle", ylim=(0, 2.1))
        axis.legend(fontsize="small")
    panels[1].invert_xaxis()
    return figure
