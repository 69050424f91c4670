"""Figures of Koopman learning: spectra with what verifies them, measures, eigenfunctions, forecasts."""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.certificate import Certificate
from zoo.koopman.certified_region import certified_region
from zoo.koopman.factors import Factors, factorize

RESIDUALS = "viridis_r"

SHADES = 2.1
"""Where black lies on the scale of greys, in units of the number of levels."""

FLOORS = {"triangular": 1e-15, "gram": 1e-8}
"""Residuals that the arithmetic cannot tell from zero: logarithmic axes end there."""

DEPTH = 7
"""Binary logarithm of the number of cells along a side of a pseudospectrum."""

MOST_FUNCTIONS = 150
"""Dimensions whose pseudospectrum is drawn within two seconds or so."""

MOST_PANELS = 6


def spectrum_figure(certificate: Certificate, factors: Factors) -> Figure:
    """Draw eigenvalues, coloured by residual, over the verified pseudospectrum; and all residuals with intervals.

    A cell of the plane is grey where tau < epsilon is proved on all of it, the darker the lower the level epsilon, and
    half as grey where a level's boundary crosses it or comes near: see `zoo.koopman.certified_region`. Of more than
    150 functions those 150 combinations that leak least are searched: what is grey stays proved.

    Args:
        certificate: of the eigenpairs, best on held-out data.
        factors: of the training data, for the pseudospectrum.
    """
    figure = Figure(figsize=(10.5, 4.7), layout="constrained")
    plane, ranked = figure.subplots(1, 2, width_ratios=(1.2, 1))
    real, imag = window(certificate.eigenvalues, factors.is_real)
    levels = levels_of(real[1] - real[0])
    preserving = "measure_preserving" in certificate.assumption
    searched, shade = least_leaking(factors, MOST_FUNCTIONS), torch.zeros(())
    for level in levels:
        region = certified_region(searched, level, real, imag, DEPTH, preserving)
        shade = shade + (region.labels.cpu() + 1) / 2
    black = SHADES * len(levels)
    plane.imshow(shade.numpy(), extent=(*real, *imag), origin="lower", cmap="Greys", vmin=0, vmax=black)
    plane.add_patch(Circle((0, 0), 1, fill=False, color="tab:red", linewidth=0.8))
    floor = FLOORS[certificate.arithmetic]
    order = certificate.residual.argsort(descending=True)  # the best on top
    values, residuals = certificate.eigenvalues[order].cpu(), _bounded(certificate.residual[order], floor)
    norm = LogNorm(float(residuals.min()), max(float(residuals.max()), 3 * float(residuals.min())))
    points = plane.scatter(
        values.real,
        values.imag,
        c=residuals.numpy(),
        cmap=RESIDUALS,
        norm=norm,
        s=26,
        edgecolors="black",
        linewidths=0.4,
    )
    figure.colorbar(points, ax=plane, label="residual", pad=0.02)
    shades = [str(1 - number / black) for number in range(1, len(levels) + 1)]
    handles = [Patch(color=grey, label=rf"$\tau < {level:g}$") for grey, level in zip(shades, levels, strict=True)]
    plane.legend(handles=handles, loc="upper left", fontsize="small")
    parts = ((values.real, real), (values.imag, imag))
    outside = int(torch.stack([(part < low) | (part > high) for part, (low, high) in parts]).any(dim=0).sum())
    title = "eigenvalues over the pseudospectrum of the training data"
    plane.set_title(title + (f", {outside} outside" if outside else ""), fontsize="medium")
    plane.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$", xlim=real, ylim=imag)
    plane.locator_params(nbins=6)
    _rank_residuals(ranked, certificate, floor, norm)
    for level in levels:
        ranked.axhline(level, color="0.8", linewidth=0.8, zorder=0)
    return figure


