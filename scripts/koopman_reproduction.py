"""Compare spectral quantities with what the authors' code gives and with what is exact: seconds, no training.

    python scripts/koopman_reproduction.py [--output table.csv]

The authors' values are largest errors that their published programs were run for.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # the systems are kept with the tests, which are not installed

from datamodules.dynamics import OrnsteinUhlenbeck  # noqa: E402
from tests.zoo.koopman.cmv import (  # noqa: E402
    cat_map_moments,
    cmv_factors,
    krylov_gram,
    trigonometric,
    wrapped_gaussian,
)
from tests.zoo.koopman.test_rage import tent_orbit  # noqa: E402
from zoo.koopman import EDMD, certify  # noqa: E402
from zoo.koopman.factors import factorize_gram  # noqa: E402
from zoo.koopman.measures import isometry_density  # noqa: E402
from zoo.koopman.mpedmd import mpedmd  # noqa: E402
from zoo.koopman.rage import rage  # noqa: E402
from zoo.koopman.rigged import smoothed_measure  # noqa: E402

Row = tuple[str, float, float | None, float]
"""What, ours, the authors' (None where they give none), and the exact value."""

CMV = {0.5: {1: 1.11, 2: 0.69, 4: 0.247, 6: 0.090}, 0.1: {1: 0.462, 2: 0.113, 4: 5.6e-3, 6: 2.6e-4}}
CAT = {0.5: {1: 8.2e-2, 2: 2.9e-2, 4: 1.9e-3, 6: 6.8e-5}, 0.1: {1: 0.023, 2: 0.005, 4: 0.040, 6: 0.168}}


def densities() -> Iterator[Row]:
    """Yield largest errors of smoothed spectral densities by rational kernels, and by Rigged DMD."""
    angles = torch.linspace(-math.pi, math.pi, 401, dtype=torch.float64)
    factors, first = cmv_factors(300), torch.eye(300, dtype=torch.float64)[0]
    for epsilon, orders in CMV.items():
        for order, theirs in orders.items():
            error = (isometry_density(factors, first, angles, epsilon, order) - wrapped_gaussian(angles)).abs().max()
            yield (
                f"CMV matrix, 300 functions: density, smoothing {epsilon}, order {order}, error",
                float(error),
                theirs,
                0,
            )
    angles = torch.linspace(-math.pi, math.pi, 801, dtype=torch.float64)
    moments = cat_map_moments(61) / (21 / 32)
    model, exact = mpedmd(factorize_gram(krylov_gram(moments, 60))), trigonometric(moments, angles)
    for epsilon, orders in CAT.items():
        for order, theirs in orders.items():
            error = (smoothed_measure(model, torch.eye(60)[0], angles, epsilon, order) - exact).abs().max()
            yield f"cat map, 60 delays: density, smoothing {epsilon}, order {order}, error", float(error), theirs, 0


def fractions() -> Iterator[Row]:
    """Yield the fraction of a signal in eigenfunctions: 70 % of its energy is a wave, the rest a mixing map."""
    time = torch.arange(14000, dtype=torch.float64)
    wave, tent = math.sqrt(2) * torch.cos(math.sqrt(2) * time), math.sqrt(12) * (tent_orbit(14000) - 0.5)
    found = rage(math.sqrt(0.7) * wave + math.sqrt(0.3) * tent, [20], horizon=4000, samples=10000)[0, -1]
    yield "RAGE, wave and tent map, 20 delays, 4000 steps, fraction in eigenfunctions", float(found), 0.6835, 0.7


def stochastic() -> Iterator[Row]:
    """Yield eigenvalues and variance residuals of the Ornstein-Uhlenbeck process, from 100,000 random pairs."""
    datamodule = OrnsteinUhlenbeck(num_train=100_000, num_test=100_000)
    datamodule.prepare_data()
    datamodule.setup("fit")
    datamodule.setup("test")
    learner = EDMD("hermite", {"degree": 3}, variant="stochastic", target_names=["x"])
    learner.fit_batches([datamodule.entries("train")])
    found = certify(learner, datamodule)
    for k, pair in enumerate(datamodule.truth().pairs[:3]):
        nearest = int((found.eigenvalues - pair.eigenvalue).abs().argmin())
        what = f"Ornstein-Uhlenbeck process, Hermite polynomials, pair {k}"
        yield f"{what}, eigenvalue", float(found.eigenvalues[nearest].real), None, pair.eigenvalue.real
        yield f"{what}, variance residual", float(found.residual[nearest]), None, pair.variance**0.5


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="CSV file to write")
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    rows = [*densities(), *fractions(), *stochastic()]
    table = [
        {
            "quantity": what,
            "ours": f"{ours:.4g}",
            "authors' code": "" if theirs is None else f"{theirs:.4g}",
            "exact": f"{exact:.4g}",
        }
        for what, ours, theirs, exact in rows
    ]
    for row in table:
        print("{quantity:78s} {ours:>10s} {authors' code:>10s} {exact:>10s}".format(**row))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        with options.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
