"""Skew products on the torus: whether eigenfunctions exist is decided by coefficients that no data hold.

F(x, y) = (x + nu, y + f(x)) mod 1 (Anzai). Where f(x) = c + h(x + nu) - h(x), e^(2 pi i (y - h)) is an eigenfunction;
then h_k = f_k / (e^(2 pi i k nu) - 1) with small divisors. Every truncation of f at |k| <= n has such an h_n; for the
golden mean their norms converge, for a nu that rational numbers approach fast enough they do not, and no h in L^2 is
left; that happens at frequencies whose coefficients f_k are far below the last bit of any data.

The second part takes the limits of RAGE's P(n, L) (`zoo.koopman.rage`) for g = e^(2 pi i y) in both orders. Where f is
a coboundary, g is a sum of eigenfunctions; with f(x) = x + c its images are orthogonal to each other, and
P(n, L) = min(1, n / (L + 1)): 0 if L tends to infinity first, 1 if n does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from datamodules import keys
from datamodules.dynamics import AnzaiTorus
from trainers.adversaries.report import Report
from zoo.koopman.rage import rage
from zoo.koopman.towers import Stage, TowerStudy

AMPLITUDE, DECAY = 0.05, 0.5
"""Coefficients f_k = AMPLITUDE DECAY^(k - 1)."""

FIRST_DENOMINATOR = 7

SAMPLES = 20000
"""Snapshots that stand for inner products in RAGE: below sqrt(n / SAMPLES) there is noise only."""


def log_coefficient(k: int) -> float:
    """Return log f_k, far beyond the range of floats."""
    return math.log(AMPLITUDE) + (k - 1) * math.log(DECAY)


def resonant_rotation(count: int) -> tuple[Fraction, list[int]]:
    """Return a rotation nu with |h_(q_j)| ~ j at the denominators q_1, ..., q_count of its convergents, and these.

    The distance of q_j nu from an integer is about 1 / q_(j+1): partial quotients are chosen so that it is
    f_(q_j) / (2 pi j). Going on like this makes a Liouville number, for which the norm of h is infinite.
    """
    numerators, denominators = [1, 0, 1], [0, 1, FIRST_DENOMINATOR]
    for j in range(1, count + 1):
        wanted = Fraction(2 * math.pi * j / AMPLITUDE) * Fraction(1 / DECAY) ** (denominators[-1] - 1)
        quotient = max(1, math.ceil(wanted / denominators[-1]))
        numerators.append(quotient * numerators[-1] + numerators[-2])
        denominators.append(quotient * denominators[-1] + denominators[-2])
    return Fraction(numerators[-1], denominators[-1]), denominators[2:-1]


def golden_rotation(digits: int = 60) -> Fraction:
    """Return the golden mean to so many digits, by Fibonacci numbers."""
    previous, current = 1, 1
    while current < 10 ** (digits // 2):
        previous, current = current, previous + current
    return Fraction(previous, current)


def coboundary_norms(rotation: Fraction, harmonics: Sequence[int]) -> list[float]:
    """Return the norms of h_n in L^2 for ascending numbers n, with k nu in exact arithmetic."""
    squares, norms, k, turn, one = 0.0, [], 0, 0, rotation.denominator
    for n in harmonics:
        while k < n:
            k, turn = k + 1, (turn + rotation.numerator) % one
            distance = min(turn, one - turn)  # of k nu from an integer, in units of 1 / one
            # log |e^(2 pi i d) - 1| = log 2 sin(pi d), where d may be below the smallest float.
            logarithm = math.log(2 * math.pi) + math.log(distance) - math.log(one)
            if logarithm > -10:
                logarithm = math.log(2 * math.sin(math.pi * (distance / one)))
            squares += 2 * math.exp(2 * (log_coefficient(k) - logarithm))
        norms.append(math.sqrt(squares))
    return norms


def observe(system: AnzaiTorus, length: int, start: tuple[float, float] = (0.1, 0.2)) -> Tensor:
    """Return e^(2 pi i y) along an orbit, (length,) complex128."""
    x = (start[0] + system.rotation * np.arange(length)) % 1
    lift = system.step(np.stack([x, np.zeros_like(x)], axis=1))[:, 1]
    y = start[1] + np.concatenate([[0.0], np.cumsum(lift)[:-1]])
    return torch.from_numpy(np.exp(2j * np.pi * y))


def study_rage(system: AnzaiTorus, inner: str, values: dict[str, list[int]]) -> TowerStudy:
    """Return P(n, L) with one of the two limits innermost; stages hold one real number each.

    Args:
        system: whose e^(2 pi i y) is observed.
        inner: "L" or "n".
        values: of both limits, ascending.
    """
    horizon = max(values["L"])
    table = rage(observe(system, SAMPLES + max(horizon, *values["n"])), values["n"], horizon, SAMPLES)
    outer = "n" if inner == "L" else "L"

    def stage(**at: float) -> Stage:
        return Stage(table[values["n"].index(int(at["n"])), int(at["L"])].reshape(1).to(torch.complex128))

    return TowerStudy([(inner, list(values[inner])), (outer, list(values[outer]))], snapshots="M").run(stage)


ORDERS = {
    "lim_n lim_L": ("L", {"n": [1, 2, 4, 8, 16, 32], "L": [2**j for j in range(4, 15)]}),
    "lim_L lim_n": ("n", {"n": [2**j for j in range(8)], "L": [1, 2, 4, 8, 16, 32]}),
}
"""In each order the inner limit goes further than the outer one."""


def demonstrate(most: int = 20000) -> Report:
    """Show norms of h_n for two rotations, that data do not tell truncations apart, and both orders of RAGE's limits.

    Args:
        most: harmonics n.
    """
    rotation, denominators = resonant_rotation(2)
    few, many = 60, denominators[-1]
    harmonics = sorted({*np.unique(np.geomspace(1, most, 200).astype(int)).tolist(), few, *denominators})
    norms = {
        "golden mean": coboundary_norms(golden_rotation(), harmonics),
        "resonant rotation": coboundary_norms(rotation, harmonics),
    }
    below, above = coboundary_norms(rotation, [few, many])
    one, other = (
        AnzaiTorus(float(rotation), amplitude=AMPLITUDE, decay=DECAY, harmonics=n).arrays("train") for n in (few, many)
    )
    identical = all(np.array_equal(one[key], other[key]) for key in (keys.STATE, keys.NEXT_STATE))
    lines = [
        f"norm of h_n by the number n of harmonics of f; the denominators of the resonant rotation are {denominators}",
        f"{'n':>6} " + " ".join(f"{name:>18}" for name in norms),
    ]
    for n in sorted({1, *denominators, few, most}):
        lines.append(f"{n:6} " + " ".join(f"{values[harmonics.index(n)]:18.4f}" for values in norms.values()))
    lines += [
        "",
        f"with {few} and with {many} harmonics the norm is {below:.4f} and {above:.4f}, and the data are",
        f"identical bit by bit: {'yes' if identical else 'NO'}",
        "",
        "RAGE P(n, L) of e^(2 pi i y), limits in both orders:",
        f"{'system':<14} {'order':<13} {'last stage':>10} {'change inside':>14} {'change outside':>15}",
    ]
    studies = {}
    systems = {
        "coboundary": AnzaiTorus(amplitude=AMPLITUDE, decay=DECAY, harmonics=few),
        "near resonance": AnzaiTorus(float(rotation), amplitude=AMPLITUDE, decay=DECAY, harmonics=few),
        "Lebesgue": AnzaiTorus(winding=1, harmonics=0),
    }
    for name, system in systems.items():
        for order, (inner, values) in ORDERS.items():
            study = studies[name, order] = study_rage(system, inner, values)
            (first, _), (second, _) = study.limits
            last = float(study.stages[tuple(limit[-1] for _, limit in study.limits)].points.real)
            changes = study.changes(first)[-1], study.changes(second)[-1]
            lines.append(f"{name:<14} {order:<13} {last:10.4f} {changes[0]:14.4f} {changes[1]:15.4f}")
    lines += [
        f"averages over {SAMPLES} snapshots: n / {SAMPLES} of P is noise",
        "the system near a resonance has eigenfunctions, its limit is 1 in both orders, and no stage here shows it",
    ]
    return Report(
        "torus", lines, {"coboundaries": _norm_figure(harmonics, norms, denominators), "rage": _rage_figure(studies)}
    )


def _norm_figure(harmonics: list[int], norms: dict[str, list[float]], denominators: list[int]) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for name, values in norms.items():
        axis.step(harmonics, values, where="post", label=name)
    for number, denominator in enumerate(denominators):
        axis.axvline(denominator, color="0.8", linewidth=0.8, zorder=0, label=None if number else "its denominators")
    precise = 1 + math.ceil(math.log(np.finfo(float).eps / AMPLITUDE) / math.log(DECAY))
    axis.axvspan(precise, harmonics[-1], color="tab:red", alpha=0.08, label="coefficients below the last bit")
    axis.set(xscale="log", xlabel="harmonics n of f", ylabel=r"$\|h_n\|$", ylim=(0, None))
    axis.legend()
    return figure


def _rage_figure(studies: dict[tuple[str, str], TowerStudy]) -> Figure:
    systems = list(dict.fromkeys(name for name, _ in studies))
    figure = Figure(figsize=(10, 3.2 * len(systems)), layout="constrained")
    axes = figure.subplots(len(systems), len(ORDERS), sharey=True, squeeze=False)
    for (name, order), study in studies.items():
        axis = axes[systems.index(name), list(ORDERS).index(order)]
        (inner, inside), (outer, outside) = study.limits
        for value in outside:
            line = [float(study.stages[at, value].points.real) for at in inside]
            axis.plot(inside, line, marker=".", label=f"{outer} = {value}")
        axis.set(xscale="log", xlabel=inner, title=f"{name}: {order} P(n, L)", ylim=(-0.05, 1.05))
        axis.legend(fontsize="x-small")
    return figure