def residual_figure(certificates: dict[str, Certificate]) -> Figure:
    """Draw the residuals of several learners against the rank of their eigenpairs, with intervals where there are any.

    Args:
        certificates: by name of the learner, best all on the same held-out data.
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, certificate in certificates.items():
        order, floor = certificate.residual.argsort(), FLOORS[certificate.arithmetic]
        ranks = torch.arange(1, len(order) + 1)
        residuals, lower, upper = (
            _bounded(part[order], floor) for part in (certificate.residual, certificate.lower, certificate.upper)
        )
        (line,) = axis.plot(ranks, residuals, marker=".", markersize=4, linewidth=1, label=name)
        if not lower.isnan().any():
            axis.fill_between(ranks, lower, upper, color=line.get_color(), alpha=0.2, linewidth=0)
    axis.set(yscale="log", xlabel="eigenpairs by ascending residual", ylabel="residual")
    axis.legend()
    return figure


def measure_figure(
    angles: Tensor,
    densities: dict[str, Tensor],
    truth: Tensor | None = None,
    atoms: tuple[Tensor, Tensor] | None = None,
) -> Figure:
    """Draw densities of a spectral measure against the angle, and with atoms the distribution functions beside them.

    Args:
        angles: (P,), ascending from -pi to pi.
        densities: by name, (P,) each.
        truth: the exact density, (P,).
        atoms: angles and masses, (r,) each, of a discrete measure such as that of mpEDMD.
    """
    figure = Figure(figsize=(5.5 if atoms is None else 10, 3.8), layout="constrained")
    density, *distribution = figure.subplots(1, 1 if atoms is None else 2, squeeze=False)[0]
    curves: list[tuple[str, Tensor, dict[str, Any]]] = [
        (name, values, {"linewidth": 1.3}) for name, values in densities.items()
    ]
    if truth is not None:
        curves.insert(0, ("exact", truth, {"linewidth": 3.5, "color": "0.75"}))
    for name, values, style in curves:
        density.plot(angles, values, label=name, **style)
        for axis in distribution:
            axis.plot(angles[1:], torch.cumulative_trapezoid(values, angles), label=name, **style)
    density.set(title="density of the spectral measure")
    if atoms is not None:
        order = atoms[0].argsort()
        ends = torch.tensor([-math.pi]), torch.tensor([math.pi])
        steps = torch.cat([ends[0], atoms[0][order].cpu(), ends[1]])
        masses = torch.cat([torch.zeros(1), atoms[1][order].cumsum(0).cpu(), atoms[1].sum().cpu()[None]])
        distribution[0].step(steps, masses, where="post", label="atoms", color="black", linewidth=1)
        distribution[0].set(title="its distribution function")
    for axis in (density, *distribution):
        axis.set(xlabel=r"angle $\theta$", xlim=(-math.pi, math.pi))
        axis.set_xticks([-math.pi, 0, math.pi], [r"$-\pi$", "0", r"$\pi$"])
        axis.legend()
    return figure


def eigenfunction_figure(
    states: Tensor, values: Tensor, eigenvalues: Tensor, residuals: Tensor, names: tuple[str, str] = ("x1", "x2")
) -> Figure:
    """Draw modulus and argument of eigenfunctions over a plane of states: isostables above, isochrons below.

    Args:
        states: (M, 2), scattered or on a grid.
        values: of the eigenfunctions, (M, k); the first six are drawn.
        eigenvalues: (k,).
        residuals: (k,), best on held-out data.
        names: of the two coordinates.

    Raises:
        ValueError: states are not in a plane.
    """
    require(states.ndim == 2 and states.shape[1] == 2, "states", tuple(states.shape), "states (M, 2) of a plane")
    number = min(values.shape[1], MOST_PANELS)
    figure = Figure(figsize=(2.7 * number + 0.9, 5.2), layout="constrained")
    axes = figure.subplots(2, number, squeeze=False, sharex=True, sharey=True)
    # Points that just cover the area of a panel.
    size = min(30.0, 6e4 / len(states))
    columns = zip(values.to(torch.complex128).mT, eigenvalues.tolist(), residuals.tolist(), strict=True)
    for (upper, lower), (function, eigenvalue, residual) in zip(axes.T, columns, strict=False):
        modulus = function.abs() / function.abs().max()
        moduli = upper.scatter(*states.T, c=modulus.numpy(), s=size, cmap="viridis", vmin=0, vmax=1, linewidths=0)
        phases = lower.scatter(
            *states.T, c=function.angle().numpy(), s=size, cmap="twilight", vmin=-math.pi, vmax=math.pi, linewidths=0
        )
        upper.set_title(rf"$\lambda$ = {_written(eigenvalue)}" + "\n" + f"residual {residual:.2g}", fontsize="small")
        lower.set_xlabel(names[0])
    for axis, label in zip(axes[:, 0], ("modulus", "argument"), strict=True):
        axis.set_ylabel(names[1])
        mappable = moduli if label == "modulus" else phases
        figure.colorbar(mappable, ax=axes[0 if label == "modulus" else 1, :], label=label, pad=0.02)
    return figure


def forecast_figure(
    times: Tensor, truth: Tensor, forecasts: dict[str, Tensor], names: list[str] | None = None
) -> Figure:
    """Draw forecasts of one trajectory beside the truth, and the growth of their errors.

    Args:
        times: (T,).
        truth: (T, d); the first six coordinates are drawn, errors are of all.
        forecasts: by name, (T, d) each.
        names: of the coordinates.
    """
    number = min(truth.shape[1], MOST_PANELS - 1)
    names = [f"x{i + 1}" for i in range(number)] if names is None else names[:number]
    figure = Figure(figsize=(7, 1.5 * (number + 1) + 0.6), layout="constrained")
    *panels, last = figure.subplots(number + 1, 1, sharex=True)
    for index, (axis, name) in enumerate(zip(panels, names, strict=True)):
        axis.plot(times, truth[:, index], color="0.75", linewidth=3, label="truth")
        for label, forecast in forecasts.items():
            axis.plot(times, forecast[:, index], linewidth=1.2, label=label)
        # A forecast that blows up must not flatten the truth.
        low, high = float(truth[:, index].min()), float(truth[:, index].max())
        margin = 0.3 * (high - low) or 1.0
        axis.set(ylabel=name, ylim=(low - margin, high + margin))
    spread = (truth - truth.mean(dim=0)).square().sum(dim=1).mean().sqrt()
    for label, forecast in forecasts.items():
        error = torch.linalg.vector_norm(forecast - truth, dim=1) / spread
        last.plot(times, error.clamp(min=1e-16), linewidth=1.2, label=label)
    last.set(yscale="log", xlabel="time", ylabel="relative error")
    panels[0].legend(loc="upper right", ncols=1 + len(forecasts), fontsize="small")
    return figure


def window(eigenvalues: Tensor, symmetric: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return a square window, real and imaginary interval, around all eigenvalues but those far beyond the others.

    Where they fill half of the unit circle, the window holds all of it.

    Args:
        eigenvalues: (k,).
        symmetric: about the real axis.
    """
    moduli = eigenvalues.abs()
    kept = eigenvalues[moduli <= 2 * max(1.0, float(moduli.median()))]
    low, high = float(kept.real.min()), float(kept.real.max())
    bottom, top = float(kept.imag.min()), float(kept.imag.max())
    if symmetric:
        top = max(abs(bottom), abs(top))
        bottom = -top
    if max(high - low, top - bottom) > 1:
        low, high, bottom, top = min(low, -1.0), max(high, 1.0), min(bottom, -1.0), max(top, 1.0)
    half = max(0.57 * max(high - low, top - bottom), 0.01)
    center = (low + high) / 2, (bottom + top) / 2
    return (center[0] - half, center[0] + half), (center[1] - half, center[1] + half)


def levels_of(width: float) -> list[float]:
    """Return three levels of a pseudospectrum, 1 or 3 times a power of ten, for a window of this width."""
    half_decades = math.floor(2 * math.log10(width / 4) + 1e-9)
    return [[1.0, 3.0][k % 2] * 10.0 ** (k // 2) for k in range(half_decades, half_decades - 3, -1)]


def least_leaking(factors: Factors, most: int) -> Factors:
    """Return the orthonormal form of at most so many combinations of functions, those that leak least.

    tau of a part of a dictionary is an upper bound of that of the whole.
    """
    if factors.rank <= most:
        return factors
    directions = torch.linalg.svd(factors.leak).Vh.mH
    kept, others = directions[:, -most:], directions[:, :-most]
    image = factors.compression @ kept
    inside, outside = kept.mH @ image, torch.cat([others.mH @ image, factors.leak @ kept])
    top = torch.cat([torch.eye(most).to(inside), inside], dim=1)
    return factorize(torch.cat([top, torch.cat([torch.zeros_like(outside), outside], dim=1)]))


def _rank_residuals(axis: Axes, certificate: Certificate, floor: float, norm: LogNorm) -> None:
    order = certificate.residual.argsort()
    ranks = torch.arange(1, len(order) + 1)
    residuals, lower, upper = (
        _bounded(part[order], floor) for part in (certificate.residual, certificate.lower, certificate.upper)
    )
    title = f"residuals on {certificate.origin.replace('_', '-')} data"
    if certificate.lower.isnan().any():
        title += ", no intervals"
    else:
        axis.vlines(ranks, lower, upper, color="0.6", linewidth=1.2)
        title += f", {certificate.level:.0%} intervals of {certificate.shards} shards"
    axis.scatter(
        ranks,
        residuals,
        c=residuals.numpy(),
        cmap=RESIDUALS,
        norm=norm,
        s=18,
        edgecolors="black",
        linewidths=0.3,
        zorder=2,
    )
    axis.set(yscale="log", xlabel="eigenpairs by ascending residual")
    axis.set_title(title, fontsize="medium")


def _bounded(residuals: Tensor, floor: float) -> Tensor:
    """Return residuals for a logarithmic axis: neither zero nor infinite, where a function vanishes on the data."""
    finite = residuals[residuals.isfinite()]
    return residuals.cpu().clamp(floor, float(finite.max()) if len(finite) else 1.0)


def _written(value: complex) -> str:
    return f"{value.real:.3f}" + (f"{value.imag:+.3f}i" if abs(value.imag) > 5e-4 else "")
